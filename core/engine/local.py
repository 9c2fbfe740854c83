"""The engine on this machine. It lives in a process of its own (core.engine.__main__) and never imports torch."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from core.engine.control import steer, steer_ended
from core.engine.protocol import EngineError, Progress, RunState
from core.engine.queue import Questions, Ticket
from core.engine.running import LEAVING, RESTING, STARTING, WAITING, WORKING, Job, Runs
from core.engine.wire import VERSION, words
from core.engine.workers import FRESH, Nursery, Worker
from core.spec import registry
from core.spec.commands import COMMANDS, checked
from core.spec.events import ENDED, PAUSED, STOPPED, Command
from core.spec.options import SpecError
from core.spec.question_base import Question
from core.spec.questions import Sound
from core.spec.sentences import Sentence, _
from core.spec.specs import Experiment, content_id
from core.store import Run, Store, StoreError

log = logging.getLogger(__name__)
SAME_CLICK = 2.0  # seconds within which an equal start is the same one
LOOKED_AT = 20.0  # seconds that may be spent on looking at the data files before a run is made
EFFECT_WAIT = 0.5  # seconds that a command waits to see its effect, so that the answer tells it
CLOSE = 1.8  # seconds that workers have to save a checkpoint when the engine is closed
_TICK = 0.25  # seconds between two looks at the clock
_SLEPT = 3.0  # seconds between two turns that show that the engine itself did not run: it was stopped

_P = ParamSpec("_P")
_R = TypeVar("_R")
A = TypeVar("A")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_words(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Whatever goes wrong in a public method leaves it as EngineError."""

    @functools.wraps(method)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(*args, **kwargs)
        except EngineError:
            raise
        except (StoreError, SpecError) as error:
            raise EngineError(str(error)) from None
        except Exception as error:
            log.exception("in %s", method.__name__)
            raise EngineError(Sentence("The engine could not do that: {words}.", words=words(error))) from None

    return guarded


