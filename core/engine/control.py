"""What each command does to a run, by where the run is. Called with the engine's lock held."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.catalog.applies import longer
from core.engine.protocol import EngineError
from core.engine.queue import Questions
from core.engine.running import PATIENCE, RESTING, STARTING, WAITING, Job, Runs
from core.spec.events import ENDED, FINISHED, PAUSED, QUEUED, RUNNING, SETTABLE, Command, Status
from core.spec.options import SpecError, coerce, declared
from core.spec.questions import Refresh
from core.spec.quoting import quoted, shown
from core.spec.specs import TrainSpec
from core.store import Run

# How a caller sees that a command has taken effect: (status before, status now) → bool
EFFECT: dict[str, Callable[[Status, Status], bool]] = {
    "pause": lambda _before, now: now.state not in (RUNNING, QUEUED),
    "step": lambda before, now: now.step > before.step or now.state in ENDED,
    "stop": lambda _before, now: now.state in ENDED,
    "park": lambda _before, now: now.state not in (RUNNING, QUEUED),
}
VERBS = ("pause", "resume", "step", "stop", "set", "watch", "unwatch", "park")


def checked(command: Command) -> Command:
    """The command with its values checked and coerced; EngineError in words."""
    if command.verb not in VERBS:
        raise EngineError(f"There is no command “{quoted(command.verb)}”; there are {', '.join(VERBS)}.")
    if command.verb == "set":
        if not command.values:
            raise EngineError(f"Say what to set: {', '.join(SETTABLE)}.")
        return Command("set", {name: _setting(name, value) for name, value in command.values.items()})
    if command.verb == "watch":
        sample, layer = command.values.get("sample", 0), command.values.get("layer", "")
        fits = isinstance(sample, int) and not isinstance(sample, bool) and 0 <= sample < 2**31
        if not fits or not isinstance(layer, str) or len(layer) > 200:
            raise EngineError("watch takes a sample (a whole number, 0 or more) and the name of a layer.")
        return Command("watch", {"sample": sample, "layer": layer})
    if command.verb == "resume" and command.values:
        return Command("resume", {"steps": _steps(command.values)})
    return Command(command.verb)


def _steps(values: dict[str, Any]) -> int:
    """The steps up to which a run that has ended is trained on."""
    if others := [name for name in values if name != "steps"]:
        raise EngineError(f"resume takes steps, up to which the run is trained on; not {shown(others[0])}.")
    try:
        return int(coerce("steps", int, values["steps"], declared(TrainSpec)["steps"][2]))
    except SpecError as error:
        raise EngineError(error.message) from None


def _lengthen(run: Run, status: Status, steps: int) -> Status:
    """Ask for more steps of a run that has ended; its status then. SpecError where it cannot be."""
    run.lengthen(longer(run.experiment(), status.steps, steps), status.step)
    return replace(status, steps=steps)


def _setting(name: str, value: Any) -> float:
    if name not in SETTABLE:
        raise EngineError(f"“{quoted(name)}” cannot be changed while a run trains; {', '.join(SETTABLE)} can.")
    known = declared(TrainSpec)[name][2]
    try:
        number = math.nan if isinstance(value, bool) else float(value)
        return float(coerce(name, float, number, known))
    except (TypeError, ValueError) as error:
        if isinstance(error, SpecError) and not isinstance(value, bool):
            raise EngineError(error.message) from None
        between = f"between {known.low:g} and {known.high:g} {known.unit}"
        raise EngineError(f"{quoted(name)} must be a number {between}, not {str(value)[:40]!r}.") from None


def steer(runs: Runs, questions: Questions, job: Job, command: Command) -> bool:
    """Do it. True when the run, which has no worker, is to be closed off as stopped (by the caller, unlocked)."""
    if command.verb == "stop":
        return _stop(job)
    _DO[command.verb](runs, questions, job, command)
    return False


def _pause(runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if job.phase == WAITING and not job.kept.holds():
        runs.rest(job)
    elif job.phase == STARTING or job.again:
        job.kept.add(Command("pause"))
    elif job.live() and job.worker and job.status.state == RUNNING:
        job.worker.send(command)
    elif job.status.state in ENDED:
        raise _over(job.status, command)


def _resume(runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if command.values and (job.status.state not in ENDED or job.again):
        raise EngineError("The run has not ended yet; once it has, it can be trained on for more steps.")
    if command.values:
        job.status, job.asked = _lengthen(job.run, job.status, command.values["steps"]), job.run.experiment()
    elif job.done():
        raise _over(job.status, command)
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
    if job.status.state in ENDED and not job.again:
        raise _over(job.status, command)
    job.kept.add(command)
    if job.phase == RESTING:
        runs.enqueue(job)
    elif job.leaving():
        job.again = True


def _set(_runs: Runs, _questions: Questions, job: Job, command: Command) -> None:
    if job.status.state == FINISHED:
        raise _over(job.status, command)
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


_DO: dict[str, Callable[[Runs, Questions, Job, Command], None]] = {
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


def is_finished(status: Status) -> str:
    """Why a finished run is not carried on."""
    return f"The run is finished: all {status.steps} steps are done."


def steer_ended(runs: Runs, questions: Questions, run: Run, command: Command) -> Status:
    """A command to a run that has ended; the status it has then."""
    status = run.status()
    if command.verb in ("watch", "unwatch"):
        runs.wish(run.id, command)
        if command.verb == "watch":
            refresh(questions, run, command)
    elif command.verb == "resume" and (command.values or status.state != FINISHED):
        if command.values:
            status = _lengthen(run, status, command.values["steps"])
        threads = int(run.about().get("threads") or 0)
        job = Job(run, status, RESTING, threads)
        runs.enqueue(job)
        return job.status
    elif command.verb == "set" and status.state != FINISHED:  # how a run that diverged is mended: set, then resume
        run.change_later(command.values)
    elif command.verb != "stop":
        raise _over(status, command)
    return status


def _over(status: Status, command: Command) -> EngineError:
    """Why a run that has ended does not obey."""
    if command.verb == "resume":
        return EngineError(is_finished(status))
    verb = {"set": "changed", "step": "taken further", "park": "paused"}.get(command.verb, f"{command.verb}d")
    hint = "" if status.state == FINISHED else " Resume it first."
    return EngineError(f"The run is {status.state}; it cannot be {verb}.{hint}")
