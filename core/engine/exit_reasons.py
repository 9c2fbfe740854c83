"""Why a worker ended, or does not go on, in words."""

from __future__ import annotations

import signal
from dataclasses import replace

from core.engine.workers import LOST, SILENT
from core.spec.events import RUNNING, Status

QUIET = 30.0  # seconds of one step, or of loading, that are spoken of

_KILLED = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"}


def reason(code: int, step: int, said: str, memory: bool) -> str:
    """One sentence. `said` is what the worker reported last; `memory`: the kernel has killed for want of memory."""
    if said:
        return f"The worker failed at step {step}: {said.rstrip('.')}."
    if code >= 0:
        return f"The worker ended unexpectedly (exit code {code}) at step {step}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    if name == "SIGKILL":
        return f"The worker was killed (signal 9) at step {step}{', possibly out of memory' if memory else ''}."
    verb = "was killed" if name in _KILLED else "crashed"
    return f"The worker {verb} (signal {-code}, {name}) at step {step}."


def outlook(checkpoint: int | None) -> str:
    """What resuming would do."""
    if checkpoint is None:
        return "Resume starts again from step 0: there was no checkpoint yet."
    return f"Resume carries on from the last checkpoint (step {checkpoint})."


def hanging(status: Status, pid: int, silent: float, quiet: float) -> Status:
    """The status with what is to be said of a worker (process `pid`) that does not go on.

    silent: seconds since its last sign of life. quiet: seconds since it said last where it stands.
    """
    if not pid or (silent < SILENT and (quiet < QUIET or status.state != RUNNING)):
        return status
    if silent >= SILENT:
        words = (
            f"The worker (process {pid}) has given no sign of life for {silent:.0f} s: it hangs, or was stopped. "
            f"Stop ends it now; otherwise it is ended after {LOST:g} s."
        )
    else:
        words = f"{status.words} Nothing new for {quiet:.0f} s: a long step, or it hangs. Stop ends it.".strip()
    return replace(status, words=words)