class LocalEngine:
    """Runs and questions on this machine's workers. Every method may be called from any thread.

    slots: runs that train at the same time. lone_threads: CPU threads of a run that starts beside no other.
    worker: the name of the worker module, imported by the workers only.
    """

    def __init__(
        self,
        runs: Path | str,
        *,
        slots: int = 0,
        lone_threads: int = 0,
        worker: str = "core.worker.process",
        question_workers: int = 2,
    ) -> None:
        self._store = Store(Path(runs).resolve())
        self._changed = threading.Condition(threading.RLock())
        nursery = Nursery(worker)
        self._nursery = nursery
        self._runs = Runs(self._store, nursery, self._changed, slots or cores(), lone_threads or cores())
        self._questions = Questions(nursery, self._changed, question_workers)
        self._clicks: dict[tuple[str, str], tuple[str, float]] = {}
        self._started = time.time()
        self._closing = False
        self._turned = time.monotonic()
        self._wake_in, self._wake_out = Pipe(duplex=False)
        self._woken = False
        with self._changed:
            self._runs.carry_on()
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
        self._thread.start()

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @_in_words
    def start(
        self, experiment: Experiment, name: str = "", token: str = "", threads: int = 0, data_dir: str = ""
    ) -> str:
        """See Engine.start."""
        if not isinstance(experiment, Experiment):
            raise EngineError(_("start takes an Experiment."))
        if not 0 <= threads <= 1024:
            raise EngineError(
                Sentence(
                    "threads must be between 1 and 1024, or 0 for the engine to choose; not {threads}.", threads=threads
                )
            )
        if wrong := self._broken(experiment, data_dir):
            raise EngineError(wrong)
        click = (token, content_id(experiment))
        with self._changed:
            self._check_open()
            now = time.monotonic()
            self._clicks = {k: v for k, v in self._clicks.items() if now - v[1] < SAME_CLICK}
            if token and click in self._clicks:
                return self._clicks[click][0]
            asked = {"threads": threads, "data_dir": data_dir}
            run = self._store.create(experiment, name, **{k: v for k, v in asked.items() if v})
            self._clicks[click] = (run.id, now)
            self._runs.enqueue(Job(run, run.status(), WAITING, threads))
            self._wake()
        return run.id

    def _broken(self, experiment: Experiment, data_dir: str) -> str:
        """Why the run's data files cannot be used; "" too where nobody has time to look: the run says it then."""
        if not registry.DATASETS.get(experiment.data.name).files:
            return ""
        try:
            return self.ask(Sound(experiment.data, data_dir), LOOKED_AT)
        except EngineError:
            return ""

    @_in_words
    def command(self, run: str, command: Command) -> RunState:
        """See Engine.command. Waits up to half a second for the effect, so that the state returned shows it."""
        command = checked(command)
        found = self._store.run(run)
        with self._changed:
            self._check_open()
            job = self._runs.jobs.get(found.id)
            if job is None:
                status = steer_ended(self._runs, self._questions, found, command)
                self._wake()
                job = self._runs.jobs.get(found.id)
                return self._runs.state(job) if job else RunState(found.id, status, 0, self._threads_of(found))
            before = job.status
            stopped = steer(self._runs, self._questions, job, command)
            self._wake()
        if stopped:
            self._runs.close_off(job, replace(job.status, state=STOPPED, words=""))
        effect = COMMANDS[command.verb].effect
        with self._changed:
            if effect and job.phase not in (WAITING, RESTING):
                self._changed.wait_for(lambda: effect(before, job.status), EFFECT_WAIT)
            return self._runs.state(job)

    @_in_words
    def runs(self) -> dict[str, RunState]:
        """See Engine.runs."""
        with self._changed:
            jobs = [job for job in self._runs.jobs.values() if job.shown().state not in ENDED]
            return {job.run.id: self._runs.state(job) for job in jobs}

    @_in_words
    def state(self, run: str) -> RunState:
        """See Engine.state."""
        with self._changed:
            job = self._runs.jobs.get(run)
            if job is not None:
                return self._runs.state(job)
        found = self._store.run(run)
        with self._changed:
            job = self._runs.jobs.get(found.id)
            return self._runs.state(job) if job else RunState(found.id, found.status(), 0, self._threads_of(found))

    @_in_words
    def delete(self, run: str) -> None:
        """See Engine.delete."""
        found = self._store.run(run)
        with self._changed:
            self._check_open()
            job = self._runs.jobs.get(found.id)
            if job is not None:
                job.deleted = True
                if job.phase in (WAITING, RESTING):
                    self._runs.drop(job)
                elif job.worker is not None:
                    job.worker.kill()
                if not self._changed.wait_for(lambda: self._runs.jobs.get(found.id) is not job, 10.0):
                    raise EngineError(_("The run's worker does not end; try again in a moment."))
            self._runs.wish(found.id, Command("unwatch"))
        self._store.delete(found.id)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

    @_in_words
    def submit(self, question: Question[Any]) -> str:
        """See Engine.submit."""
        with self._changed:
            self._check_open()
            ticket = self._take(question)
            self._wake()
            return ticket.id

    @_in_words
    def poll(self, ticket: str, since: int = 0) -> Progress:
        """See Engine.poll."""
        with self._changed:
            return self._questions.find(ticket).progress(since)

    @_in_words
    def cancel(self, ticket: str) -> None:
        """See Engine.cancel."""
        with self._changed:
            self._questions.cancel(ticket)
            self._wake()

    @_in_words
    def ask(self, question: Question[A], timeout: float = 60.0) -> A:
        """See Engine.ask."""
        with self._changed:
            self._check_open()
            ticket = self._take(question, kept=False)
            self._wake()
            self._changed.wait_for(lambda: ticket.done or self._closing, timeout)
            if not ticket.done:
                self._questions.cancel(ticket.id)
                self._wake()
                if self._closing:
                    raise EngineError(_("The engine was closed before the answer came."))
                raise EngineError(
                    Sentence("No answer within {timeout:g} s; the question was given up.", timeout=timeout)
                )
        if ticket.error:
            raise EngineError(ticket.error)
        answer: A = ticket.answer
        return answer

    # ── the engine itself ────────────────────────────────────────────────────────────────────────────────────────────

    @_in_words
    def status(self) -> dict[str, Any]:
        """See Engine.status. Besides: paused, version."""
        with self._changed:
            jobs = list(self._runs.jobs.values())
            return {
                "pid": os.getpid(),
                "version": VERSION,
                "slots": self._runs.slots,
                "threads": self._runs.lone_threads,
                "running": sum(j.phase in (STARTING, WORKING, LEAVING) and j.status.state != PAUSED for j in jobs),
                "paused": sum(j.status.state == PAUSED for j in jobs),
                "queued": len(self._runs.line),
                "questions": self._questions.count(),
                "started": self._started,
            }

    def close(self) -> None:
        """See Engine.close. Takes at most about three seconds; what has not ended by then is killed."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
            self._wake()
        self._thread.join(0.3)  # longer only while a process begins
        training = [job.worker for job in self._runs.jobs.values() if job.worker is not None]
        others = [*self._questions.workers, *self._nursery.all()]
        now = time.monotonic()
        hung = [worker for worker in training if worker.silent(now) > FRESH]
        for worker in [*training, *others]:
            worker.hang_up()
        for worker in [*others, *hung]:  # nothing to save, or nobody to save it
            worker.kill()
        _await_end([*training, *others], CLOSE)

    def _supervise(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except Exception:  # the one thread that sees to everything must go on
                log.exception("in the engine's thread")
                time.sleep(_TICK)

    def _turn(self) -> None:
        self._runs.fill()  # first: the first of all workers is for the run that somebody is about to start
        self._questions.staff()
        with self._changed:
            self._questions.dispatch()
        with self._changed:
            workers = [*self._questions.workers, *(j.worker for j in self._runs.jobs.values() if j.worker)]
        if not self._closing:
            wait([self._wake_in, *(w.conn for w in workers if w.open), *(w.process.sentinel for w in workers)], _TICK)
        with self._changed:
            while self._wake_in.poll():
                self._wake_in.recv_bytes()
            self._woken = False
            if self._closing:
                return
            self._questions.hear()
        self._runs.hear()
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        with self._changed:
            now = time.monotonic()
            if (slept := now - self._turned) > _SLEPT:
                self._questions.forgive(slept)
                self._runs.forgive(slept)
            self._turned = now
            self._questions.tick(now)
            self._runs.tick(now)

    def _take(self, question: Question[Any], *, kept: bool = True) -> Ticket:
        """Put a question into the line, and say in the log who has asked what."""
        if not isinstance(question, Question):
            raise EngineError(_("That is no question."))
        ticket = self._questions.submit(question.placed(str(self._store.root)), kept=kept)
        log.info("%s asks %s", threading.current_thread().name, question.line())
        return ticket

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake_out.send_bytes(b".")

    def _check_open(self) -> None:
        if self._closing:
            raise EngineError(_("The engine is being closed."))

    def _threads_of(self, run: Run) -> int:
        with suppress(StoreError, TypeError, ValueError):
            return int(run.about().get("threads") or 0)
        return 0


def _await_end(workers: list[Worker], seconds: float) -> None:
    """Wait for the processes to end; those that have not after `seconds` are killed."""
    end = time.monotonic() + seconds
    for worker in workers:
        worker.process.join(max(0.0, end - time.monotonic()))
    for worker in workers:
        if not worker.gone():
            log.warning("worker %d did not end in time and was killed", worker.pid)
            worker.kill()
            worker.process.join(0.3)
