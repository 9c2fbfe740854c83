"""Where this user's engines can be reached: said in a folder that is the user's alone, never in a folder of runs.

A runs folder may come from anybody, and whoever could write an address into it would choose whom we speak to. So the
place of an address follows from the path of the runs folder, and nothing in the runs folder is asked:

    $XDG_RUNTIME_DIR/layerlab, /run/user/UID/layerlab, /tmp/layerlab-UID, …     the first that can be had, mode 700
        HASH.json           key, process and version of the engine (mode 600); HASH: of the runs folder's path
        HASH-TAG.socket     where it listens, TAG: of its key; on Windows the file names a port of 127.0.0.1 instead
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.spec.quoting import quoted
from core.spec.sentences import Sentence
from core.store.files import StoreError, layerlab_home, write_json

_SOCKET_PATH_LIMIT = 100  # bytes; a Unix socket's path may have about 104 on macOS, 108 on Linux
_STALE = 3600.0  # seconds after which the address of an engine that was killed is cleared away
_SIZE_LIMIT = 4096  # bytes of an address
POSIX = os.name == "posix"


@dataclass(frozen=True)
class Address:
    """Where an engine listens: a socket's path, or (host, port) where there are no Unix sockets. `file` says so."""

    place: str | tuple[str, int]
    key: bytes
    pid: int
    version: int
    file: Path


def new_address(runs: Path, version: int) -> Address:
    """A place for an engine of this process to listen at, and a fresh key. The caller holds the runs folder.

    What an engine that was killed has left there is cleared away. StoreError where no folder can be had.
    """
    file, key = _own_folder() / f"{_name(runs)}.json", secrets.token_bytes(32)
    for folder in _folders():
        _forget(folder / file.name)
        _sweep(folder)
    return Address(str(_socket(file, key)) if POSIX else ("127.0.0.1", 0), key, os.getpid(), version, file)


def publish(address: Address) -> None:
    """Say where the engine listens."""
    port = 0 if isinstance(address.place, str) else address.place[1]
    about = {"key": address.key.hex(), "pid": address.pid, "version": address.version, "port": port}
    write_json(address.file, about, sync=False)  # written with mode 600


def read_address(runs: Path) -> Address | None:
    """What was published last for a runs folder; None where there is nothing. Only connecting tells if it is stale."""
    found = [address for folder in _folders() if (address := _read(folder / f"{_name(runs)}.json"))]
    return max(found, key=lambda address: _time(address.file), default=None)


def withdraw(address: Address) -> None:
    """Take back what this process has published, and no more; the socket goes with it."""
    current = _read(address.file)
    if current and current.key == address.key:
        _forget(address.file)


# ── one address ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _name(runs: Path) -> str:
    return hashlib.sha256(os.fsencode(runs.resolve())).hexdigest()[:16]


def _socket(file: Path, key: bytes) -> Path:
    """Where the engine of this key listens: no two ever at one place, so none removes another's."""
    return file.with_name(f"{file.stem}-{hashlib.sha256(key).hexdigest()[:8]}.socket")


def _read(file: Path) -> Address | None:
    """The address in a file, if both it and its socket are this user's alone."""
    about = _believed(file)
    try:
        key, pid, version, port = bytes.fromhex(about["key"]), about["pid"], about["version"], about["port"]
    except (KeyError, TypeError, ValueError):
        return None
    if len(key) != 32 or not all(type(number) is int for number in (pid, version, port)):
        return None
    if not POSIX:
        return Address(("127.0.0.1", port), key, pid, version, file) if 0 < port < 65536 else None
    place = _socket(file, key)
    return Address(str(place), key, pid, version, file) if _is_own_socket(place) else None


def _believed(file: Path) -> dict[str, Any]:
    """The JSON object in a file of this user that nobody else may touch; {} otherwise."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(file, flags), "rb") as opened:
            held = os.fstat(opened.fileno())
            if not stat.S_ISREG(held.st_mode) or (POSIX and not _own(held)):
                return {}
            about = json.loads(opened.read(_SIZE_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _own(held: os.stat_result) -> bool:
    return held.st_uid == os.geteuid() and not held.st_mode & 0o077


def _is_own_socket(path: Path) -> bool:
    try:
        held = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(held.st_mode) and held.st_uid == os.geteuid()


def _forget(file: Path) -> None:
    """Remove an address and its socket: two names that we have made, in a folder that is ours."""
    address = _read(file)
    with suppress(OSError):
        file.unlink(missing_ok=True)
        if address and isinstance(address.place, str):
            Path(address.place).unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Clear away the addresses of engines that were killed long ago."""
    if not POSIX:
        return
    for place in folder.glob("*.socket"):
        if time.time() - _time(place) > _STALE and not _listens(place):
            place.unlink(missing_ok=True)
    for file in folder.glob("*.json"):
        if time.time() - _time(file) > _STALE and _read(file) is None:
            file.unlink(missing_ok=True)


def _listens(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(place))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # too busy to answer
            return True
    return True


def _time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


# ── the folder of addresses ──────────────────────────────────────────────────────────────────────────────────────────


def _candidates() -> list[Path]:
    """Where the folder may be, the best first. It should not depend on the environment: others are to find it."""
    temporary = []
    with suppress(FileNotFoundError):
        temporary = [Path(tempfile.gettempdir())]
    if not POSIX:
        return [place / "layerlab-engines" for place in temporary]
    me, given = os.geteuid(), os.environ.get("XDG_RUNTIME_DIR", "")
    places = [Path(given) / "layerlab"] if given.startswith("/") else []
    places += [Path(f"/run/user/{me}/layerlab")]
    places += [place / f"layerlab-{me}" for place in (Path("/tmp"), *temporary)]
    places += [layerlab_home() / "engines"]
    room = _SOCKET_PATH_LIMIT - len("/0123456789abcdef-01234567.socket")
    return [place for place in dict.fromkeys(places) if len(os.fsencode(place)) <= room]


def _folders() -> list[Path]:
    return [place for place in _candidates() if _ours_alone(place)]


def _own_folder() -> Path:
    """The first place that is ours, made if need be."""
    for place in _candidates():
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=place.parent == layerlab_home())
        if _ours_alone(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    tried = ", ".join(map(str, _candidates()))
    raise StoreError(
        Sentence(
            "An engine needs a folder that belongs to this user alone, with mode 700, and none of {tried} "
            "can be had. Set XDG_RUNTIME_DIR to a folder of your own with mode 700.",
            tried=quoted(tried, 400),
        )
    )


def _ours_alone(folder: Path) -> bool:
    """A folder of this user, closed to others, that nobody can put another one in the place of."""
    try:
        held, above = folder.lstat(), [one.stat() for one in folder.resolve().parents]
    except OSError:
        return False
    if not stat.S_ISDIR(held.st_mode) or not POSIX:
        return stat.S_ISDIR(held.st_mode)
    trusted = (0, os.geteuid())
    kept = [one.st_mode & stat.S_ISVTX or (one.st_uid in trusted and not one.st_mode & 0o022) for one in above]
    return _own(held) and all(kept)
