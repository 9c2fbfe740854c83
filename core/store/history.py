"""A run's numbers as a curve can show them: of every stretch the least, the largest and the last value, found once.

Half a million rows are read in about a second and then kept, so each later look reads what is new. The folder is the
truth: this is forgotten with the process and built again from the rows.
"""

from __future__ import annotations

import gc
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.spec.events import from_json_number, json_number
from core.store.log import rows_in
from core.store.runs import Run

POINTS, STRIPS = 1500, 200  # stretches of a curve, and of one layer's row in a strip: a picture has no more columns
WIDTH = 50  # steps over which a curve is smoothed, as assets/web/charts.js does for runs of 3,000 steps and more
KEPT = 64  # runs that are remembered
_NONE: dict[str, Any] = {}
_LAYERS = ("grad_norm/", "update_ratio/")
_KEEP = 1 - 1 / WIDTH  # of a sum, from one step to the next
_SMOOTHED = ("train/loss", "train/accuracy")


@dataclass
class Series:
    """One name's numbers, thinned. The first value of a step stands; steps rise."""

    most: int
    steps: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    times: np.ndarray = field(default_factory=lambda: np.empty(0))
    last: int = -1  # its newest step

    def add(self, steps: list[int], values: list[float], times: list[float]) -> None:
        """Take in numbers of rising steps, all later than those before."""
        self.steps = np.concatenate([self.steps, np.array(steps, np.int64)])
        self.values = np.concatenate([self.values, np.array(values, np.float64)])
        self.times = np.concatenate([self.times, np.array(times, np.float64)])
        self.last = int(self.steps[-1])
        if len(self.steps) > 16 * self.most:
            self.thin()

    def thin(self) -> None:
        """Keep what shows. Stretches begin at multiples of a power of two, so thinning twice is thinning once."""
        kept = thinned(self.steps, self.values, self.most)
        self.steps, self.values, self.times = self.steps[kept], self.values[kept], self.times[kept]


