"""An engine in memory: no process, no training. It keeps what it is told and answers at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.engine.protocol import EngineError, EngineGone, Progress, RunState
from core.spec.events import ENDED, FINISHED, PAUSED, QUEUED, RUNNING, STOPPED, Command, Event, Status
from core.spec.question_base import Question
from core.spec.questions import (
    DataPreview,
    Describe,
    Description,
    Explain,
    Fits,
    Look,
    Problem,
    Seen,
)
from core.spec.specs import Experiment, content_id
from core.store import Run, Store

AFTER = {"pause": PAUSED, "resume": RUNNING, "stop": STOPPED}


class FakeEngine:
    """core.engine.protocol.Engine over a real folder of runs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.gone = False
        self.commands: list[tuple[str, Command]] = []
        self.problems: tuple[Problem, ...] = ()
        self.describe: Callable[[Describe], Description] | None = None  # the real one, where a test wants it
        self.preview: DataPreview | None = None
        self.look: Callable[[Look], Seen] | None = None  # the real one, where a test wants it
        self.why: Callable[[Explain | Fits], Progress] | None = None  # how far it is, where a test wants it
        self.progress = Progress(True, 1.0, "", ())  # how far every question is, without its answer
        self.asked: list[Question[Any]] = []
        self.cancelled: list[str] = []
        self._tokens: dict[tuple[str, str], str] = {}
        self._states: dict[str, RunState] = {}

    def start(self, experiment: Experiment, name: str = "", token: str = "", threads: int = 0) -> str:
        self._there()
        key = (token, content_id(experiment))
        if token and key in self._tokens:
            return self._tokens[key]
        run = self.store.create(experiment, name)
        self._tokens[key] = run.id
        self.put(run, QUEUED)
        return run.id

    def put(self, run: Run, state: str, step: int = 0) -> None:
        """Have the run stand there."""
        status = Status(state, step, run.experiment().train.steps)
        self._states[run.id] = RunState(run.id, status)
        run.set_status(status)

    def command(self, run: str, command: Command) -> RunState:
        self._there()
        self.commands.append((run, command))
        found = self.store.run(run)
        self.put(found, AFTER.get(command.verb, self.state(run).status.state), self.state(run).status.step)
        return self.state(run)

    def runs(self) -> dict[str, RunState]:
        self._there()
        return {run: state for run, state in self._states.items() if state.status.state not in ENDED}

    def state(self, run: str) -> RunState:
        self._there()
        return self._states.get(run) or RunState(run, self.store.run(run).status())

    def delete(self, run: str) -> None:
        self._there()
        self._states.pop(run, None)
        self.store.delete(run)

    def submit(self, question: Question[Any]) -> str:
        self._there()
        self.asked.append(question)
        return f"ticket {len(self.asked)}"

    def poll(self, ticket: str, since: int = 0) -> Progress:
        self._there()
        question = self.asked[int(ticket.split()[1]) - 1]
        if self.look and isinstance(question, Look):
            return self._looked(question)
        if self.why and isinstance(question, Explain | Fits):
            told = self.why(question)
            return replace(told, parts=told.parts[since:])
        answer = self.preview if self.progress.done and not self.progress.error else None
        return replace(self.progress, answer=answer)

    def _looked(self, question: Look) -> Progress:
        """The view at once, or in words why not, as the engine tells it."""
        assert self.look is not None
        try:
            return Progress(True, 1.0, "", (), self.look(replace(question, runs=str(self.store.root))))
        except Exception as error:  # noqa: BLE001 (of any kind, as text)
            return Progress(True, 1.0, "", (), error=str(error))

    def cancel(self, ticket: str) -> None:
        self.cancelled.append(ticket)

    def ask(self, question: Question[Any], timeout: float = 60.0) -> Any:
        self._there()
        if not isinstance(question, Describe):
            raise EngineError("not here")
        if self.describe:
            return self.describe(question)
        return Description(9098, 1_000_000, (), self.problems)

    def status(self) -> dict[str, Any]:
        self._there()
        return {"pid": 1}

    def close(self) -> None:
        return

    def _there(self) -> None:
        if self.gone:
            raise EngineGone("The engine process cannot be reached.")


def finished(store: Store, experiment: Experiment, steps: int = 30, name: str = "") -> Run:
    """A run that is over, with falling losses and snapshots of nothing."""
    run = store.create(replace(experiment, train=replace(experiment.train, steps=steps)), name)
    log = run.log()
    log.append(Event(step, "train/loss", 2.3 / step, 1e9 + step) for step in range(1, steps + 1))
    for step, accuracy in zip(itertools.count(10, 10), (0.5, 0.9, 0.8), strict=False):
        log.append([Event(step, "val/accuracy", accuracy, 1e9 + step), Event(step, "val/loss", 1 / step, 1e9 + step)])
    log.append([Event(steps, "test/accuracy", 0.7, 1e9 + steps)])
    log.close()
    run.set_status(Status(FINISHED, steps, steps))
    return run
