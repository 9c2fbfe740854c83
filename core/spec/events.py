"""What happened in a run, and what can be asked of one. Plain values: they cross every wall."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.spec.sentences import _


class Event(NamedTuple):
    """One number of a run: `name` is slashed (`train/loss`, `grad_norm/conv1`), `time` is seconds since the epoch.

    Names: train/loss, train/accuracy, val/loss, val/accuracy (val/mse where a number is asked), test/…, lr,
    grad_norm/LAYER, update_ratio/LAYER (‖Δw‖/‖w‖ of one step), samples_per_second, memory (bytes), best/val_loss and
    best/step (early stopping), suggested/lr (a range test), set/FIELD (a change made by hand, where it took effect).
    """

    step: int
    name: str
    value: float
    time: float


@dataclass(frozen=True)
class Status:
    """Where a run stands. `words` are sentences for a person; empty when there is nothing to say."""

    state: str  # one of STATES
    step: int = 0
    steps: int = 0
    words: str = ""
    layer: str = ""  # the layer that the words are about, if any


QUEUED, RUNNING, PAUSED, FINISHED, STOPPED, FAILED = "queued", "running", "paused", "finished", "stopped", "failed"
STATE_WORDS = {  # a run's state within a sentence
    QUEUED: _("queued"),
    RUNNING: _("running"),
    PAUSED: _("paused"),
    FINISHED: _("finished"),
    STOPPED: _("stopped"),
    FAILED: _("failed"),
}
STATES = (QUEUED, RUNNING, PAUSED, FINISHED, STOPPED, FAILED)
ENDED = (FINISHED, STOPPED, FAILED)
# `pausing for another` and `the engine went away` are told by the words, not by more states.


@dataclass(frozen=True)
class Command:
    """pause | resume | step | stop | set ({field: value}) | watch (sample, layer) | park (free the slot)."""

    verb: str
    values: dict[str, Any] = field(default_factory=dict)


SETTABLE = ("lr", "weight_decay", "clip_norm")


@dataclass
class Snapshot:
    """The weights at one step, for looking: name → array."""

    step: int
    tensors: dict[str, Any]


@dataclass
class Frame:
    """What the live view shows at one step besides curves. `arrays` by name, shapes below; bytes: core.engine.live.

    By meta["kind"] (picture, tokens, sequence, points): pictures [n, H, W] or [n, H, W, 3] uint8; tokens [n, T] (−1
    after the end); sequences [n, T] float32, with marks [n, T] uint8 where some steps are meant; points [n, 2] float32
    within meta["range"] (low, high). By meta["task"]: classes — targets [n], predicted [n] ints, confidence [n] in 0…1;
    number — targets [n], predicted [n] float32, no confidence; each_step — targets [n, T] (−100 where none is asked),
    predicted [n, T] ints, confidence [n], the mean over the steps that are asked.
    view: the chosen layer's array for the current sample, quantised to uint8
    (`meta["low"]`, `meta["high"]` give the scale), with meta["view"] one of feature_maps [C, H, W],
    attention [head, query, key], states [T, H], vector [F].
    """

    step: int
    time: float
    meta: dict[str, Any]
    arrays: dict[str, Any]


def json_number(value: float) -> float | str:
    """A float as JSON may hold it: non-finite values as the strings nan, inf, -inf."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def from_json_number(value: float | str) -> float:
    """The inverse of json_number."""
    return float(value)
