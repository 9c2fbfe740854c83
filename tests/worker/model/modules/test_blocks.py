"""Blocks against torchvision's own with the same weights."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models.efficientnet import MBConv, MBConvConfig
from torchvision.models.mobilenetv2 import InvertedResidual

from core.worker.model.modules.blocks import DepthwiseSeparable, InvertedBottleneck


def with_the_same_state(ours: nn.Module, theirs: nn.Module) -> None:
    """Both hold the same kinds of tensors in the same order; norms get statistics that are not 0 and 1."""
    for name, value in ours.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value))
    mine, other = ours.state_dict(), theirs.state_dict()
    assert [v.shape for v in mine.values()] == [v.shape for v in other.values()]
    theirs.load_state_dict(dict(zip(other, mine.values(), strict=True)))


@pytest.mark.parametrize(("channels", "stride", "expand"), [(8, 1, 6), (8, 2, 6), (12, 1, 6), (8, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_an_inverted_bottleneck_equals_mobilenets(channels, stride, expand, training):
    torch.manual_seed(0)
    ours = InvertedBottleneck(8, channels, expand, 3, stride, squeeze=False, activation="relu6").train(training)
    theirs = InvertedResidual(8, channels, stride, expand).train(training)
    with_the_same_state(ours, theirs)
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("channels", "kernel", "stride", "expand"), [(8, 3, 1, 6), (8, 5, 2, 4), (16, 5, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_with_the_gate_it_equals_efficientnets(channels, kernel, stride, expand, training):
    torch.manual_seed(0)
    ours = InvertedBottleneck(8, channels, expand, kernel, stride, squeeze=True, activation="silu").train(training)
    asked = MBConvConfig(expand, kernel, stride, 8, channels, 1)
    theirs = MBConv(asked, 0.0, partial(nn.BatchNorm2d)).train(training)
    with_the_same_state(ours, theirs)
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)


def test_a_depthwise_separable_block_is_two_convolutions():
    torch.manual_seed(0)
    ours = DepthwiseSeparable(4, 6, 3, 2).eval()
    x = torch.randn(2, 4, 9, 9)
    each = [
        nn.functional.conv2d(x[:, c : c + 1], ours.depthwise.weight[c : c + 1], stride=2, padding=1) for c in range(4)
    ]
    between = torch.relu(ours.norm1(torch.cat(each, 1)))
    mixed = torch.einsum("oc,bchw->bohw", ours.pointwise.weight[:, :, 0, 0], between)
    torch.testing.assert_close(ours(x), torch.relu(ours.norm2(mixed)), atol=1e-5, rtol=1e-5)
    assert sum(p.numel() for p in ours.parameters() if p.dim() == 4) == 9 * 4 + 4 * 6


@pytest.mark.parametrize(
    "block",
    [
        DepthwiseSeparable(4, 4, 3, 1),
        InvertedBottleneck(4, 4, 2, 3, 1, True, "silu"),
        InvertedBottleneck(4, 4, 2, 3, 1, False, "relu6"),
    ],
)
def test_each_activation_is_a_module_of_its_own_and_changes_nothing_in_place(block):
    """Captum's rules are put on modules: one used twice, or one that writes over its input, breaks them."""
    calls: list[nn.Module] = []
    for module in block.modules():
        if not list(module.children()):
            assert not getattr(module, "inplace", False)
            module.register_forward_hook(lambda m, _i, _o: calls.append(m))
    block(torch.randn(2, 4, 5, 5))
    assert len(calls) == len(set(calls))
