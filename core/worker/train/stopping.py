"""What may end a training before its last step: a plateau of the validation loss, or the end of a range test.

A judge is asked at steps that the experiment alone decides (every `every` steps), never by the clock, so that a run
ends at the same step however often it is repeated, paused or resumed; `state` goes into the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from core.catalog.entries import Schedule
from core.spec.quoting import Quoted
from core.spec.sentences import Sentence, _
from core.spec.specs import TrainSpec
from core.worker.model.build import Network, load_state, state_arrays

CHECKS = 40  # that a judge makes in a run
WORSE = 4.0  # a range test ends when the smoothed loss is so many times its smallest (as fastai has it)

Losses = list[tuple[float, float]]  # (learning rate, loss) of each step


class Judge(Protocol):
    """Decides at certain steps whether the training ends there."""

    every: int
    tolerant: bool  # a loss that is no number is an end like another

    def hear(self, losses: Losses) -> None:
        """The losses since the last time."""

    def ends(self, step: int, validation_loss: Callable[[], float]) -> bool:
        """Asked after the step: is this the end?"""

    def figures(self) -> dict[str, float]:
        """Events to record at the end."""

    def words(self, step: int, steps: int) -> str:
        """A sentence for the end, after `step` of `steps`; "" when there is nothing to say."""

    def state(self) -> dict[str, np.ndarray]:
        """What a resume needs."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The inverse of state."""


class EarlyStopping:
    """Ends when `patience` checks in a row have not found a smaller validation loss (Prechelt 1998)."""

    tolerant = False

    def __init__(self, patience: int, steps: int, keeps_best: bool = True) -> None:
        self.keeps_best = keeps_best
        self.patience, self.every = patience, max(1, steps // CHECKS)
        self.best, self.best_step, self.waited = math.inf, 0, 0

    def hear(self, losses: Losses) -> None:
        """Training losses do not matter here."""

    def ends(self, step: int, validation_loss: Callable[[], float]) -> bool:
        """One check."""
        loss = validation_loss()
        if loss < self.best:
            self.best, self.best_step, self.waited = loss, step, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def figures(self) -> dict[str, float]:
        """best/val_loss and best/step."""
        return {"best/val_loss": self.best, "best/step": float(self.best_step)} if self.best_step else {}

    def words(self, step: int, steps: int) -> str:
        """Where it ended, and where it was best."""
        if not self.best_step:
            return ""
        values = {"best_step": self.best_step, "best": self.best}
        kept = self.keeps_best and self.best_step < step
        end = _(", and the weights of that step are kept.") if kept else Quoted(".")
        if step >= steps:
            best = Sentence("The validation loss was smallest at step {best_step} ({best:.3g})", **values)
            return Sentence("{best}{end}", best=best, end=end)
        best = Sentence("the validation loss was smallest at step {best_step} ({best:.3g})", **values)
        return Sentence(
            "Stopped early at step {step} of {steps}: {best}{end}", step=step, steps=steps, best=best, end=end
        )

    def go_on(self) -> None:
        """The run is trained on for more steps: patience begins anew, the best so far stands."""
        self.waited = 0

    def state(self) -> dict[str, np.ndarray]:
        """What a resume needs."""
        return {"plateau": np.array([self.best, self.best_step, self.waited], dtype=np.float64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The inverse of state."""
        best, best_step, waited = state["plateau"].tolist()
        self.best, self.best_step, self.waited = best, int(best_step), int(waited)


class RangeTest:
    """Hears the loss at every learning rate; ends when the loss explodes, and suggests a rate (Smith 2017)."""

    tolerant = True

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.every = max(1, steps // CHECKS)
        self._schedule, self._heard = schedule, list[tuple[float, float]]()

    def hear(self, losses: Losses) -> None:
        """More of the curve."""
        self._heard += losses

    def ends(self, step: int, validation_loss: Callable[[], float]) -> bool:
        """Has the mean of the last few losses become much larger than the smallest such mean?"""
        size = self.every
        means = [
            sum(loss for _lr, loss in self._heard[i : i + size]) / size
            for i in range(0, len(self._heard) - size + 1, size)
        ]
        return len(means) > 1 and not means[-1] < WORSE * min(means)

    def _suggested(self) -> tuple[float, float]:
        """(suggested rate or 0, rate with the smallest loss)."""
        finite = [(lr, loss) for lr, loss in self._heard if math.isfinite(loss)]
        assert self._schedule.suggest is not None
        return self._schedule.suggest([lr for lr, _loss in finite], [loss for _lr, loss in finite])

    def figures(self) -> dict[str, float]:
        """suggested/lr, where the loss fell at all."""
        suggested, _lowest = self._suggested()
        return {"suggested/lr": suggested} if suggested else {}

    def words(self, step: int, steps: int) -> str:
        """The suggestion, and what it is read from."""
        suggested, lowest = self._suggested()
        ended = (
            Sentence(" The test ended at step {step} of {steps}, where the loss exploded.", step=step, steps=steps)
            if step < steps
            else ""
        )
        if not suggested:
            return Sentence(
                "No learning rate of the range test made the loss fall; try a wider range.{ended}", ended=ended
            )
        return Sentence(
            "Suggested learning rate: {suggested:.2g}, where the loss fell fastest; it was smallest at "
            "{lowest:.2g}.{ended}",
            suggested=suggested,
            lowest=lowest,
            ended=ended,
        )

    def state(self) -> dict[str, np.ndarray]:
        """What a resume needs."""
        return {"heard": np.array(self._heard, dtype=np.float64).reshape(-1, 2)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The inverse of state."""
        self._heard = [(lr, loss) for lr, loss in state["heard"].tolist()]


def judge_of(spec: TrainSpec, schedule: Schedule, steps: int) -> Judge | None:
    """The judge that the training asks for, if any."""
    if schedule.suggest is not None:
        return RangeTest(schedule, steps)
    return EarlyStopping(spec.early_stopping, steps, spec.keep_best) if spec.early_stopping else None


class Best:
    """The weights at the smallest validation loss so far; at the end they take the place of the last step's.

    The last step's are not lost: they are what a checkpoint holds as the model, for a training that goes on later.
    """

    def __init__(self) -> None:
        self.step = 0  # 0: none yet
        self._arrays: dict[str, np.ndarray] = {}
        self._last: dict[str, np.ndarray] = {}

    @property
    def in_place(self) -> bool:
        """Does the network hold the best weights instead of the last step's?"""
        return bool(self._last)

    def take(self, step: int, network: Network) -> None:
        """The network as it is now is the best so far."""
        self.step, self._arrays = step, state_arrays(network)

    def put_in(self, step: int, network: Network) -> None:
        """Have the network hold the best weights from now on; it has made `step` steps."""
        if self._arrays and self.step < step and not self._last:
            self._last = state_arrays(network)
            load_state(network, self._arrays)

    def last(self, network: Network) -> dict[str, np.ndarray]:
        """The weights of the step that was made last."""
        return self._last or state_arrays(network)

    def state(self) -> dict[str, np.ndarray]:
        """What a resume needs."""
        return {"step": np.array(self.step), **{f"model/{k}": v for k, v in self._arrays.items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The inverse of state; of a checkpoint that keeps no best weights nothing is taken."""
        self.step = int(state.get("step", np.array(0)))
        self._arrays = {k[6:]: v for k, v in state.items() if k.startswith("model/")}
