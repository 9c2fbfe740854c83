"""Attention against torch's own, and the mask's polarity: True is read."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.modules.attention import Attention, TransformerBlock


@pytest.fixture
def batch():
    torch.manual_seed(0)
    x = torch.randn(4, 7, 12)
    mask = torch.arange(7) < torch.tensor([7, 5, 3, 1])[:, None]
    return x, mask


def torchs_own(ours: Attention) -> nn.MultiheadAttention:
    """torch.nn.MultiheadAttention with the same weights."""
    theirs = nn.MultiheadAttention(12, ours.heads, batch_first=True)
    theirs.load_state_dict({
        "in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias,
        "out_proj.weight": ours.out.weight, "out_proj.bias": ours.out.bias,
    })  # fmt: skip
    return theirs


@pytest.mark.parametrize("heads", [1, 3, 4])
def test_attention_equals_torchs_own_with_and_without_padding(batch, heads):
    x, mask = batch
    ours = Attention(12, heads)
    theirs = torchs_own(ours)
    for real in (None, mask):
        ignored = None if real is None else ~real  # torch's key_padding_mask is True where nothing is read
        out, weights = theirs(x, x, x, key_padding_mask=ignored, average_attn_weights=False)
        torch.testing.assert_close(ours(x, real), out, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.weights(x, real), weights, atol=1e-5, rtol=1e-5)


def test_each_row_of_the_weights_sums_to_one_and_padding_gets_nothing(batch):
    x, mask = batch
    weights = Attention(12, 3).weights(x, mask).detach()
    assert weights.shape == (4, 3, 7, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 3, 7), atol=1e-5, rtol=0)
    assert float((weights * ~mask[:, None, None, :]).abs().max()) == 0.0


def test_a_change_in_the_padding_changes_no_real_step(batch):
    x, mask = batch
    other = x.clone()
    other[~mask] += 100.0
    block = TransformerBlock(12, 3, 2, 0.0, True)
    torch.testing.assert_close(block(x, mask)[mask], block(other, mask)[mask])
    changed = x.clone()
    changed[0, 0] = torch.randn(12)  # a real step is read by the others (adding one constant is lost in the norm)
    assert not torch.allclose(block(changed, mask)[0, 5], block(x, mask)[0, 5])


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_equals_torchs_own_encoder_layer(batch, norm_first):
    x, mask = batch
    ours = TransformerBlock(12, 3, 2, 0.0, norm_first).eval()
    theirs = nn.TransformerEncoderLayer(
        12, 3, 24, 0.0, activation="gelu", batch_first=True, norm_first=norm_first
    )  # train mode: its fused inference path leaves padding undefined
    theirs.self_attn.load_state_dict(torchs_own(ours.attention).state_dict())
    for mine, other in (("norm1", "norm1"), ("norm2", "norm2"), ("mlp.0", "linear1"), ("mlp.2", "linear2")):
        theirs.get_submodule(other).load_state_dict(ours.get_submodule(mine).state_dict())
    expected = theirs(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, mask)[mask], expected[mask], atol=1e-5, rtol=1e-4)


def test_without_positions_a_shuffled_sequence_gives_shuffled_outputs(batch):
    x, _mask = batch
    block = TransformerBlock(12, 3, 2, 0.0, True)
    order = torch.randperm(7)
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order], atol=1e-5, rtol=1e-5)
