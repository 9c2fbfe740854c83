"""The fork server that makes the workers, when it does not do what it should: it hangs, or tells nothing."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import suppress

import psutil

log = logging.getLogger(__name__)
MAKING = 30.0  # seconds in which one that is to make a worker must have computed something; else it hangs


def ended(pid: int) -> bool:
    """Has the process ended, as the system sees it? The fork server tells of its workers, unless it hangs itself."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def fork_server() -> int:
    """The process, 0 where none is in use."""
    module = sys.modules.get("multiprocessing.forkserver")
    return getattr(getattr(module, "_forkserver", None), "_forkserver_pid", None) or 0


def end_fork_server() -> None:
    """It ends by itself with the engine, except while it still imports torch, or was stopped."""
    if pid := fork_server():
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def end_hung_fork_server(made: threading.Event) -> None:
    """Whoever waits for a worker then hears that there is none. It may import for minutes, but not stand still."""
    before = -1.0
    while not made.wait(MAKING):
        with suppress(psutil.Error):
            times = psutil.Process(fork_server()).cpu_times() if fork_server() else None
            used = times.user + times.system if times else before + 1.0
            if used - before < 0.01 and not made.is_set():
                log.error("the fork server does not go on and is ended")
                end_fork_server()
                return
            before = used
