"""The losses of steps that were made, until they are told: read at every step or, on a GPU, many at once."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor

MOST = 4096  # losses that may wait until they are read


class Loss(NamedTuple):
    """Of one step, when it was made, and the indices of the samples in its batch."""

    step: int
    value: float
    time: float
    batch: Tensor


class Losses:
    """Losses in the order of their steps.

    late: each stays on the device until `read`, so that no step waits for it. `spoilt` [] is then for the passes to set
    to 1 with the first loss that is not finite, and for the optimizer to heed (see step.py); else it is None.
    """

    def __init__(self, device: torch.device, late: bool) -> None:
        self.spoilt = torch.zeros((), device=device) if late else None
        self._unread = torch.empty(MOST if late else 0, device=device)
        self._places = self._unread.unbind()
        self._kept: list[Loss] = []

    def add(self, step: int, loss: Tensor, batch: Tensor) -> bool:
        """Keep one. False where it is known already that it is not finite."""
        value = 0.0
        if self.spoilt is None:
            value = loss.item()
        else:
            self._places[len(self._kept)].copy_(loss)
        self._kept.append(Loss(step, value, time.time(), batch))
        return math.isfinite(value)

    @property
    def full(self) -> bool:
        """Must they be read before the next?"""
        return len(self._kept) == MOST

    def read(self) -> list[Loss]:
        """All since the last time, but none after the first that is not finite: nothing has been learned since."""
        kept, self._kept = self._kept, []
        if self.spoilt is not None:
            values = self._unread[: len(kept)].tolist()
            kept = [loss._replace(value=value) for loss, value in zip(kept, values, strict=True)]
        fatal = next((i for i, loss in enumerate(kept) if not math.isfinite(loss.value)), len(kept))
        return kept[: fatal + 1]
