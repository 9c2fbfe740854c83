"""Products of the gradients of single samples' losses: ∇ℓ(z) · ∇ℓ(z′), for many z at once (see influence.py)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.catalog.entries import EACH_STEP, NUMBER
from core.worker.data.splits import NOT_ASKED
from core.worker.model.build import Network
from core.worker.train.objective import squared_error

BATCH = 64

Pieces = tuple[Tensor, Tensor]  # inputs [n, step, d], errors [n, step, k] of the last layer


@dataclass(frozen=True)
class Asked:
    """The training samples that are asked, as they were trained. truths: labels before any were replaced."""

    index: Tensor
    x: Tensor
    y: Tensor
    truths: Tensor
    task: str
    smoothing: float

    def __len__(self) -> int:
        return len(self.index)


def last_layer(network: Network, x: Tensor, y: Tensor, task: str, smoothing: float = 0.0) -> Pieces:
    """Inputs [n, step, d] (with a 1 behind, for the bias) and errors [n, step, k] of the last layer; one step if none.

    The error is the derivative of each sample's own loss by what the layer gives.
    """
    held: list[Tensor] = []
    head = network.get_submodule(network.addresses[-1])
    handle = head.register_forward_pre_hook(lambda _module, inputs: held.append(inputs[0]))
    try:
        with torch.no_grad():
            given = network(x)
    finally:
        handle.remove()
    given = given.detach().requires_grad_()
    (errors,) = torch.autograd.grad(each_loss(given, y, task, smoothing).sum(), given)
    inputs = held[0].detach()
    if head.bias is not None:
        inputs = F.pad(inputs, (0, 1), value=1.0)
    return (inputs, errors) if inputs.dim() == 3 else (inputs[:, None], errors[:, None])


def each_loss(given: Tensor, y: Tensor, task: str, smoothing: float = 0.0) -> Tensor:
    """[n]: every sample's own loss; where each step is answered, the mean over those that are asked."""
    if task == NUMBER:
        return squared_error(given, y, "none").reshape(len(y))
    if task == EACH_STEP:
        losses = F.cross_entropy(given.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=smoothing)
        return losses.reshape(y.shape).sum(1) / (y != NOT_ASKED).sum(1).clamp_min(1)
    return F.cross_entropy(given, y, reduction="none", label_smoothing=smoothing)


def on_itself(inputs: Tensor, errors: Tensor) -> Tensor:
    """[n]: the squared length of each sample's gradient, from its products over all pairs of steps."""
    found = []
    for a, e in zip(inputs.split(BATCH), errors.split(BATCH), strict=True):
        found.append(((a @ a.transpose(1, 2)) * (e @ e.transpose(1, 2))).sum((1, 2)))
    return torch.cat(found)


def every_weight(network: Network, test: tuple[Tensor, Tensor], asked: Asked, told: Any) -> Tensor:
    """[n]: the product of the test sample's gradient with that of each asked sample, over all weights."""
    network = copy.deepcopy(network).requires_grad_()
    weights = list(network.parameters())
    found = []
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
        loss = each_loss(network(test[0]), test[1], asked.task).sum()
        ours = torch.autograd.grad(loss, weights, allow_unused=True)
        for start in range(0, len(asked), BATCH):
            told(start / len(asked))
            part = slice(start, start + BATCH)
            losses = each_loss(network(asked.x[part]), asked.y[part], asked.task, asked.smoothing)
            u = torch.zeros_like(losses, requires_grad=True)
            theirs = torch.autograd.grad(losses, weights, u, create_graph=True, allow_unused=True)
            pairs = [(a * b).sum() for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
            found.append(torch.autograd.grad(torch.stack(pairs).sum(), u)[0].detach())
    return torch.cat(found)
