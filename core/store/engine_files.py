"""The files beside the runs: the engine's lock and address, the lock of one run, and the logs.

    runs/.engine.lock      held by the one engine that starts and resumes the runs of this folder
         .engine.json      where it can be reached, with its key (mode 600)
         <id>/.lock        held by the worker that trains the run, so that two never write the same rows
    $LAYERLAB_HOME/logs/   web.log, engine.log (rotating), engine-output.txt (what the workers print)
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import filelock

from core.store.files import StoreError, layerlab_home, made_folder, read_json, write_json
from core.store.runs import Run

_SOCKET_PATH_LIMIT = 100  # bytes; a Unix socket's path may have about 104 on macOS, 108 on Linux
_LOG_BYTES, _LOG_COPIES = 1 << 20, 3


@dataclass(frozen=True)
class Address:
    """Where an engine listens: a socket's path, or (host, port) where there are no Unix sockets."""

    place: str | tuple[str, int]
    key: bytes
    pid: int
    version: int


def runs_home() -> Path:
    """Where runs are kept: $LAYERLAB_RUNS, or runs/ under the home."""
    return Path(os.environ.get("LAYERLAB_RUNS") or layerlab_home() / "runs")


def hold_runs(runs: Path) -> filelock.BaseFileLock | None:
    """The lock of a runs folder, held; None when another engine holds it. A killed holder's lock is free."""
    made_folder(runs)
    lock = filelock.FileLock(runs / ".engine.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return None
    return lock


@contextmanager
def hold_run(run: Run, seconds: float) -> Iterator[None]:
    """Hold one run's folder for writing; StoreError when another worker still holds it after `seconds`."""
    lock = filelock.FileLock(run.path / ".lock")
    try:
        lock.acquire(timeout=seconds, poll_interval=0.02)
    except filelock.Timeout:
        raise StoreError(f"Run {run.id[:8]} is still held by another worker; try again in a moment.") from None
    try:
        yield
    finally:
        lock.release()


def new_address(version: int) -> Address:
    """A place for an engine of this process to listen at, in a folder only we may enter, and a fresh key."""
    if os.name != "posix":
        return Address(("127.0.0.1", 0), secrets.token_bytes(32), os.getpid(), version)
    folder = tempfile.mkdtemp(prefix="layerlab-")
    if len(os.fsencode(folder)) > _SOCKET_PATH_LIMIT - len("/socket"):
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="layerlab-", dir="/tmp")
    return Address(f"{folder}/socket", secrets.token_bytes(32), os.getpid(), version)


def publish(runs: Path, address: Address) -> None:
    """Say in the runs folder where the engine listens. The caller holds the folder; a killed engine's socket goes."""
    _remove_socket(read_address(runs))
    about = {"address": address.place, "key": address.key.hex(), "pid": address.pid, "version": address.version}
    write_json(runs / ".engine.json", about, sync=False)  # written with mode 600


def read_address(runs: Path) -> Address | None:
    """What the folder says; None where there is nothing readable. It may be stale: only connecting tells."""
    try:
        about = read_json(runs / ".engine.json")
        place = about["address"] if isinstance(about["address"], str) else tuple(about["address"])
        return Address(place, bytes.fromhex(about["key"]), int(about["pid"]), int(about["version"]))
    except (StoreError, KeyError, TypeError, ValueError):
        return None


def withdraw(runs: Path) -> None:
    """Take the address back when the engine ends."""
    _remove_socket(read_address(runs))
    with suppress(OSError):
        (runs / ".engine.json").unlink(missing_ok=True)


def _remove_socket(address: Address | None) -> None:
    if address and isinstance(address.place, str) and Path(address.place).parent.name.startswith("layerlab-"):
        shutil.rmtree(Path(address.place).parent, ignore_errors=True)


def logs_folder() -> Path:
    """$LAYERLAB_HOME/logs, made if need be."""
    return made_folder(layerlab_home() / "logs")


def output_path() -> Path:
    """Where everything that an engine and its workers print goes."""
    return logs_folder() / "engine-output.txt"


def open_output() -> IO[bytes]:
    """output_path, to append to; begun anew when it has grown past 1 MB."""
    path = output_path()
    grown = path.exists() and path.stat().st_size > _LOG_BYTES
    return path.open("wb" if grown else "ab")


def last_output() -> str:
    """The last line that an engine printed."""
    with suppress(OSError):
        lines = output_path().read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:300]
    return "it said nothing."


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


def log_to(name: str, level: int = logging.INFO) -> logging.Handler:
    """Have this process write its log to logs/NAME.log, rotated at 1 MB, three copies kept."""
    path = logs_folder() / f"{name}.log"
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_COPIES, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(level, root.level or level))
    return handler
