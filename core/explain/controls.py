"""Controls: maps that know nothing of the network, or of what it has learned. They stand beside the methods."""

from __future__ import annotations

import torch

from core.explain.case import Case, Result
from core.options import Options


def random(case: Case, _options: Options) -> Result:
    """Standard normal values, drawn anew for every place."""
    drawn = torch.randn(case.inputs.shape, generator=torch.Generator().manual_seed(case.seed))
    return Result(drawn, code="attribution = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))")
