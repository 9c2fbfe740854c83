"""Attention against torch's own, and the mask's polarity: True is read."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.worker.model.modules.attention import Attention, TransformerBlock


@pytest.fixture
def batch():
    torch.manual_seed(0)
    x = torch.randn(4, 7, 12)
    mask = torch.arange(7) < torch.tensor([7, 5, 3, 1])[:, None]
    return x, mask


def torchs_own(ours: Attention) -> nn.MultiheadAttention:
    """torch.nn.MultiheadAttention with the same weights."""
    theirs = nn.MultiheadAttention(12, ours.heads, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
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


def by_hand(block, x, read):
    """softmax(q kᵀ / √d) v for each head, one query at a time, over the keys that `read` [query, key] allows."""
    q, k, v = block.split(x)
    rows = []
    for query in range(x.shape[1]):
        keys = read[query].nonzero()[:, 0]
        scores = (q[:, :, query : query + 1] @ k[:, :, keys].transpose(-1, -2)) / q.shape[-1] ** 0.5
        rows.append(torch.softmax(scores, -1) @ v[:, :, keys])
    return block.out(torch.cat(rows, 2).transpose(1, 2).flatten(2))


def test_causal_attention_equals_the_sum_by_hand_and_torchs_own(batch):
    x, _mask = batch
    ours = Attention(12, 3, causal=True)
    before = torch.ones(7, 7, dtype=torch.bool).tril()
    torch.testing.assert_close(ours(x), by_hand(ours, x, before), atol=1e-5, rtol=1e-5)
    q, k, v = ours.split(x)
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(ours(x), ours.out(theirs.transpose(1, 2).flatten(2)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.weights(x) @ v, theirs, atol=1e-5, rtol=1e-5)
    assert float(ours.weights(x).detach().triu(1).abs().max()) == 0.0


def test_causal_and_padding_together_read_what_both_allow(batch):
    x, mask = batch
    ours = Attention(12, 3, causal=True)
    out, weights = ours(x, mask), ours.weights(x, mask)
    for row, length in enumerate((7, 5, 3, 1)):  # padding is behind every real step: a causal step never sees it
        torch.testing.assert_close(out[row, :length], ours(x[row : row + 1])[0, :length], atol=1e-5, rtol=1e-5)
    _q, _k, v = ours.split(x)
    torch.testing.assert_close(ours.out((weights @ v).transpose(1, 2).flatten(2)), out, atol=1e-5, rtol=1e-5)
    left = mask.flip(1)  # padding in front: the first rows have nothing to read
    changed = x.clone()
    changed[~left] += 10.0
    torch.testing.assert_close(ours(x, left)[left], ours(changed, left)[left], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_a_row_with_nothing_to_read_is_finite_and_so_is_its_gradient(batch, causal):
    x, mask = batch
    mask = mask.clone()
    mask[1] = False
    mask[2] = mask[2].flip(0)
    ours = Attention(12, 3, causal)
    x.requires_grad_(True)
    ours(x, mask).square().sum().backward()
    weights = ours.weights(x, mask)
    assert torch.isfinite(x.grad).all() and torch.isfinite(weights).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 3, 7), atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
def test_the_mask_is_true_where_a_step_is_read(batch, causal):
    """The other polarity raises nothing (curriculum, 2), so it is tried: a change at an unread step reaches nobody."""
    x, mask = batch
    ours = Attention(12, 3, causal)
    for changed_at, seen in ((1, True), (6, False)):
        other = x.clone()
        other[1, changed_at] += torch.randn(12)
        apart = (ours(other, mask) - ours(x, mask))[1, 4].abs().max()
        assert bool(apart > 1e-4) is seen
