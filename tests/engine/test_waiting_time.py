"""How long a run in the line will wait: the arithmetic, and what engines tell of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.cli import main
from core.engine.client import connect
from core.engine.local import LocalEngine
from core.engine.protocol import Engine
from core.engine.waiting_time import Clock, Paces, rounded, waits
from core.spec.events import FINISHED, PAUSED, RUNNING, Command, Status
from core.spec.specs import assign, preset
from core.store import Store
from tests.engine.conftest import WORKER, experiment, until
from tests.engine.test_conformance import running


def by_hand(slots: int, busy: Sequence[float], line: Sequence[float]) -> list[float]:
    """Second by second: whoever is free takes the next of the line. All times are whole seconds."""
    held, found, waiting = [*busy, *[0.0] * (slots - len(busy))], [], list(line)
    for now in range(100_000):
        for i, left in enumerate(held):
            if waiting and left <= now:
                found.append(float(now))
                held[i] = now + waiting.pop(0)
        if not waiting:
            break
    return found


@pytest.mark.parametrize("seed", range(20))
def test_waits_are_those_of_a_line_that_is_worked_off(seed: int) -> None:
    draw = random.Random(seed)
    slots = draw.randint(1, 4)
    busy = [float(draw.randint(0, 50)) for _ in range(draw.randint(0, slots))]
    line = [float(draw.randint(1, 40)) for _ in range(draw.randint(1, 12))]
    assert waits(slots, busy, line) == by_hand(slots, busy, line)


def test_what_hangs_on_something_unknown_is_unknown() -> None:
    assert waits(1, [None], [5.0, 5.0]) == [None, None]
    assert waits(1, [3.0], [None, 5.0]) == [3.0, None]
    assert waits(2, [None, 3.0], [5.0, 5.0]) == [3.0, 8.0]  # the other place is enough
    assert waits(2, [None, 3.0], [None, 5.0]) == [3.0, None]


def test_a_pace_is_that_of_the_last_readings_without_pauses() -> None:
    clock = Clock()
    assert clock.pace() is None
    for now, state, step in [(0, RUNNING, 0), (5, RUNNING, 1), (6, RUNNING, 3), (7, PAUSED, 3), (90, RUNNING, 4)]:
        clock.hear(Status(state, step, 100), float(now))
    assert clock.pace() is None  # one reading after the pause
    clock.hear(Status(RUNNING, 8, 100), 92.0)
    assert clock.pace() == 0.5


def test_a_run_that_was_never_measured_is_as_fast_as_the_most_alike() -> None:
    paces, cnn = Paces(), preset("cnn", "digits")
    assert paces.left(cnn, 100) is None
    paces.finished(preset("mlp", "digits"), 50, 30.0)
    assert paces.left(cnn, 100) == 30.0  # the median of what finished
    paces.finished(assign(cnn, {"data.size": 8}), 10, 20.0)
    assert paces.left(cnn, 100) == 200.0  # the same architecture and data set
    paces.measured(cnn, 0.1)
    assert paces.left(assign(cnn, {"train.seed": 7}), 100) == pytest.approx(10.0)
    assert paces.left(cnn, 100, pace=0.2) == pytest.approx(20.0)  # its own
    assert paces.left(cnn, 0) == 25.0  # nobody knows how many steps: the median again


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, (5, "second")), (42, (40, "second")), (57, (1, "minute")), (250, (4, "minute")), (7000, (2, "hour"))],
)
def test_an_expectation_is_no_more_exact_than_it_can_be(seconds: float, said: tuple[int, str]) -> None:
    assert rounded(seconds) == said


# ── engines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_any_measure_nobody_can_say(local: Engine) -> None:
    first = local.start(experiment(1000), "deaf")
    until(lambda: local.state(first).pid)
    second = local.start(experiment(1000, 1))
    state = local.state(second)
    assert (state.place, state.wait) == (1, None)
    assert (local.state(first).place, local.state(first).wait) == (0, None)


def test_the_thirtieth_is_told_when_it_begins(store: Store, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From runs that have finished; the one that trains has 1000 steps to go and makes none."""
    old = store.create(experiment(600))
    old.set_status(Status(FINISHED, 600, 600))
    old.note(seconds=60.0)
    engine = connect(runs, slots=1, worker=WORKER)
    try:
        deaf = engine.start(experiment(1000), "deaf")
        until(lambda: engine.state(deaf).status.steps == 1000 and engine.state(deaf).pid)
        line = [engine.start(experiment(600, seed)) for seed in range(1, 31)]
        assert [engine.state(run).wait for run in line] == [100.0 + 60 * i for i in range(30)]
        assert engine.state(line[-1]).plain()["wait"] == 1840.0
        engine.command(line[0], Command("stop"))
        assert engine.state(line[-1]).wait == 1780.0
        assert main(["runs", "--runs", str(runs)]) == 0
        assert "place 29, about 30 minutes" in capsys.readouterr().out
    finally:
        engine.close()


def test_what_trains_is_measured(local: LocalEngine) -> None:
    first = local.start(experiment(100_000))
    running(local, first)
    second, third = local.start(experiment(200, 1)), local.start(experiment(400, 2))
    until(lambda: local.state(third).wait is not None)
    before = until(lambda: (local.state(second).wait or 0) > 10 and local.state(second).wait)
    local.command(first, Command("stop"))
    until(lambda: local.state(third).place == 1 and local.state(third).wait is not None)
    assert local.state(third).wait < before  # type: ignore[operator]
