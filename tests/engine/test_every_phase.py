"""Every command in every phase of a run: it acts, or it is kept until it can, or it is refused in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from core.engine.local import LocalEngine
from core.engine.pending import Kept
from core.engine.protocol import Engine, EngineError
from core.engine.workers import Nursery, Worker
from core.spec.events import FAILED, PAUSED, RUNNING, STOPPED, Command
from core.store import Run, Store
from tests.engine.conftest import experiment, kill, until

WATCH = Command("watch", {"sample": 3, "layer": "conv1"})
LR = Command("set", {"lr": 0.25})


@dataclass
class Placed:
    """A run that was brought into a phase; `let_go` ends what holds it there."""

    engine: Engine
    run: Run
    let_go: Callable[[], object] = lambda: None

    def tell(self, *commands: Command) -> None:
        for command in commands:
            self.engine.command(self.run.id, command)

    def state(self) -> str:
        return self.engine.state(self.run.id).status.state

    def step(self) -> int:
        return self.engine.state(self.run.id).status.step

    def heard(self) -> list[str]:
        """What the workers were told, in order."""
        file = self.run.path / "heard"
        return file.read_text().split() if file.exists() else []

    def trains(self) -> bool:
        at = self.engine.state(self.run.id)
        return bool(at.status.state == RUNNING and at.pid and at.status.step)


def _begun(engine: Engine, store: Store, name: str = "") -> Placed:
    placed = Placed(engine, store.run(engine.start(experiment(100_000), name)))
    until(placed.trains)
    return placed


def waiting(engine: Engine, store: Store) -> Placed:
    """In the line behind another run."""
    first = _begun(engine, store)
    second = store.run(engine.start(experiment(100_000, 1)))
    return Placed(engine, second, lambda: first.tell(Command("stop")))


def working(engine: Engine, store: Store) -> Placed:
    """At its steps."""
    return _begun(engine, store)


def paused(engine: Engine, store: Store) -> Placed:
    """Paused, its worker still there."""
    placed = _begun(engine, store)
    placed.tell(Command("pause"))
    return placed


def resting(engine: Engine, store: Store) -> Placed:
    """Paused without a worker."""
    placed = _begun(engine, store)
    until(lambda: placed.engine.command(placed.run.id, Command("park")).pid == 0)
    return placed


def parking(engine: Engine, store: Store) -> Placed:
    """Paused; its worker is on the way out."""
    placed = _begun(engine, store, "lingers")
    placed.let_go = (placed.run.path / "go").touch
    placed.tell(Command("park"))
    until(lambda: placed.state() == PAUSED)
    return placed


def stopping(engine: Engine, store: Store) -> Placed:
    """Stopped; its worker is on the way out."""
    placed = _begun(engine, store, "lingers")
    placed.let_go = (placed.run.path / "go").touch
    placed.tell(Command("stop"))
    until(lambda: placed.state() == STOPPED)
    return placed


def over(engine: Engine, store: Store) -> Placed:
    """Failed: its worker was killed."""
    placed = _begun(engine, store)
    kill(engine.state(placed.run.id).pid)
    until(lambda: placed.state() == FAILED and not engine.state(placed.run.id).pid)
    return placed


PHASES = (waiting, working, paused, resting, parking, stopping, over)
ENDED = (stopping, over)  # here only resume brings it back


@pytest.fixture(params=PHASES, ids=lambda phase: phase.__name__)
def phase(request: pytest.FixtureRequest) -> Callable[[Engine, Store], Placed]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def placed(phase: Callable[[Engine, Store], Placed], local: LocalEngine, store: Store) -> Placed:
    """A run in each phase in turn. Not on every engine: a client hands a command on as it is."""
    return phase(local, store)


def brought_on(placed: Placed) -> None:
    """Have it train, whatever held it."""
    placed.tell(Command("resume"))
    placed.let_go()
    until(placed.trains)


def refused(placed: Placed, command: Command) -> None:
    with pytest.raises(EngineError, match=r"it cannot be .*Resume it first"):
        placed.tell(command)


# ── every verb ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wish_reaches_the_worker_that_comes(placed: Placed) -> None:
    placed.tell(Command("watch", {"sample": 9, "layer": ""}), WATCH)
    brought_on(placed)
    until(lambda: placed.run.frame() == repr(WATCH.values).encode())  # as the worker writes it, not a question's


def test_a_wish_outlives_the_worker_that_took_it(placed: Placed) -> None:
    placed.tell(WATCH)
    brought_on(placed)
    until(lambda: "watch" in placed.heard()[-2:])
    kill(placed.engine.state(placed.run.id).pid)
    until(lambda: placed.state() == FAILED)
    placed.run.write_frame(b"old")
    brought_on(placed)
    until(lambda: placed.run.frame() == repr(WATCH.values).encode())


def test_a_wish_that_was_taken_back_is_not_kept(placed: Placed) -> None:
    placed.tell(WATCH, Command("unwatch"))
    brought_on(placed)
    told = len(placed.heard())
    placed.tell(Command("pause"))
    until(lambda: "pause" in placed.heard()[told:])
    assert placed.heard().count("watch") <= placed.heard().count("unwatch")  # both to the old worker, or neither


def test_a_change_is_made_by_the_worker_that_comes(placed: Placed) -> None:
    placed.tell(LR)
    brought_on(placed)
    until(lambda: placed.run.latest().get("lr") == 0.25)


def test_pause_holds_it_from_where_it_is(placed: Placed, phase: Any) -> None:
    if phase in ENDED:
        refused(placed, Command("pause"))
        placed.let_go()
        return
    placed.tell(Command("pause"))
    placed.let_go()
    until(lambda: placed.state() == PAUSED)
    assert phase is not waiting or placed.step() == 0


def test_a_step_is_made_and_no_more(placed: Placed, phase: Any) -> None:
    if phase in ENDED:
        refused(placed, Command("step"))
        placed.let_go()
        return
    if phase is working:
        placed.tell(Command("pause"))
    at = placed.step()
    placed.tell(Command("step"), Command("step"))
    placed.let_go()
    until(lambda: placed.state() == PAUSED and placed.step() == at + 2)


def test_resume_has_it_train(placed: Placed) -> None:
    at = placed.step()
    brought_on(placed)
    until(lambda: placed.step() > at)


def test_stop_ends_it(placed: Placed) -> None:
    placed.tell(Command("stop"))
    placed.let_go()
    until(lambda: placed.state() in (STOPPED, FAILED))
    until(lambda: placed.run.id not in placed.engine.runs())


def test_park_frees_its_place(placed: Placed, phase: Any) -> None:
    if phase in ENDED:
        refused(placed, Command("park"))
        placed.let_go()
        return
    placed.tell(Command("park"))
    placed.let_go()
    until(lambda: placed.state() == PAUSED and not placed.engine.state(placed.run.id).pid)


def test_the_last_word_counts(placed: Placed, phase: Any) -> None:
    """Resume, then pause before a worker could come: it is paused."""
    placed.tell(Command("resume"), Command("pause"))
    placed.let_go()
    until(lambda: placed.state() == PAUSED)
    placed.tell(Command("pause"), Command("resume"))
    until(placed.trains)


# ── while its worker is being made ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def starting(local: LocalEngine, store: Store, monkeypatch: pytest.MonkeyPatch) -> Placed:
    """Taken from the line; no worker has it yet."""
    gate, reached, take = threading.Event(), threading.Event(), Nursery.take

    def held(nursery: Nursery) -> Worker:
        reached.set()
        assert gate.wait(20)
        return take(nursery)

    monkeypatch.setattr(Nursery, "take", held)
    placed = Placed(local, store.run(local.start(experiment(100_000))), gate.set)
    assert reached.wait(20)
    return placed


@pytest.mark.parametrize(
    ("commands", "heard", "state"),
    [
        ([WATCH], ["watch"], RUNNING),
        ([Command("watch"), WATCH, Command("unwatch"), WATCH], ["watch"], RUNNING),
        ([LR, WATCH], ["set", "watch"], RUNNING),
        ([Command("pause")], ["pause"], PAUSED),
        ([Command("park")], ["pause"], PAUSED),
        ([Command("pause"), Command("resume")], [], RUNNING),
        ([Command("step"), Command("step"), LR, WATCH], ["set", "watch", "pause", "step", "step"], PAUSED),
        ([Command("pause"), WATCH, Command("stop")], ["watch", "stop"], STOPPED),
    ],
    ids=["watch", "newest watch", "set", "pause", "park", "resume", "step", "stop"],
)
def test_a_run_whose_worker_is_being_made_keeps_everything(
    starting: Placed, commands: list[Command], heard: list[str], state: str
) -> None:
    starting.tell(*commands)
    starting.let_go()
    until(lambda: starting.state() == state and starting.heard() == heard)
    if state == PAUSED:
        until(lambda: starting.step() == heard.count("step"))
    if "watch" in heard:
        until(lambda: starting.run.frame() == repr(WATCH.values).encode())


def test_what_is_kept_is_in_order_and_says_whether_it_holds_the_run() -> None:
    kept = Kept()
    for verb in ("step", "pause", "step"):
        kept.add(Command(verb))
    assert kept.holds() and not kept.rests()
    kept.add(WATCH)
    assert kept.for_worker() == [WATCH, Command("pause"), Command("step"), Command("step")]
    assert kept.for_worker() == [WATCH]
    kept.add(Command("pause"))
    assert kept.rests()
    kept.add(Command("resume"))
    assert not kept.holds()
