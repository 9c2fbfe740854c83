"""The engine's process, as whoever starts it sees it: begun, ended, replaced, and what is said when it cannot begin.

Its stdin is a pipe of ours: when we end, however we end, it reads the end of file and ends cleanly. Its stdout is a
pipe until it has begun: a disk that takes no log must not hide why it could not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from core.engine.protocol import EngineFailed
from core.spec.sentences import Sentence
from core.store.engine_files import last_output, open_output
from core.store.files import StoreError

HELD = 3  # exit code of an engine that finds its folder held
CLOSE = 2.4  # seconds for a clean end; then it is killed
TRIES = 5  # starts in vain, after 1, 2, 4 and 8 seconds of rest; then somebody must say that it is to be tried again
_ROOT = Path(__file__).resolve().parents[2]


class Beginning:
    """At most one engine process of ours. Every method may be called from any thread, and none waits for an engine."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self._folder, self._options = folder, options
        self._lock = threading.Lock()  # held for as long as a process takes to be made, never while one begins
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = False  # has this process?
        self._failed, self._cause, self._rest_until = 0, "", 0.0

    @property
    def pid(self) -> int:
        """Of our engine while it lives, else 0."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def well(self) -> None:
        """An engine answers, or somebody has mended what was wrong: what failed before counts no longer."""
        self._failed, self._cause, self._rest_until, self._answered = 0, "", 0.0, True

    def see_to_it(self) -> None:
        """Start an engine unless one of ours is on its way. Another may be faster: then ours ends with HELD.

        EngineFailed, with the cause, when it could not begin, and until it is time to try once more.
        """
        with self._lock:
            if self._process is not None:
                code = self._process.poll()
                if code is None:
                    return
                self._bury(self._process, code)
            self._check()
            self._process, self._answered = self._launch(), False

    def _bury(self, process: subprocess.Popen[bytes], code: int) -> None:
        self._process = None
        said = process.stdout.read().decode(errors="replace").strip() if process.stdout else ""
        _clear(process)
        if code == HELD:
            time.sleep(0.1)  # the holder is about to say where it is, or about to end
        elif not self._answered:
            ended = Sentence("exit code {code}", code=code) if code > 0 else Sentence("signal {code}", code=-code)
            why = said or Sentence("{ended}; {output}", ended=ended, output=last_output())
            self._cause = Sentence("The engine could not begin: {why}", why=why)
            self._failed += 1
            self._rest_until = time.monotonic() + 2 ** (self._failed - 1)

    def _check(self) -> None:
        if self._failed >= TRIES:
            raise EngineFailed(self._cause)
        if time.monotonic() < self._rest_until:
            raise EngineFailed(self._cause, again=True)

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "core.engine", "--runs", str(self._folder), "--watch-stdin", *self._options]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        try:
            output = open_output()
        except StoreError as error:  # a home that cannot be
            raise EngineFailed(str(error), again=True) from None
        except OSError:  # a full or a read-only disk: then nobody can read it later, but the engine may begin
            output = None
        try:
            # A session of its own, so that Ctrl-C reaches us alone: the pipe tells the engine, and it ends cleanly.
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output or subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            raise EngineFailed(
                Sentence("No engine could be started on this machine: {strerror}.", strerror=error.strerror), again=True
            ) from None
        finally:
            if output is not None:
                output.close()

    def end(self, *, hung: bool = False) -> None:
        """Let our engine end, its runs checkpointed; one that hangs, or takes longer than CLOSE, is killed."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        lost = process.poll() is None and (hung or _stopped(process.pid))
        if lost or not _clear(process):
            _kill(process)

    def kill(self) -> None:
        """End our engine, which hangs, at once."""
        self.end(hung=True)


def _clear(process: subprocess.Popen[bytes]) -> bool:
    """Close our ends of the pipes and wait for the engine to end; whether it has."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    try:
        process.wait(CLOSE)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End an engine that does not, and of its workers those that were stopped with it: the others see to themselves."""
    below = []
    with suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for one in below:
        if _stopped(one.pid):
            with suppress(psutil.Error):
                one.kill()
    _clear(process)


def _stopped(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False
