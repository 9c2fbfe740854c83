"""Runs: a fair line (first come, first served) before a number of slots, and what becomes of each run.

A job goes  waiting → starting → working → leaving → (gone | resting | waiting again):
`resting` is paused without a worker, `leaving` is when the worker has ended and its run's folder is put in order.
Only the engine's own thread starts and buries workers; the lock is held for changes of the table, never while a
process begins or a log is written.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Condition

from core.engine.exit_reasons import hanging, outlook, reason
from core.engine.pending import Kept
from core.engine.protocol import EngineError, RunState
from core.engine.waiting_time import REMEMBERED, Clock, Paces, waits
from core.engine.workers import LOST, SILENT, Failed, Nursery, Ready, Train, Worker
from core.spec.events import ENDED, FAILED, FINISHED, PAUSED, QUEUED, RUNNING, STOPPED, Command, Status
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Experiment
from core.store import Run, Store, StoreError
from core.store.engine_files import oom_kills

log = logging.getLogger(__name__)
PATIENCE = 5.0  # seconds a worker has to react to stop, and to leave after its last status
_RECKON = 0.25  # seconds for which an expectation stands
WAITING, STARTING, WORKING, LEAVING, RESTING = "waiting", "starting", "working", "leaving", "resting"


@dataclass(eq=False)
class Job:
    """A run that has not ended, in the engine's hands."""

    run: Run
    status: Status
    phase: str
    threads: int = 0  # 0 = not decided yet
    worker: Worker | None = None
    kept: Kept = field(default_factory=Kept)  # said to the worker as soon as there is one
    parking: bool = False  # told to free its slot
    stopping: bool = False
    again: bool = False  # resume came while its worker was on its way out
    deleted: bool = False
    deadline: float = math.inf  # monotonic; the worker is killed then
    said: str = ""  # the error that the worker reported last
    heard: float = math.inf  # monotonic; when the worker said last where it stands
    silent: float = 0.0  # seconds since its last sign of life
    oom_before: int = -1
    asked: Experiment | None = None  # None where it cannot be read: the worker says why
    clock: Clock = field(default_factory=Clock)

    def shown(self) -> Status:
        """The status to tell: a run that waits only for its old worker to leave is as good as queued."""
        return replace(self.status, state=QUEUED, words="") if self.again else self.status

    def live(self) -> bool:
        """Is there a worker that still takes commands?"""
        return self.phase == WORKING and not self.leaving()

    def done(self) -> bool:
        """Has it made all steps that were asked for?"""
        return self.status.state == FINISHED and self.status.step >= self.status.steps

    def leaving(self) -> bool:
        """Is its worker on the way out, or gone and its folder not in order yet?"""
        return self.phase == LEAVING or (self.phase == WORKING and (self.parking or self.status.state in ENDED))


