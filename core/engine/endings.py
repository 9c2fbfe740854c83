"""Why a worker ended, in words."""

from __future__ import annotations

import signal

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
