"""When an answer is turned: what is wanted instead of it, how far it is, and the network's answers to many inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from core.catalog.views.attack import MARGIN
from core.worker.explain.explained_case import Case, Target


class Logits(Target):
    """All of them: [n, class]."""

    def of(self, answers: Tensor) -> Tensor:
        """[n, …] answers of the network → [n, class]."""
        return answers.flatten(1)


@dataclass(frozen=True)
class Goal(Target):
    """Another answer than class `index`; `wanted` is the class it shall be, −1 = any other.

    As a Target it is the number that an attack drives up, [n]: the margin below, or a cross-entropy, which grows with
    the loss of `index` or falls with that of `wanted`; with `aim` ≥ 0 the logit of that class − that of `index`.
    """

    wanted: int = -1
    loss: str = MARGIN
    aim: int = -1

    def of(self, answers: Tensor) -> Tensor:
        """[n, …] answers of the network → [n]."""
        logits = answers.flatten(1)
        if self.aim >= 0:
            return logits[:, self.aim] - logits[:, self.index]
        if self.loss == MARGIN:
            return self.margin(logits)
        named = self.index if self.wanted < 0 else self.wanted
        losses = -F.log_softmax(logits, 1)[:, named]
        return losses if self.wanted < 0 else -losses

    def margin(self, logits: Tensor) -> Tensor:
        """[n, class] → [n]: above 0 the answer is turned. Best other logit − that of the answer (of the wanted class:
        its logit − the best other; Carlini & Wagner 2017, f6)."""
        named = self.index if self.wanted < 0 else self.wanted
        others = logits.clone()
        others[:, named] = -float("inf")
        ahead = logits[:, named] - others.max(1).values
        return -ahead if self.wanted < 0 else ahead

    def turned(self, logits: Tensor) -> Tensor:
        """[n, class] → [n] bool."""
        return self.margin(logits) > 0


def logits(case: Case, inputs: Tensor) -> Tensor:
    """The network's answers to [n, …] inputs: [n, class]."""
    case.target = Logits(0)
    return case.values(inputs)
