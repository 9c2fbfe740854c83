"""Every command in every phase of a run: it acts, or it is kept until it can, or it is refused in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from core.engine.control import steer, steer_ended
from core.engine.local import LocalEngine
from core.engine.pending import Kept
from core.engine.protocol import Engine, EngineError
from core.engine.running import LEAVING, RESTING, STARTING, WAITING, WORKING, Job, Runs
from core.engine.workers import Nursery, Worker
from core.spec.commands import COMMANDS, refusal
from core.spec.events import FAILED, FINISHED, PAUSED, QUEUED, RUNNING, STATES, STOPPED, Command, Status
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


def refused(placed: Placed, verb: str) -> bool:
    """Does the run refuse the command, as its declaration says, and in words? It may go then."""
    if COMMANDS[verb].takes(placed.engine.state(placed.run.id).status, {}):
        return False
    with pytest.raises(EngineError, match=r"it cannot be .*Resume it first"):
        placed.tell(Command(verb))
    placed.let_go()
    return True


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
    if refused(placed, "pause"):
        return
    placed.tell(Command("pause"))
    placed.let_go()
    until(lambda: placed.state() == PAUSED)
    assert phase is not waiting or placed.step() == 0


def test_a_step_is_made_and_no_more(placed: Placed, phase: Any) -> None:
    if refused(placed, "step"):
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


def test_park_frees_its_place(placed: Placed) -> None:
    if refused(placed, "park"):
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


STARTED = [  # what is told meanwhile, what the worker then hears, and where the run stands
    ([WATCH], ["watch"], RUNNING),
    ([Command("watch"), WATCH, Command("unwatch"), WATCH], ["watch"], RUNNING),
    ([LR, WATCH], ["set", "watch"], RUNNING),
    ([Command("pause")], ["pause"], PAUSED),
    ([Command("park")], ["pause"], PAUSED),
    ([Command("pause"), Command("resume")], [], RUNNING),
    ([Command("step"), Command("step"), LR, WATCH], ["set", "watch", "pause", "step", "step"], PAUSED),
    ([Command("pause"), WATCH, Command("stop")], ["watch", "stop"], STOPPED),
]


@pytest.mark.parametrize(
    ("commands", "heard", "state"),
    STARTED,
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


def test_every_command_is_among_them() -> None:
    assert {command.verb for commands, _heard, _state in STARTED for command in commands} == set(COMMANDS)


# ── every command in every place of the table ────────────────────────────────────────────────────────────────────────

PLACES = [  # where a job is, where its run stands, whether its worker is on the way out
    (WAITING, QUEUED, False),
    (STARTING, RUNNING, False),
    *((WORKING, state, False) for state in STATES if state != QUEUED),
    (WORKING, PAUSED, True),
    *((LEAVING, state, False) for state in (PAUSED, FINISHED, STOPPED, FAILED)),
    (RESTING, PAUSED, False),
    *(("", state, False) for state in (FINISHED, STOPPED, FAILED)),  # no job: it has ended
]
VALUES = {"set": {"lr": 0.25}, "watch": {"sample": 3, "layer": "conv1"}}


class Recorder:
    """A worker, or the line of questions; what it is told."""

    pid = 1

    def __init__(self) -> None:
        self.told: list[object] = []

    def send(self, command: Command) -> None:
        self.told.append(command)

    refresh = send


class Table:
    """A job in one place of the engine's table, without processes."""

    def __init__(self, store: Store, phase: str, status: Status, parking: bool) -> None:
        self.changed, self.ear = threading.Condition(), Recorder()
        self.runs: Any = Runs(store, None, self.changed, 1, 1)  # type: ignore[arg-type]
        self.run = store.create(experiment(status.steps))
        self.run.set_status(status)
        self.job: Any = None
        if phase:
            worker: Any = self.ear if phase == WORKING else None
            self.job = self.runs.jobs[self.run.id] = Job(self.run, status, phase, worker=worker, parking=parking)
        if phase == WAITING:
            self.runs.line.append(self.run.id)

    def seen(self) -> list[object]:
        """All that a command can change."""
        table = [self.run.about(), self.run.status(), self.runs.line[:], dict(self.runs._wishes), self.ear.told[:]]
        if self.job:
            kept = self.job.kept
            table += [kept.commands[:], kept.wish, self.job.again, self.job.stopping, self.job.parking]
        return table

    def tell(self, command: Command) -> bool:
        """Does it act? EngineError where it is refused."""
        before, ear = self.seen(), cast(Any, self.ear)
        with self.changed:
            if self.job:
                return steer(self.runs, ear, self.job, command) or self.seen() != before
            steer_ended(self.runs, ear, self.run, command)
            return self.seen() != before


@pytest.mark.parametrize(("phase", "state", "parking"), PLACES, ids=str)
def test_every_command_acts_is_kept_or_is_refused_wherever_the_run_is(
    store: Store, phase: str, state: str, parking: bool
) -> None:
    status = Status(state, 9 if state == FINISHED else 3, 9)
    for name, verb in COMMANDS.items():
        table, command = Table(store, phase, status, parking), Command(name, VALUES.get(name, {}))
        if why := refusal(status, command):
            before = table.seen()
            with pytest.raises(EngineError) as told:
                table.tell(command)
            assert str(told.value) == why and table.seen() == before, name
        else:
            assert table.tell(command) or not verb.offers(status), f"{name} is offered here and does nothing"


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
