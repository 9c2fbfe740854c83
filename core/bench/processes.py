"""Many runs at once, and what one more process costs: measured on a real engine of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from core.bench.turns import Ratio, median_of
from core.engine.client import ClientEngine, connect
from core.spec.events import ENDED, RUNNING, Command
from core.spec.specs import Experiment, assign, preset
from core.store import Store, scratch_store

BUSY = 0.2  # cores used by other programs, above which wall times say nothing
Say = Callable[[str], None]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ── steps per second of many jobs ────────────────────────────────────────────────────────────────────────────────────


def jobs(quick: bool, say: Say) -> list[tuple[str, Ratio]]:
    """Steps per second of C and of 2C one-thread jobs in C slots, over those of one job alone. Wall time.

    Rounds in which other programs used more than BUSY cores are left out, unless there are no others.
    """
    slots, rounds = cores(), 2 if quick else 5
    found: dict[str, list[float]] = {f"{n} jobs on {slots} cores": [] for n in (slots, 2 * slots)}
    busy: list[float] = []
    with scratch_store() as store:
        engine = connect(store.root, slots=slots)
        try:
            steps = _calibrated(engine, store, seconds=3.0 if quick else 8.0)
            for _round in range(rounds):
                others = _Others(engine.pid)
                alone = _steps_per_second(engine, store, 1, steps, 1)
                for n, name in zip((slots, 2 * slots), found, strict=True):
                    found[name].append(_steps_per_second(engine, store, n, steps, slots) / alone)
                told = ", ".join(f"{ratios[-1]:.2f} with {name}" for name, ratios in found.items())
                busy.append(others.cores())
                say(f"jobs: {alone:.0f} steps/s alone; {told}; others used {busy[-1]:.2f} cores meanwhile")
        finally:
            engine.close()
    return [(name, median_of(quiet_ones(ratios, busy))) for name, ratios in found.items()]


def quiet_ones(ratios: list[float], busy: list[float]) -> list[float]:
    """The ratios of rounds in which others let the machine alone; all of them when there was no such round."""
    quiet = [ratio for ratio, others in zip(ratios, busy, strict=True) if others <= BUSY]
    return quiet or ratios


class _Others:
    """How busy the machine was with other programs: wall times on a busy machine say little."""

    def __init__(self, engine: int) -> None:
        self._engine, self._started = engine, time.monotonic()
        self._all, self._ours = _cpu_seconds(), self._own()

    def cores(self) -> float:
        """Cores that others have used on average since this was made."""
        theirs = (_cpu_seconds() - self._all) - (self._own() - self._ours)
        return max(0.0, theirs / (time.monotonic() - self._started))

    def _own(self) -> float:
        parent, total = psutil.Process(self._engine), 0.0
        for process in (psutil.Process(), parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return total


def _cpu_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _calibrated(engine: ClientEngine, store: Store, seconds: float) -> int:
    return max(50, round(_steps_per_second(engine, store, 1, 100, 1) * seconds))


def _steps_per_second(engine: ClientEngine, store: Store, count: int, steps: int, slots: int) -> float:
    """Of `count` jobs together, while every slot has one: from the last slot's first step to the first idle slot."""
    runs = [engine.start(_lesson(steps, seed), threads=1) for seed in range(count)]
    while any(engine.state(run).status.state not in ENDED for run in runs):
        time.sleep(0.1)
    times = [[e.time for e in store.run(run).events() if e.name == "train/loss"] for run in runs]
    for run in runs:
        engine.delete(run)
    return rate_while_full(times, slots)


def rate_while_full(times: list[list[float]], slots: int) -> float:
    """Steps per second between the moment when all slots train and the first for which no job is left."""
    begin, end = sorted(one[0] for one in times)[slots - 1], sorted(one[-1] for one in times)[-slots]
    return sum(begin < t <= end for one in times for t in one) / max(end - begin, 1e-9)


def _lesson(steps: int, seed: int = 0) -> Experiment:
    return assign(preset("cnn", "digits"), {"train.steps": steps, "train.seed": seed})


# ── memory of one more trainer ───────────────────────────────────────────────────────────────────────────────────────

_SPAWNED = """
import multiprocessing, sys
from core.worker.session import train
_ours, theirs = multiprocessing.Pipe()
train(sys.argv[1], sys.argv[2], theirs, 1)
"""


def memory(say: Say) -> Ratio | None:
    """What one more run costs in proportional set size, over a trainer that is spawned. None where nobody can tell."""
    if not sys.platform.startswith("linux"):
        return None
    with scratch_store() as store:
        engine = connect(store.root, slots=3)
        try:
            _train_one(engine)
            before = _settled(engine.pid)
            _train_one(engine)
            forked = _settled(engine.pid) - before
            run = store.create(_lesson(1_000_000), threads=1)
            child = subprocess.Popen([sys.executable, "-c", _SPAWNED, str(store.root), run.id], cwd=_ROOT)
            try:
                while run.status().state != RUNNING or not run.latest():
                    time.sleep(0.1)
                spawned = _settled(engine.pid, child.pid) - before - forked
            finally:
                child.kill()
                child.wait()
        finally:
            for found in engine.runs():
                engine.command(found, Command("stop"))
            engine.close()
    say(f"memory: one more run takes {forked / 2**20:.0f} MiB, spawned {spawned / 2**20:.0f} MiB")
    return Ratio(forked / spawned, forked / spawned, forked / spawned)


_ROOT = Path(__file__).resolve().parents[2]


def _train_one(engine: ClientEngine) -> None:
    run = engine.start(_lesson(1_000_000), threads=1)
    while engine.state(run).status.step < 20:
        time.sleep(0.1)


def _settled(*pids: int) -> int:
    """Bytes of the processes and all their children, once they stay the same: spare workers come up meanwhile."""
    last, now = -1, _pss(*pids)
    while abs(now - last) > 2**20:
        time.sleep(2.0)
        last, now = now, _pss(*pids)
    return now


def _pss(*pids: int) -> int:
    total = 0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    return total
