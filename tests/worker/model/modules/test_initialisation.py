"""Starts of the weights: their variance is the papers', and the seed alone decides them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.worker.model.modules.initialisation import start


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 600), nn.GRU(8, 8))


@pytest.mark.parametrize(
    ("name", "conv", "linear"),
    [
        ("he", 2 / (16 * 9), 2 / 400),
        ("xavier", 2 / (16 * 9 + 32 * 9), 2 / 1000),
        ("orthogonal", 1 / (16 * 9), 1 / 600),
    ],
)
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_variances_are_the_papers_times_the_gain_squared(name, conv, linear, gain):
    made = network()
    start(made, name, gain, seed=7)
    assert float(made[0].weight.detach().var()) == pytest.approx(conv * gain**2, rel=0.08)
    assert float(made[3].weight.detach().var()) == pytest.approx(linear * gain**2, rel=0.03)
    assert not made[0].bias.any() and not made[3].bias.any()


def test_orthogonal_weights_are_orthogonal():
    made = network()
    start(made, "orthogonal", 2.0, seed=0)
    kernel, weight = made[0].weight.flatten(1), made[3].weight
    torch.testing.assert_close(kernel @ kernel.T, 4 * torch.eye(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(weight.T @ weight, 4 * torch.eye(400), atol=1e-4, rtol=0)


def test_the_seed_decides_no_other_draw_is_moved_and_recurrent_layers_keep_their_start():
    one, other, untouched = network(), network(), network()
    state = torch.get_rng_state()
    for made in (one, other):
        start(made, "he", 1.0, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[3].weight, other[3].weight) and not torch.equal(one[3].weight, untouched[3].weight)
    assert torch.equal(one[4].weight_hh_l0, untouched[4].weight_hh_l0)
    start(other, "he", 1.0, seed=6)
    assert not torch.equal(one[3].weight, other[3].weight)
