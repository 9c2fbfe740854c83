"""What looks at a training, and what it may cost: budgets, and readings of the gradients and of the memory."""

from __future__ import annotations

import math
import statistics
from collections import deque

import torch
from torch import Tensor, nn


class Budget:
    """Says when an instrument may be used again, so that it costs no more than `share` of the time.

    After a use that took c seconds the next is due c / share later; the first few come sooner (at most 0.5 s
    later), so that a run that begins is seen to begin although first uses are slow. A use that something else on
    the machine held up counts as four usual ones at most: it says nothing of the next.
    """

    def __init__(self, share: float, eager: int = 3, shortest: float = 0.04) -> None:
        self.share, self.eager, self.shortest = share, eager, shortest
        self.due_at, self.used, self.spent = 0.0, 0, 0.0
        self._costs: deque[float] = deque(maxlen=5)

    def due(self, now: float) -> bool:
        """May it be used now?"""
        return now >= self.due_at

    def charge(self, cost: float, now: float) -> None:
        """It was used: `cost` seconds, ending `now`."""
        self.used += 1
        self.spent += cost
        self._costs.append(cost)
        wait = max(min(cost, 4 * statistics.median(self._costs)) / self.share, self.shortest)
        self.due_at = now + (min(wait, 0.5) if self.used <= self.eager else wait)


class Movement:
    """How large each layer's gradient is at a step, and how far the step moves its weights."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._layers: dict[str, list[int]] = {}  # layer → places of its parameters
        for i, (name, _p) in enumerate(network.named_parameters()):
            self._layers.setdefault(name.partition(".")[0], []).append(i)
        self._before: list[Tensor] = []
        self._norms = torch.empty(0)

    def before(self) -> None:
        """Before the step: gradient norms, and a copy of the weights."""
        weights = [p.detach() for p in self._network.parameters()]
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._network.parameters()]
        self._norms = torch.stack(torch._foreach_norm(grads))
        self._before = [w.clone() for w in weights]

    def after(self) -> list[tuple[str, float, float]]:
        """After the step: (layer, norm of its gradient, how far its weights moved as a share of their size)."""
        weights = [p.detach() for p in self._network.parameters()]
        moved = torch.stack(torch._foreach_norm(torch._foreach_sub(weights, self._before)))
        sizes = torch.stack(torch._foreach_norm(self._before))
        table = torch.stack([self._norms, moved, sizes]).square_().tolist()  # the one synchronisation of a look
        self._before = []
        found = []
        for layer, places in self._layers.items():
            norm, step, size = (math.sqrt(sum(row[i] for i in places)) for row in table)
            found.append((layer, norm, step / size if size else 0.0))
        return found


def memory_in_use(device: torch.device) -> int:
    """Bytes: of the GPU's allocator, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    import psutil

    return int(psutil.Process().memory_info().rss)
