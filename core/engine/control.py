"""What each command does to a run, by where the run is. Called with the engine's lock held."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from core.catalog.applies import longer
from core.engine.protocol import EngineError
from core.engine.queue import Questions
from core.engine.running import PATIENCE, RESTING, STARTING, WAITING, Job, Runs
from core.spec.commands import refusal
from core.spec.events import PAUSED, RUNNING, Command, Status
from core.spec.questions import Refresh
from core.store import Run


def _lengthen(run: Run, status: Status, steps: int) -> Status:
    """Ask for more steps of a run that has ended; its status then. SpecError where it cannot be."""
    run.lengthen(longer(run.experiment(), status.steps, steps), status.step)
    return replace(status, steps=steps)


def steer(runs: Runs, questions: Questions, job: Job, command: Command) -> bool:
    """Do it. True when the run, which has no worker, is to be closed off as stopped (by the caller, unlocked)."""
    if why := refusal(job.shown(), command):
        raise EngineError(why)
    if command.verb == "stop":
        return _stop(job)
    STEERED.get(command.verb, _hand_on)(runs, questions, job, command)
    return False


def _hand_on(_runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    """What the engine has no part in: to the worker, at once or as soon as there is one."""
    if job.live() and job.worker:
        job.worker.send(command)
    else:
        job.kept.add(command)


def _pause(runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if job.phase == WAITING and not job.kept.holds():
        runs.rest(job)
    elif job.phase == STARTING or job.again:
        job.kept.add(Command("pause"))
    elif job.live() and job.worker and job.status.state == RUNNING:
        job.worker.send(command)


def _resume(runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if command.values:
        job.status, job.asked = _lengthen(job.run, job.status, command.values["steps"]), job.run.experiment()
    job.kept.add(command)  # nothing that is kept holds it any more
    if job.phase == RESTING:
        runs.enqueue(job)
    elif job.leaving():
        job.again = True
    elif job.live() and job.worker:
        job.worker.send(command)
        if job.status.state == PAUSED:  # at once, or it might be parked before the worker says so itself
            job.status = replace(job.status, state=RUNNING, words="")


def _step(runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if job.live() and job.worker:
        job.worker.send(command)
        return
    job.kept.add(command)
    if job.phase == RESTING:
        runs.enqueue(job)
    elif job.leaving():
        job.again = True


def _set(_runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if job.live() and job.worker:
        job.worker.send(command)
    else:
        job.run.change_later(command.values)


def _watch(_runs: Runs, questions: Questions, job: Job, command: Command) -> None:
    job.kept.add(command)
    if job.live() and job.worker:
        with suppress(EngineError):  # only a wish, and it is kept: the next one will do
            job.worker.send(command)
    elif job.phase != STARTING and (job.phase != WAITING or job.status.step):  # there are weights to look at meanwhile
        refresh(questions, job.run, command)


def _unwatch(_runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    job.kept.add(command)
    if job.live() and job.worker:
        with suppress(EngineError):
            job.worker.send(command)


def _park(runs: Runs, questions: Questions, job: Job, command: Command) -> None:
    if job.live() and job.worker:
        job.worker.send(command)
        job.parking = True
    else:
        _pause(runs, questions, job, command)


def _stop(job: Job) -> bool:
    if job.phase in (WAITING, RESTING):
        return True
    job.again, job.stopping = False, True
    job.kept.commands.clear()
    if job.phase == STARTING:
        job.kept.add(Command("stop"))
    elif job.live() and job.worker:
        job.deadline = min(job.deadline, time.monotonic() + PATIENCE)
        with suppress(EngineError):  # a full pipe: the deadline sees to it
            job.worker.send(Command("stop"))
    elif job.parking:
        job.parking = False
        job.deadline = min(job.deadline, time.monotonic() + PATIENCE)
    return False


STEERED: dict[str, Callable[[Runs, Questions, Job, Command], None]] = {
    "pause": _pause,
    "resume": _resume,
    "step": _step,
    "set": _set,
    "watch": _watch,
    "unwatch": _unwatch,
    "park": _park,
}


def refresh(questions: Questions, run: Run, command: Command) -> None:
    """A frame of a run that nobody trains at the moment."""
    questions.refresh(Refresh(run.id, command.values["sample"], command.values["layer"], runs=str(run.path.parent)))


def steer_ended(runs: Runs, questions: Questions, run: Run, command: Command) -> Status:
    """A command to a run that has ended; the status it has then."""
    status = run.status()
    if why := refusal(status, command):
        raise EngineError(why)
    if command.verb in ("watch", "unwatch"):
        runs.wish(run.id, command)
        if command.verb == "watch":
            refresh(questions, run, command)
    elif command.verb == "resume":
        if command.values:
            status = _lengthen(run, status, command.values["steps"])
        threads = int(run.about().get("threads") or 0)
        job = Job(run, status, RESTING, threads)
        runs.enqueue(job)
        return job.status
    elif command.verb == "set":  # how a run that diverged is mended: set, then resume
        run.change_later(command.values)
    return status
