"""Feature maps against plain forward hooks of torch."""

from __future__ import annotations

import numpy as np
import torch

from tests.views.conftest import Trained, ask, subject


def test_every_layer_is_what_a_plain_hook_sees(trained: Trained) -> None:
    run = trained()
    seen, at = ask(run, "feature_maps", sample=3), subject(run, "feature_maps", sample=3)
    for name, layer in at.network.named_children():
        kept = []
        handle = layer.register_forward_hook(lambda _m, _i, output, kept=kept: kept.append(output))
        with torch.no_grad():
            at.network(at.splits.test[0][3:4])
        handle.remove()
        np.testing.assert_allclose(seen.arrays[name], kept[0][0].numpy(), atol=1e-6)
