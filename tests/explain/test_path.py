"""Integrated Gradients against a closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.explain.conftest import Trained, case, linear, made, why


def test_on_a_linear_network_it_is_weight_times_input_minus_baseline() -> None:
    network, x = linear(), torch.randn(1, 6)
    found = made(case(network, x, target="1"), "integrated_gradients")
    assert np.allclose(found.attribution, (network.weight[1] * x[0]).detach(), atol=6e-7)
    assert found.holds and found.gap is not None and found.gap < 1e-5


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("lstm", "digits"), ("transformer", "order")])
def test_the_gap_is_below_one_percent(preset: str, data: str, trained: Trained) -> None:
    for sample in range(4):
        found = why(trained(preset, data, steps=40), "integrated_gradients", sample)
        assert found.holds and found.gap is not None and found.gap <= 0.01