@dataclass
class Smooth:
    """An exponential mean over about WIDTH steps: the sums with which it goes on, and the curve so far."""

    curve: Series = field(default_factory=lambda: Series(POINTS))
    sum: float = 0.0
    weight: float = 0.0
    step: int = -1

    def add(self, steps: list[int], values: list[float]) -> None:
        """Take in what the series takes in; what is no number is left out."""
        at, means = [], []
        total, weight, before = self.sum, self.weight, self.step if self.step >= 0 else steps[0] - 1
        for step, value in zip(steps, values, strict=True):
            if value - value == 0:  # neither infinite nor no number
                keep = _KEEP if step - before == 1 else _KEEP ** (step - before)
                total, weight = keep * total + value, keep * weight + 1
                at.append(step)
                means.append(total / weight)
            before = step
        self.sum, self.weight, self.step = total, weight, before
        if at:
            self.curve.add(at, means, [0.0] * len(at))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which would take half of the time: many rows come and go, none in a cycle."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class History:
    """What is known of one run's rows up to byte `offset`."""

    def __init__(self) -> None:
        self.offset, self.count = 0, 0  # bytes and rows that were read
        self.series: dict[str, Series] = {}
        self.smooth = {name: Smooth() for name in _SMOOTHED}
        self.status: dict[str, Any] | None = None  # the newest row that says where the run stands
        self.newest: dict[str, float] = {}  # name → its last value

    def read(self, run: Run) -> None:
        """Take in what is new; all of it anew where rows were taken back."""
        while True:
            data, offset = run.rows_after(self.offset)
            if offset - len(data) < self.offset:
                self.__init__()  # type: ignore[misc]
            self.offset = offset
            if not data:
                return
            with _uncollected():
                self.add(rows_in(data))

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Take in rows in their order."""
        self.count += len(rows)
        for name, (steps, values, times) in self._fresh(rows).items():
            if name not in self.series:
                self.series[name] = Series(STRIPS if name.startswith(_LAYERS) else POINTS)
            self.series[name].add(steps, values, times)
            self.newest[name] = values[-1]
            if name in self.smooth:
                self.smooth[name].add(steps, values)

    def _fresh(self, rows: list[dict[str, Any]]) -> dict[str, tuple[list[int], list[float], list[float]]]:
        """name → (steps, values, times) of the numbers that do not stand yet."""
        fresh: dict[str, tuple[list[int], list[float], list[float]]] = {}
        reached = {name: series.last for name, series in self.series.items()}
        for row in rows:  # half a million at once: each line here costs a tenth of a second
            step = row["step"]
            if "status" in row:
                self.status = row
            for name, value in row.get("values", _NONE).items():
                if step <= reached.get(name, -1):
                    continue
                if type(value) is not float and (value := _number(value)) is None:
                    continue
                reached[name] = step
                if name not in fresh:
                    fresh[name] = ([], [], [])
                steps, values, times = fresh[name]
                steps.append(step)
                values.append(value)
                times.append(row["time"])
        return fresh

    def rows(self) -> list[dict[str, Any]]:
        """The thinned numbers as rows (see core.store.log), and the newest status; steps rise."""
        found: dict[int, dict[str, Any]] = {}
        for name, series in self.series.items():
            series.thin()
            columns = (one.tolist() for one in (series.steps, series.values, series.times))
            for step, value, when in zip(*columns, strict=True):
                row = found.setdefault(step, {"step": step, "time": when, "values": {}})
                row["values"][name] = json_number(value)
        rows = [found[step] for step in sorted(found)]
        return [*rows, self.status] if self.status else rows

    def message(self) -> str:
        """What a watcher of the live stream gets in the place of all rows up to `offset` (see core.engine.live)."""
        smooth = {}
        for name, one in self.smooth.items():
            one.curve.thin()
            if one.step >= 0:
                smooth[name] = {
                    "steps": one.curve.steps.tolist(),
                    "values": [float(f"{v:.6g}") for v in one.curve.values.tolist()],
                    "sum": one.sum,
                    "weight": one.weight,
                    "last": one.step,
                }
        told = {"after": 0, "offset": self.offset, "rows": self.rows(), "thinned": self.count, "smooth": smooth}
        return json.dumps(told, separators=(",", ":"), allow_nan=False)


def _number(value: Any) -> float | None:
    try:
        return from_json_number(value)
    except (TypeError, ValueError, OverflowError):  # a failing disk, or another program, was here
        return None


def thinned(steps: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Indices of the points to keep: of at most `most` stretches the least, the largest, the last, and the first that
    is no number. `steps` [n] rise.
    """
    if len(steps) <= most:
        return np.arange(len(steps))
    width = 1
    while steps[-1] // width - steps[0] // width >= most:
        width *= 2
    stretch = steps // width
    begins = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    place = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(steps)))
    finite = np.isfinite(values)
    kept = [np.append(begins[1:] - 1, len(steps) - 1)]
    for fill, reduce in ((np.inf, np.minimum), (-np.inf, np.maximum)):
        filled = np.where(finite, values, fill)
        extreme = np.flatnonzero(finite & (filled == reduce.reduceat(filled, begins)[place]))
        kept.append(extreme[np.unique(place[extreme], return_index=True)[1]])
    bad = np.flatnonzero(~finite)
    kept.append(bad[np.unique(place[bad], return_index=True)[1]])
    return np.unique(np.concatenate(kept))


_known: OrderedDict[Path, tuple[threading.Lock, History]] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def history(run: Run) -> Iterator[History]:
    """The run's numbers up to its newest row; nobody else reads or adds to them meanwhile."""
    with _lock:
        mine, found = _known.setdefault(run.path, (threading.Lock(), History()))
        _known.move_to_end(run.path)
        while len(_known) > KEPT:
            _known.popitem(last=False)
    with mine:
        found.read(run)
        yield found


def told(run: Run) -> tuple[str, int]:
    """(message for a watcher, offset after it) of all rows that there are."""
    with history(run) as found:
        return found.message(), found.offset


def curve(run: Run, name: str) -> tuple[list[int], list[float]]:
    """(steps, values) of one name, thinned."""
    with history(run) as found:
        series = found.series.get(name)
        if series is None:
            return [], []
        series.thin()
        return series.steps.tolist(), series.values.tolist()


def latest(run: Run) -> dict[str, float]:
    """name → its last value."""
    with history(run) as found:
        return dict(found.newest)
