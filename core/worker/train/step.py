"""What a step does to a network, as work that a GPU records once and replays: both passes, and the optimizer's step.

A step of a small network is launch-bound: the GPU waits while Python starts a hundred small kernels one by one. A
recorded step (a CUDA graph) starts them all at once, and they compute what they computed before, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.worker.model.modules.recurrent import Recurrent
from core.worker.train.objective import Loss

Work = Callable[..., tuple[Tensor, ...]]  # tensors, always of the same shapes → tensors

WARM_UP = 3  # times that work is done as it comes: in them libraries choose their kernels, which no recording may do


def passes(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    loss_for: Loss,
    pick: Work,
    clip_norm: float,
    spoilt: Tensor | None,
) -> Work:
    """Both passes, a gradient in every weight, clipped to `clip_norm` (0: not) → logits, targets and loss.

    Given a batch (inputs, targets), or the samples' indices, of which `pick` makes it. The loss is not read.
    spoilt: [] float, 0; it becomes 1 with the first loss that is not finite, and stays so: a fused optimizer whose
    `found_inf` it is then leaves the weights as they are. None where the loss is read at every step.
    """
    parameters = list(network.parameters())

    def both(*given: Tensor) -> tuple[Tensor, ...]:
        x, y = given if len(given) == 2 else pick(*given)
        for parameter in parameters:  # what zero_grad does, without its profiling hooks
            parameter.grad = None
        logits = forward(x)
        loss = loss_for(logits, y)
        loss.backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, clip_norm, foreach=True)
        loss = loss.detach()
        if spoilt is not None:
            torch.maximum(spoilt, (~loss.isfinite()).float(), out=spoilt)
        return logits.detach(), y, loss

    return both


def step_of(optimizer: torch.optim.Optimizer) -> Work:
    """The optimizer's step on a GPU, as work that may be recorded."""

    def step() -> tuple[Tensor, ...]:
        recording = torch.cuda.is_current_stream_capturing()
        for group in optimizer.param_groups:
            if "capturable" in group:  # Adam's; it warns where it is set and nothing is recorded
                group["capturable"] = recording
        optimizer.step()
        return ()

    return step


def recordable(network: nn.Module) -> bool:
    """Does the host never wait for a number from the device? Packing a sequence for both directions needs lengths."""
    return not any(isinstance(m, Recurrent) and m.core.bidirectional for m in network.modules())


class Recorded:
    """Work that is done on a GPU again and again, as a CUDA graph. What it gives holds until the next time."""

    def __init__(self, work: Work) -> None:
        self._work, self._left = work, WARM_UP
        self._graph: Any = None
        self._given: tuple[Tensor, ...] = ()
        self._found: tuple[Tensor, ...] = ()

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        if self._left:
            self._left -= 1
            return self._work(*given)
        if self._graph is None:
            self._given = tuple(tensor.clone() for tensor in given)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._found = self._work(*self._given)
        for place, tensor in zip(self._given, given, strict=True):
            place.copy_(tensor)
        self._graph.replay()
        return self._found
