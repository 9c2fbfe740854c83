"""The heavy half of the order task: rows of noise with one A and one B; class 0 = A first, 1 = B first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.catalog.datasets.order import SPECIAL
from core.data.splits import Report, Splits

A, B = 1, 2


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test. Rows have length/2 … length tokens, then padding (0)."""
    rng = np.random.default_rng(seed)
    n, longest = options.samples, options.length
    x = rng.integers(SPECIAL, SPECIAL + options.noise, (n, longest))
    lengths = rng.integers(max(2, longest // 2), longest + 1, n)
    y = rng.integers(0, 2, n)
    places = np.argsort(rng.random((n, longest)) + 10.0 * (np.arange(longest) >= lengths[:, None]), axis=1)[:, :2]
    early, late = places.min(1), places.max(1)
    rows = np.arange(n)
    x[rows, early], x[rows, late] = np.where(y == 0, A, B), np.where(y == 0, B, A)
    x[np.arange(longest) >= lengths[:, None]] = 0
    ends = (int(n * 0.7), int(n * 0.8))
    tokens, labels = torch.from_numpy(x), torch.from_numpy(y)
    parts = [(tokens[a:b], labels[a:b]) for a, b in ((0, ends[0]), (*ends,), (ends[1], n))]
    words = ("·", "A", "B", *(chr(ord("a") + i) if i < 26 else f"n{i}" for i in range(options.noise)))
    return Splits(parts[0], parts[1], parts[2], parts[2][0].numpy(), ("A first", "B first"), words)
