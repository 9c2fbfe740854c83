"""What is asked of a model, as arithmetic: the loss that is minimised, what is counted, and what it is called.

classes: cross-entropy, share answered right · each_step: the same over the steps that are asked (the rest has the
target −100) · number: mean squared error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER
from core.spec.sentences import Sentence, _
from core.worker.data.splits import NOT_ASKED

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, y: Tensor, reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """The loss of logits [batch, class], or [batch, step, class] with y [batch, step], −100 where none is asked.

    y of classes may also be probabilities [batch, class].
    """
    if logits.dim() > 2:
        logits, y = logits.flatten(0, -2), y.flatten()
    return F.cross_entropy(logits, y, reduction=reduction, label_smoothing=label_smoothing)


def squared_error(answers: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """The loss of numbers [batch, 1] against y [batch]."""
    return F.mse_loss(answers.reshape(y.shape), y, reduction=reduction)


def loss_of(task: str, label_smoothing: float = 0.0) -> Loss:
    """The function (what the network gives, targets) → the mean loss that a step minimises."""
    if task == NUMBER:
        return squared_error
    if label_smoothing:
        return lambda logits, y: cross_entropy(logits, y, label_smoothing=label_smoothing)
    return cross_entropy


@dataclass
class Tally:
    """Losses and right answers, summed over batches; what is not asked is not counted."""

    task: str
    loss: float = 0.0
    right: int = 0
    answers: int = 0

    def add(self, given: Tensor, y: Tensor) -> None:
        """Count what the network gave for targets y. Class probabilities [batch, class] count by their largest."""
        if self.task == NUMBER:
            self.loss += float(squared_error(given, y, "sum"))
            self.answers += y.numel()
            return
        self.loss += float(cross_entropy(given, y, "sum"))
        right, asked = answered(given, y, self.task)
        self.right += right
        self.answers += asked

    def figures(self) -> dict[str, float]:
        """Name → value: loss, and accuracy or mse; nothing where nothing was asked."""
        if not self.answers:
            return {}
        loss = self.loss / self.answers
        return {"loss": loss, **({"mse": loss} if self.task == NUMBER else {"accuracy": self.right / self.answers})}


def answered(logits: Tensor, y: Tensor, task: str) -> tuple[int, int]:
    """(how many answers are right, how many were asked for)."""
    predicted = logits.argmax(-1)
    if task == CLASSES:
        return int((predicted == (y if y.dim() == 1 else y.argmax(-1))).sum()), len(y)
    asked = y != NOT_ASKED
    return int(((predicted == y) & asked).sum()), int(asked.sum())


def verdict(task: str, latest: dict[str, float], targets: Tensor) -> str:
    """One sentence on a finished training, from its last figures and the test set's targets."""
    if task == NUMBER:
        guess = float(targets.var(correction=0))
        return Sentence(
            "The mean squared error on the test samples is {mse:.3g} (always answering their mean has {guess:.3g}).",
            mse=latest.get("test/mse", float("nan")),
            guess=guess,
        )
    accuracy = latest.get("test/accuracy", float("nan"))
    what = _("the steps asked in the test samples") if task == EACH_STEP else _("the test samples")
    return Sentence("{accuracy:.1%} of {what} are answered right.", accuracy=accuracy, what=what)
