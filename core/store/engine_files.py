"""The files beside the runs: the engine's lock, the lock of one run, and the logs. Its address: core.store.addresses.

runs/.engine.lock      held by the one engine that starts and resumes the runs of this folder (mode 600)
     <id>/.lock        held by the worker that trains the run, so that two never write the same rows
$LAYERLAB_HOME/logs/   web.log, engine.log (rotating), engine-output.txt (what the workers print)
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import filelock

from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, join
from core.store.files import DiskFull, StoreError, layerlab_home, made_folder, write_atomic
from core.store.runs import Run

_LOG_BYTES, _LOG_COPIES = 1 << 20, 3
_LONGEST = 50  # bytes of a temporary folder's path in which sockets can be made (their own path may have about 100)


def hold_runs(runs: Path) -> filelock.BaseFileLock | None:
    """The lock of a runs folder, held; None when another engine holds it. A killed holder's lock is free.

    StoreError in words where the folder cannot be written to, or somebody else could hold it.
    """
    made_folder(runs)
    lock = _lock(runs / ".engine.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if (pid := _holder(Path(lock.lock_file))) and (name := _stranger(Path(f"/proc/{pid}"))):
            raise StoreError(
                Sentence(
                    "Process {pid} of another user ({name}) holds {runs}. {own_folder}",
                    pid=pid,
                    name=quoted(name),
                    runs=quoted(runs, 200),
                    own_folder=_OWN_FOLDER,
                )
            ) from None
        return None
    except (OSError, NotImplementedError) as error:
        raise _unwritable(runs, error) from None
    return lock


def lock_stamp(runs: Path) -> tuple[int, int]:
    """Which lock file stands there now; (0, 0) for none. It changes when the folder is taken away or made anew."""
    with suppress(OSError):
        held = (runs / ".engine.lock").stat()
        return (held.st_dev, held.st_ino)
    return (0, 0)


def _unwritable(runs: Path, error: Exception) -> StoreError:
    """Why no engine can hold the folder, and what to do."""
    folder = quoted(runs, 200)
    if getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            Sentence(
                "The disk of {folder} is full. Delete a run on the page “Runs”, or free some space elsewhere.",
                folder=folder,
            )
        )
    reason = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    said = Sentence(
        "Nothing can be written to the runs folder {folder}: {reason}. Make it writable.",
        folder=folder,
        reason=quoted(reason),
    )
    return StoreError(join([said, _OWN_FOLDER]))


def short_temporary_folder() -> None:
    """Have temporary files go where a socket's path is short enough: the fork server makes sockets there."""
    if os.name == "posix" and len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        os.environ["TMPDIR"], tempfile.tempdir = "/tmp", None  # the processes that we start read the variable


_OWN_FOLDER = _("Choose a runs folder of your own: --runs or LAYERLAB_RUNS.")


def _lock(path: Path) -> filelock.BaseFileLock:
    """A lock that only this user can hold: another could by opening the file, if its mode let him.

    StoreError where the file is somebody else's: he could hold it whenever he likes.
    """
    if os.name == "posix" and path.is_symlink():
        raise StoreError(
            Sentence(
                "{path} is a link to another place; remove it. {own_folder}",
                path=quoted(path, 200),
                own_folder=_OWN_FOLDER,
            )
        )
    if name := _stranger(path):
        place = quoted(path, 200)
        raise StoreError(
            Sentence(
                "{place} belongs to another user ({name}), who can keep others out. {own_folder}",
                place=place,
                name=quoted(name),
                own_folder=_OWN_FOLDER,
            )
        )
    with suppress(OSError):  # there is none yet; or it may not be changed, and the lock itself says so
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    return filelock.FileLock(path, mode=0o600)


def _stranger(path: Path) -> str:
    """The name of the user whose this is; "" where it is ours, or is not there."""
    try:
        owner = path.lstat().st_uid
        return "" if os.name != "posix" or owner == os.geteuid() else path.owner()
    except KeyError:
        return Sentence("number {owner}", owner=owner)
    except OSError:
        return ""


def _holder(path: Path) -> int:
    """The process that holds a lock; 0 where the system does not say."""
    with suppress(OSError, ValueError):
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if "->" not in words and int(words[5].split(":")[-1]) == inode:
                return int(words[4])
    return 0


@contextmanager
def hold_run(run: Run, seconds: float) -> Iterator[None]:
    """Hold one run's folder for writing; StoreError when another worker still holds it after `seconds`."""
    lock = _lock(run.path / ".lock")
    try:
        lock.acquire(timeout=seconds, poll_interval=0.02)
    except filelock.Timeout:
        raise StoreError(
            Sentence("Run {run_id} is still held by another worker; try again in a moment.", run_id=run.id[:8])
        ) from None
    try:
        yield
    finally:
        lock.release()


def logs_folder() -> Path:
    """$LAYERLAB_HOME/logs, made if need be."""
    return made_folder(layerlab_home() / "logs")


def output_path() -> Path:
    """Where everything that an engine and its workers print goes."""
    return layerlab_home() / "logs" / "engine-output.txt"


def open_output() -> IO[bytes]:
    """output_path, to append to; begun anew when it has grown past 1 MB."""
    path = logs_folder() / output_path().name
    grown = path.exists() and path.stat().st_size > _LOG_BYTES
    return path.open("wb" if grown else "ab")


def last_output() -> str:
    """The last line that an engine printed."""
    with suppress(OSError):
        lines = output_path().read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:300]
    return _("it said nothing.")


def keep_failure(text: str) -> Path:
    """Keep the details of an unexpected error of a command for a bug report; the file that holds them."""
    with suppress(OSError, StoreError):
        path = logs_folder() / "command-failure.txt"
        write_atomic(path, text.encode(errors="replace"), sync=False)
        return path
    return Path(os.devnull)


def oom_kills() -> int:
    """How many processes the kernel has killed so far for want of memory; −1 where it does not say."""
    found = -1
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    found = max(found, 0) + int(count)
    return found


class _Log(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk takes no log; the work goes on, and says so itself."""


def log_to(name: str, level: int = logging.INFO) -> logging.Handler:
    """Have this process write its log to logs/NAME.log, rotated at 1 MB, three copies kept."""
    handler: logging.Handler
    try:
        path = logs_folder() / f"{name}.log"
        handler = _Log(path, maxBytes=_LOG_BYTES, backupCount=_LOG_COPIES, delay=True, encoding="utf-8")
    except StoreError:  # no folder to write to: that is told where it matters
        handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(level, root.level or level))
    return handler
