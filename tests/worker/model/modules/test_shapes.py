"""The modules that rearrange, against what they say of themselves."""

from __future__ import annotations

import math

import pytest
import torch

from core.worker.model.modules.residual import Pad, Residual
from core.worker.model.modules.shapes import (
    ClassToken,
    Flatten,
    GlobalPool,
    Patches,
    Positions,
    ReadOut,
    Rows,
    sinusoids,
)


def test_flatten_keeps_the_channel_height_width_order_of_channels_last_pictures():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(Flatten()(x.contiguous(memory_format=torch.channels_last)), x.reshape(1, -1))


def test_global_pool_is_the_mean_of_each_map():
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(GlobalPool()(x), torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def test_rows_are_the_steps():
    x = torch.randn(2, 3, 4, 5)
    out = Rows()(x)
    assert out.shape == (2, 4, 15)
    assert torch.equal(out[1, 2], x[1, :, 2, :].reshape(-1))


def test_a_patch_is_one_square_through_one_linear_map():
    layer, x = Patches(2, size=3, width=5), torch.randn(1, 2, 6, 9)
    square = x[0, :, 3:6, 6:9].reshape(-1)  # row 1, column 2: patch 1 · 3 + 2
    expected = layer.project.weight.reshape(5, -1) @ square + layer.project.bias
    torch.testing.assert_close(layer(x)[0, 5], expected)


def test_the_class_token_stands_first():
    layer, x = ClassToken(4), torch.randn(2, 3, 4)
    layer.token.data.fill_(7.0)
    out = layer(x)
    assert torch.equal(out[:, 1:], x) and bool((out[:, 0] == 7).all())


def test_sinusoids_are_those_of_the_paper():
    table = sinusoids(50, 10)
    for place in (0, 1, 17, 49):
        for i in range(5):
            angle = place / 10_000 ** (2 * i / 10)
            assert math.isclose(table[place, 2 * i], math.sin(angle), abs_tol=1e-5)
            assert math.isclose(table[place, 2 * i + 1], math.cos(angle), abs_tol=1e-5)
    assert sinusoids(4, 5).shape == (4, 5)


@pytest.mark.parametrize("code", ["learned", "sinusoidal"])
def test_positions_add_one_vector_per_place(code):
    layer, x = Positions(6, 4, code), torch.randn(2, 5, 4)
    torch.testing.assert_close(layer(x) - x, layer.table[:, :5].expand(2, -1, -1))
    assert len(list(layer.parameters())) == (1 if code == "learned" else 0)


@pytest.mark.parametrize("take", ["last", "first", "mean", "max"])
def test_the_read_out_never_reads_padding(take):
    x = torch.randn(3, 6, 4)
    lengths = torch.tensor([6, 3, 1])
    mask = torch.arange(6) < lengths[:, None]
    spoilt = x.clone()
    spoilt[~mask] = 1e6
    layer = ReadOut(take)
    assert torch.equal(layer(x, mask), layer(spoilt, mask))
    for row, n in zip(range(3), lengths.tolist(), strict=True):  # each row alone, cut to its real length
        torch.testing.assert_close(layer(x, mask)[row], layer(x[row : row + 1, :n])[0])


def test_a_padded_shortcut_takes_every_second_pixel_and_adds_zero_maps():
    x = torch.randn(2, 4, 6, 6)
    out = Pad(4, 8, 2)(x)
    assert torch.equal(out[:, 2:6], x[:, :, ::2, ::2])
    assert float(out[:, :2].abs().sum() + out[:, 6:].abs().sum()) == 0.0


def test_a_residual_block_without_weights_returns_its_input_and_a_plain_one_returns_nothing():
    x = torch.rand(2, 4, 5, 5)
    for shortcut, expected in (("padded", x), ("none", torch.zeros_like(x))):
        block = Residual(4, 4, 1, shortcut).eval()
        for p in block.parameters():
            p.data.zero_()
        assert torch.equal(block(x), expected)
