"""When a waiting run will begin: from what the runs before it still have to do, at their pace.

What a step takes is measured while a run trains. A run that has not trained yet is taken to be as fast as one of the
same network and data, else as one of the same architecture and data set; where there is none, to take as long as the
runs that have finished did (their median).
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.spec.events import RUNNING, Status
from core.spec.specs import Experiment, content_id

READINGS = 12  # statuses, about one a second, that a pace is measured over
REMEMBERED = 50  # finished runs, the newest, whose durations are taken

Kind = tuple[str, ...]  # from what it names exactly to what it names roughly


def kinds(experiment: Experiment) -> tuple[Kind, Kind]:
    """What has the same pace: the same data, network and batch; and, roughly, the same architecture on the same set."""
    rough = (experiment.model.architecture, experiment.data.name)
    batch = str(experiment.train.batch_size)
    return (content_id(experiment.data), content_id(experiment.model), batch), rough


@dataclass
class Clock:
    """The newest (monotonic seconds, step) of a run that trains."""

    readings: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=READINGS))

    def hear(self, status: Status, now: float) -> None:
        """Take in what the run says; a pause, or a step back, begins anew."""
        if status.state != RUNNING or (self.readings and status.step < self.readings[-1][1]):
            self.readings.clear()
        if status.state == RUNNING and status.step:
            self.readings.append((now, status.step))

    def pace(self) -> float | None:
        """Seconds a step; None before two readings with steps between them."""
        if len(self.readings) < 2:
            return None
        (then, first), (now, last) = self.readings[0], self.readings[-1]
        return (now - then) / (last - first) if last > first else None


class Paces:
    """What is known of how long runs take."""

    def __init__(self) -> None:
        self._paces: dict[Kind, float] = {}
        self._durations: deque[float] = deque(maxlen=REMEMBERED)

    def measured(self, experiment: Experiment, pace: float) -> None:
        """A step of such a run takes `pace` seconds at the moment."""
        for kind in kinds(experiment):
            self._paces[kind] = pace

    def finished(self, experiment: Experiment, steps: int, seconds: float) -> None:
        """Such a run took so long; where its kind was measured while it trained, that stands."""
        if steps > 0 and seconds > 0:
            self._durations.append(seconds)
            for kind in kinds(experiment):
                self._paces.setdefault(kind, seconds / steps)

    def left(self, experiment: Experiment, steps: int, pace: float | None = None) -> float | None:
        """Seconds that so many steps of such a run take; `pace`: its own, if it is known.

        steps = 0: nobody knows yet how many there are.
        """
        for known in (pace, *(self._paces.get(kind) for kind in kinds(experiment))):
            if known is not None and steps > 0:
                return steps * known
        return statistics.median(self._durations) if self._durations else None


def waits(slots: int, busy: Iterable[float | None], line: Sequence[float | None]) -> list[float | None]:
    """Seconds until each of the line begins; None where it hangs on something unknown.

    busy: what each run that holds a slot still takes. line: what each waiting run will take. First come, first served.
    """
    unknown = math.inf
    free = [unknown if seconds is None else seconds for seconds in busy]
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    found: list[float | None] = []
    for seconds in line:
        begins = heapq.heappop(free)
        found.append(None if math.isinf(begins) else begins)
        heapq.heappush(free, begins + (unknown if seconds is None else seconds))
    return found


def rounded(seconds: float) -> tuple[int, str]:
    """A count and its unit (second, minute or hour), as exact as an expectation is."""
    if seconds < 55:
        return max(5, 5 * round(seconds / 5)), "second"
    if seconds < 55 * 60:
        return max(1, round(seconds / 60)), "minute"
    return max(1, round(seconds / 3600)), "hour"
