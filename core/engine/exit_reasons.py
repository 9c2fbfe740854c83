"""Why a worker ended, or does not go on, in words."""

from __future__ import annotations

import signal
from dataclasses import replace

from core.engine.workers import LOST, SILENT
from core.spec.events import RUNNING, Status
from core.spec.sentences import Sentence, _, join

QUIET = 30.0  # seconds of one step, or of loading, that are spoken of

_KILLED = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"}


def reason(code: int, step: int | None, said: str, memory: bool) -> str:
    """One sentence. step None: it answered a question. `said` is what the worker reported last; `memory`: the kernel
    has killed for want of memory.
    """
    when = _("while it answered") if step is None else Sentence("at step {step}", step=step)
    if said:
        end = "" if said.endswith(".") else "."
        return Sentence("The worker failed {when}: {said}{end}", when=when, said=said, end=end)
    if code >= 0:
        return Sentence("The worker ended unexpectedly (exit code {code}) {when}.", code=code, when=when)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    if name == "SIGKILL":
        if memory:
            return Sentence("The worker was killed (signal 9) {when}, possibly out of memory.", when=when)
        return Sentence("The worker was killed (signal 9) {when}.", when=when)
    if name in _KILLED:
        return Sentence("The worker was killed (signal {code}, {name}) {when}.", code=-code, name=name, when=when)
    return Sentence("The worker crashed (signal {code}, {name}) {when}.", code=-code, name=name, when=when)


def outlook(checkpoint: int | None) -> str:
    """What resuming would do."""
    if checkpoint is None:
        return _("Resume starts again from step 0: there was no checkpoint yet.")
    return Sentence("Resume carries on from the last checkpoint (step {checkpoint}).", checkpoint=checkpoint)


def hanging(status: Status, pid: int, silent: float, quiet: float) -> Status:
    """The status with what is to be said of a worker (process `pid`) that does not go on.

    silent: seconds since its last sign of life. quiet: seconds since it said last where it stands.
    """
    if not pid or (silent < SILENT and (quiet < QUIET or status.state != RUNNING)):
        return status
    if silent >= SILENT:
        words = Sentence(
            "The worker (process {pid}) has given no sign of life for {silent:.0f} s: it hangs, or was "
            "stopped. Stop ends it now; otherwise it is ended after {lost:g} s.",
            pid=pid,
            silent=silent,
            lost=LOST,
        )
    else:
        words = Sentence("Nothing new for {quiet:.0f} s: a long step, or it hangs. Stop ends it.", quiet=quiet)
        words = join([status.words, words]) if status.words else words
    return replace(status, words=words)
