"""Muon: on matrices torch's own to the bit; elsewhere AdamW's; one optimizer whose state is one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.spec.specs import preset
from core.worker.model.build import build, data_form
from core.worker.model.modules.muon import Muon, hidden_matrices, orthogonal

SHAPES = [(8, 8), (4, 20), (20, 4), (1, 7)]


def network_of(*sizes: tuple[int, int]) -> nn.Sequential:
    """Linear layers of these sizes (rows, columns) without biases, and a last layer."""
    torch.manual_seed(3)
    return nn.Sequential(*(nn.Linear(columns, rows, bias=False) for rows, columns in sizes), nn.Linear(2, 2))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon to compare with")
@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"nesterov": False}, {"ns_steps": 3}])
def test_matrices_take_torchs_own_steps_to_the_bit(options):
    network = network_of(*SHAPES)
    matrices = [p.detach().clone().requires_grad_() for p in hidden_matrices(network)]
    ours = Muon(network, lr=0.02, weight_decay=0.1, **options)
    theirs = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw", **options)
    for _step in range(3):
        for mine, other in zip(hidden_matrices(network), matrices, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        ours.step()
        theirs.step()
        for mine, other in zip(hidden_matrices(network), matrices, strict=True):
            assert torch.equal(mine, other)


def test_everything_else_takes_adamws_steps_to_the_bit():
    network = build(preset("transformer", "order").model, data_form(preset("transformer", "order").data), seed=1)
    chosen = {id(p) for p in hidden_matrices(network)}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    copies = [p.detach().clone().requires_grad_() for p in rest]
    ours = Muon(network, lr=0.01, weight_decay=0.1)
    theirs = torch.optim.AdamW(copies, lr=0.01, weight_decay=0.1, fused=True)
    for _step in range(3):
        for mine, other in zip(rest, copies, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        ours.step()
        theirs.step()
    for mine, other in zip(rest, copies, strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize(
    ("architecture", "data", "hidden", "others"),
    [
        ("cnn", "digits", {"conv1.weight", "conv2.weight"}, {"head.weight", "head.bias", "norm1.weight"}),
        (
            "transformer",
            "order",
            {"block1.attention.qkv.weight", "block2.mlp.2.weight"},
            {"embedding.weight", "positions.table", "head.weight", "norm.weight"},
        ),
        (
            "lstm",
            "digits",
            {"lstm.core.weight_ih_l0", "lstm.core.weight_hh_l0"},
            {"lstm.core.bias_hh_l0", "head.weight"},
        ),
    ],
)
def test_hidden_matrices_are_weights_without_embeddings_norms_biases_and_the_last_layer(
    architecture, data, hidden, others
):
    made = preset(architecture, data)
    network = build(made.model, data_form(made.data))
    chosen = {id(p) for p in hidden_matrices(network)}
    names = {name for name, p in network.named_parameters() if id(p) in chosen}
    assert hidden <= names and not others & names


def test_a_kernel_counts_as_a_matrix_whatever_its_memory_format():
    torch.manual_seed(0)
    one, last = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 2, 1)
    other = nn.Linear(27, 8, bias=False)
    with torch.no_grad():
        other.weight.copy_(one.weight.flatten(1))
    kernels = nn.Sequential(one, last).to(memory_format=torch.channels_last)
    pair = Muon(kernels, lr=0.1), Muon(nn.Sequential(other, nn.Linear(8, 2)), lr=0.1)
    for _step in range(2):
        grad = torch.randn(8, 3, 3, 3)
        one.weight.grad = grad.clone(memory_format=torch.channels_last)
        other.weight.grad = grad.flatten(1).clone()
        for optimizer in pair:
            optimizer.step()
    assert torch.equal(one.weight.flatten(1), other.weight)
    assert one.weight.is_contiguous(memory_format=torch.channels_last)


def test_newton_schulz_brings_every_singular_value_near_one():
    torch.manual_seed(0)
    for shape in SHAPES:
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape), 5).float())
        assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_the_learning_rate_of_the_groups_is_that_of_the_steps():
    network = network_of((4, 4))
    optimizer = Muon(network, lr=1.0, weight_decay=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert len(optimizer.state_dict()["state"]) == len(before)
