"""Loops that take turns, and what their times say.

Two identical loops, timed one after the other on a shared machine, differ by up to 10 %. So: every contestant works
for a tenth of a second in its turn, the order rotates, time is CPU time, and a ratio is formed inside each pair of
neighbouring turns. A pair adds up several turns, so that what a run does only now and then (a frame, a reading of
validation) is in every pair. The median of the pairs is told, with the 95 % bootstrap interval of that median.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

Contestant = Callable[[int], float]  # make so many steps; the seconds that they took
Clock = Callable[[], float]
TURN_SECONDS = 0.1
WARM_STEPS = 5


@dataclass(frozen=True)
class Plan:
    """How long is measured: `pairs` ratios, each over `turns` turns of both sides."""

    pairs: int = 40
    turns: int = 4


@dataclass(frozen=True)
class Ratio:
    """A median of ratios and the 95 % interval of that median."""

    ratio: float
    low: float
    high: float


def cpu_clock() -> float:
    """Seconds of CPU time of this process: a busy neighbour does not count. For work on one thread."""
    return time.process_time()


def gpu_clock() -> float:
    """Seconds, after everything that was asked of the GPU is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def take_turns(contestants: Mapping[str, Contestant], plan: Plan) -> dict[str, list[float]]:
    """Seconds per step of every turn of every contestant. The first sets how many steps a turn has."""
    names = list(contestants)
    for name in names:
        contestants[name](WARM_STEPS)
    steps = steps_per_turn(contestants[names[0]])
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(plan.pairs * plan.turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(contestants[name](steps) / steps)
    return seconds


def steps_per_turn(contestant: Contestant) -> int:
    """As many steps as fill a turn."""
    return max(1, round(TURN_SECONDS * WARM_STEPS / max(contestant(WARM_STEPS), 1e-6)))


def pair_ratios(reference: list[float], other: list[float], turns: int) -> list[float]:
    """How many times as fast `other` was as `reference`: one ratio for every `turns` neighbouring turns."""
    starts = range(0, len(reference) - turns + 1, turns)
    return [sum(reference[i : i + turns]) / sum(other[i : i + turns]) for i in starts]


def compared(reference: list[float], other: list[float], turns: int) -> Ratio:
    """The median of the pairs' ratios."""
    return median_of(pair_ratios(reference, other, turns))


def median_of(ratios: list[float], draws: int = 2000) -> Ratio:
    """The median with its bootstrap interval: the 2.5th and 97.5th percentile of the medians of redrawn ratios."""
    values = np.asarray(ratios)
    drawn = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return Ratio(float(np.median(values)), float(low), float(high))


def whole_time(reference: list[float], other: list[float], turns: int) -> Ratio:
    """The ratio of the whole times: also what is done once in many turns counts in full. Bootstrap over the pairs."""
    pairs = [range(i, i + turns) for i in range(0, len(reference) - turns + 1, turns)]
    one = np.array([sum(reference[i] for i in pair) for pair in pairs])
    two = np.array([sum(other[i] for i in pair) for pair in pairs])
    drawn = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
    low, high = np.percentile(one[drawn].sum(1) / two[drawn].sum(1), (2.5, 97.5))
    return Ratio(float(one.sum() / two.sum()), float(low), float(high))


# ── contestants ──────────────────────────────────────────────────────────────────────────────────────────────────────


def machine_clock() -> Clock:
    """The clock for this machine."""
    return gpu_clock if torch.cuda.is_available() else cpu_clock


def advance(steps: Iterator[object], count: int) -> None:
    """Take `count` items: each is a step."""
    deque(itertools.islice(steps, count), maxlen=0)


def timed(work: Callable[[int], None]) -> Contestant:
    """A contestant from what makes so many steps."""
    clock = machine_clock()

    def contestant(count: int) -> float:
        started = clock()
        work(count)
        return clock() - started

    return contestant


class Stopwatch:
    """A clock that goes only while its owner has its turn, so that budgets by time see no one else's turns."""

    def __init__(self) -> None:
        self._missed = self._stopped = time.perf_counter()  # it starts going, at 0

    def __call__(self) -> float:
        return time.perf_counter() - self._missed

    def go(self) -> None:
        """The owner's turn begins."""
        self._missed += time.perf_counter() - self._stopped

    def stop(self) -> None:
        """The owner's turn has ended."""
        self._stopped = time.perf_counter()
