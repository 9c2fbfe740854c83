"""The forward and backward pass of a step; on a GPU recorded once as a CUDA graph, and replayed from then on.

A step of a small network is launch-bound: the GPU waits while Python starts a hundred small kernels one by one. A
graph starts them all at once, and they compute what they computed before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.modules.recurrent import Recurrent
from core.tasks import Loss

Passes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # inputs, targets → logits, loss; a gradient in every weight

WARM_UP = 3  # steps made as they come: libraries choose their kernels in them, which nothing may do while recording


def passes(
    network: nn.Module, forward: Callable[[Tensor], Tensor], loss_for: Loss, clip_norm: float, spoilt: Tensor | None
) -> Passes:
    """Both passes, and the gradients clipped to `clip_norm` (0: not). The loss is yours to read, now or later.

    spoilt: [] float, 0; it becomes 1 with the first loss that is not finite, and stays so: a fused optimizer whose
    `found_inf` it is then leaves the weights as they are. None where the loss is read at every step.
    """
    parameters = list(network.parameters())

    def both(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        for parameter in parameters:  # what zero_grad does, without its profiling hooks
            parameter.grad = None
        logits = forward(x)
        loss = loss_for(logits, y)
        loss.backward()  # type: ignore[no-untyped-call]
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, clip_norm, foreach=True)
        loss = loss.detach()
        if spoilt is not None:
            torch.maximum(spoilt, (~loss.isfinite()).float(), out=spoilt)
        return logits.detach(), loss

    return Replayed(both) if spoilt is not None and spoilt.is_cuda and _recordable(network) else both


def _recordable(network: nn.Module) -> bool:
    """Does the host never wait for a number from the device? Packing a sequence for both directions needs lengths."""
    return not any(isinstance(m, Recurrent) and m.core.bidirectional for m in network.modules())


class Replayed:
    """Passes as a CUDA graph, for batches of one shape. The logits hold until the next call."""

    def __init__(self, both: Passes) -> None:
        self._both, self._left = both, WARM_UP
        self._graph: Any = None
        self._given: tuple[Tensor, Tensor]
        self._found: tuple[Tensor, Tensor]

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, loss)."""
        if self._left:
            self._left -= 1
            return self._both(x, y)
        if self._graph is None:
            self._given = x.clone(), y.clone()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._found = self._both(*self._given)
        for place, batch in zip(self._given, (x, y), strict=True):
            place.copy_(batch)
        self._graph.replay()
        logits, loss = self._found
        return logits, loss.clone()