class Runs:
    """The table of jobs, the line and the slots."""

    def __init__(self, store: Store, nursery: Nursery, changed: Condition, slots: int, lone_threads: int) -> None:
        self.slots, self.lone_threads = slots, lone_threads
        self.jobs: dict[str, Job] = {}
        self.line: list[str] = []
        self._paces = Paces()
        self._expected: tuple[float, list[str], dict[str, float | None]] = (0.0, [], {})
        self._wishes: dict[str, Command] = {}  # run → the newest wish to watch, of runs that have no job
        self._store, self._nursery, self._changed = store, nursery, changed

    # with the lock held
    def state(self, job: Job) -> RunState:
        place = self.line.index(job.run.id) + 1 if job.run.id in self.line else 0
        wait = self._waits().get(job.run.id) if place else None
        pid, silent = (job.worker.pid, job.silent) if job.worker else (0, 0.0)
        status = hanging(job.shown(), pid, silent, time.monotonic() - job.heard)
        return RunState(job.run.id, status, place, job.threads, pid, wait, int(silent) if silent >= SILENT else 0)

    def _waits(self) -> dict[str, float | None]:
        """Run → seconds until it begins, of those in the line. Asked for often, so an answer stands for a moment."""
        then, line, found = self._expected
        if time.monotonic() - then > _RECKON or line != self.line:
            busy = [self._left(job) for job in self.jobs.values() if job.phase in (STARTING, WORKING, LEAVING)]
            seconds = waits(self.slots, busy, [self._left(self.jobs[run]) for run in self.line])
            whole = [None if wait is None else float(round(wait)) for wait in seconds]
            found = dict(zip(self.line, whole, strict=True))
            self._expected = (time.monotonic(), list(self.line), found)
        return found

    def _left(self, job: Job) -> float | None:
        """Seconds that a job will hold a slot from now on, or from when it gets one."""
        if job.leaving() or job.status.state == PAUSED:  # a paused one gives its slot to those that wait
            return 0.0
        if job.asked is None:
            return None
        unknown = not job.status.steps or (job.asked.train.epochs > 0 and not job.status.step)
        return self._paces.left(job.asked, 0 if unknown else job.status.steps - job.status.step, job.clock.pace())

    def enqueue(self, job: Job, words: str = "") -> None:
        """Put a job at the end of the line; its folder says so, so that the next engine knows too."""
        job.status = replace(job.status, state=QUEUED, words=words, layer="")
        job.phase, job.deadline, job.said = WAITING, math.inf, ""
        job.again = job.parking = job.stopping = False
        if job.asked is None:
            with suppress(StoreError):
                job.asked = job.run.experiment()
        job.kept.wish = self._wishes.pop(job.run.id, job.kept.wish)
        self.jobs[job.run.id] = job
        self.line.append(job.run.id)
        self._record(job)
        self._changed.notify_all()

    def rest(self, job: Job) -> None:
        """Take a waiting job out of the line: paused, without a worker."""
        self.line.remove(job.run.id)
        job.phase, job.status = RESTING, replace(job.status, state=PAUSED, words="")
        job.kept.commands.clear()
        self._record(job)
        self._changed.notify_all()

    def wish(self, run: str, command: Command) -> None:
        """Somebody watches a run that has no job, or nobody does any more: a worker that takes it on is told."""
        if command.verb == "watch":
            self._wishes[run] = command
        else:
            self._wishes.pop(run, None)

    def drop(self, job: Job) -> None:
        """Forget a job that has no worker."""
        if job.run.id in self.line:
            self.line.remove(job.run.id)
        if self.jobs.pop(job.run.id, None) is job and job.kept.wish and not job.deleted:
            self._wishes[job.run.id] = job.kept.wish
        self._changed.notify_all()

    def carry_on(self) -> None:
        """At the engine's start: unfinished runs wait again, oldest first; paused ones rest."""
        found = self._store.runs()
        for run in found[:REMEMBERED]:
            self._learn_from(run)
        for run in reversed(found):
            try:
                status, threads = run.status(), int(run.about().get("threads") or 0)
            except (StoreError, TypeError, ValueError) as error:
                log.warning("run %s is left aside: %s", run.id, error)
                continue
            if status.state == PAUSED:
                self.jobs[run.id] = Job(run, status, RESTING, threads)
            elif status.state in (QUEUED, RUNNING):
                words = "" if status.state == QUEUED else _("Carried on after the engine was started again.")
                self.enqueue(Job(run, status, WAITING, threads), words)

    def _learn_from(self, run: Run) -> None:
        """How long a finished run took, for the expectations of those that wait."""
        with suppress(StoreError, TypeError, ValueError):
            status = run.status()
            if status.state == FINISHED:
                self._paces.finished(run.experiment(), status.step, float(run.about().get("seconds") or 0))

    def _record(self, job: Job) -> None:
        try:
            job.run.set_status(job.status)
        except StoreError:
            log.exception("run %s", job.run.id)

    # by the engine's own thread, without the lock
    def fill(self) -> None:
        """Start waiting jobs while slots are free; otherwise have paused ones free theirs."""
        while (job := self._next()) is not None:
            try:
                worker = self._nursery.take()
            except EngineError as error:
                self.close_off(job, replace(job.status, state=FAILED, words=str(error)))
                continue
            try:
                self._begin(job, worker)
            except (EngineError, StoreError) as error:
                worker.kill()
                self.close_off(job, replace(job.status, state=FAILED, words=str(error)))
        self._nursery.warm()

    def _next(self) -> Job | None:
        with self._changed:
            if not self.line:
                return None
            if sum(job.phase in (STARTING, WORKING, LEAVING) for job in self.jobs.values()) >= self.slots:
                self._park()
                return None
            job = self.jobs[self.line.pop(0)]
            job.phase, job.status = STARTING, replace(job.status, state=RUNNING, words="")
            self._changed.notify_all()
            return job

    def _park(self) -> None:
        working = [job for job in self.jobs.values() if job.phase == WORKING]
        parking = sum(job.parking or job.status.state in ENDED for job in working)
        for job in working:
            if parking < len(self.line) and job.live() and job.status.state == PAUSED and job.worker:
                with suppress(EngineError):
                    job.worker.send(Command("park"))
                    job.parking, parking = True, parking + 1

    def _begin(self, job: Job, worker: Worker) -> None:
        """Give the job to the worker. The threads of its first start hold for good: a resume is exact to the bit."""
        with self._changed:  # also for what is noted: a change by hand may be noted at the same time
            if job.deleted:
                self._nursery.give(worker)
                self.drop(job)
                return
            if not job.threads:
                threads = self.lone_threads if len(self.jobs) == 1 else 1
                job.run.note(threads=threads)
                job.threads = threads
            changes = job.run.take_changes()
            worker.send(Train(str(self._store.root), job.run.id, job.threads))
            job.worker, job.phase, job.oom_before = worker, WORKING, oom_kills()
            job.heard, job.silent = time.monotonic(), 0.0
            for command in [*([Command("set", changes)] if changes else []), *job.kept.for_worker()]:
                worker.send(command)
            self._changed.notify_all()

    def hear(self) -> None:
        """Take in what the workers say, and see to those that have gone."""
        for job in [job for job in list(self.jobs.values()) if job.worker is not None]:
            assert job.worker is not None
            gone = job.worker.gone()  # asked first: what it said last is still read
            with self._changed:
                for message in job.worker.messages():
                    self._take(job, message)
                if not job.worker.open:
                    job.deadline = min(job.deadline, time.monotonic() + PATIENCE)
            if gone:
                self._ended(job)

    def _take(self, job: Job, message: object) -> None:
        if isinstance(message, Status):
            job.status, job.heard = message, time.monotonic()
            job.clock.hear(message, time.monotonic())
            if job.asked and (pace := job.clock.pace()):
                self._paces.measured(job.asked, pace)
            if message.state == FINISHED:
                self._learn_from(job.run)
            if message.state in ENDED:
                job.deadline = min(job.deadline, time.monotonic() + PATIENCE)
            self._changed.notify_all()
        elif isinstance(message, Failed):
            job.said = message.text
        elif not isinstance(message, Ready):
            log.error("run %s: unexpected message %r", job.run.id, message)

    def tick(self, now: float) -> None:
        """Kill workers that were given long enough, and those that give no sign of life any more."""
        for job in list(self.jobs.values()):
            if job.worker is not None:
                job.silent = job.worker.silent(now)
                if now > job.deadline or job.silent > LOST:
                    job.worker.kill()

    def forgive(self, seconds: float) -> None:
        """The engine itself did not run for so long."""
        for job in list(self.jobs.values()):
            job.heard += seconds
            if job.worker is not None:
                job.worker.forgive(seconds)

    def _ended(self, job: Job) -> None:
        """The worker has gone: with its last word, or the engine says why."""
        with self._changed:
            assert job.worker is not None
            code = job.worker.bury()
            job.worker, job.phase, state = None, LEAVING, job.status.state
        parked = state == PAUSED and code == 0
        if job.deleted or state in ENDED or (parked and not job.stopping):
            self.settle(job)
            return
        hint = outlook(job.run.checkpoint_step())
        if job.stopping:
            late = Sentence(
                "Stopped: the worker did not react within {patience:g} s and was ended. {hint}",
                patience=PATIENCE,
                hint=hint,
            )
            words = "" if parked else late
            self.close_off(job, replace(job.status, state=STOPPED, words=words))
            return
        memory = -1 < job.oom_before < oom_kills()
        lost = Sentence(
            "The worker gave no sign of life for {lost:g} s and was ended: it hung, or was stopped.", lost=LOST
        )
        words = join([lost if job.silent > LOST else reason(code, job.status.step, job.said, memory), hint])
        log.warning("run %s: %s", job.run.id, words)
        self.close_off(job, replace(job.status, state=FAILED, words=words))

    def close_off(self, job: Job, status: Status) -> None:
        """Write the end of a run that has no worker to do it, then let it go. Without the lock, by any thread."""
        with self._changed:
            job.phase, job.status = LEAVING, status
            if job.run.id in self.line:
                self.line.remove(job.run.id)
            self._changed.notify_all()
        try:
            job.run.set_status(status)
            events = job.run.log()
            try:
                events.status(status)
            finally:
                events.close()
        except (StoreError, OSError):
            log.exception("the end of run %s could not be written", job.run.id)
        self.settle(job)

    def settle(self, job: Job) -> None:
        """What becomes of a job whose worker has gone."""
        with self._changed:
            if not job.deleted and job.again and not job.done():
                self.enqueue(job)
                if job.kept.rests():
                    self.rest(job)
            elif not job.deleted and job.status.state == PAUSED:
                job.phase, job.parking = RESTING, False
                self._changed.notify_all()
            else:
                self.drop(job)
