"""events.jsonl: rows of numbers, appended by one writer, read by many.

A row is one line of JSON: {"step": 12, "time": 1766.2, "values": {"train/loss": 0.41, …}} or
{"step": 12, "time": …, "status": {"state": "paused", "words": …}}.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from core.spec.events import Event, Status, from_json_number, json_number
from core.spec.quoting import parsed, quoted
from core.spec.sentences import Sentence
from core.store.files import DiskFull, explained, sweep, write_atomic

_NONE: dict[str, Any] = {}
LARGEST = 2**53  # of a count: JSON's numbers, arrays and browsers are exact up to here
_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for every row


class EventLog:
    """The one writer of a run's rows. Opening repairs a torn last line and reads what already stands.

    After a resume the steps since the checkpoint are computed again; a row whose (step, name) stands is not
    written a second time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        sweep(path.parent)  # here, because a run has one writer
        self._file = self._open()
        self._size = self._repair()
        self._last = self._standing()

    def append(self, events: Iterable[Event]) -> None:
        """Write the events in one raw write: all of them stand afterwards, or none and DiskFull is raised."""
        rows: dict[int, dict[str, Any]] = {}
        fresh: dict[str, int] = {}
        for event in events:
            if event.step <= fresh.get(event.name, self._last.get(event.name, -1)):
                continue
            row = rows.setdefault(event.step, {"step": event.step, "time": round(event.time, 4), "values": {}})
            row["values"][event.name] = json_number(event.value)
            fresh[event.name] = event.step
        if rows:
            self._write("".join([_encode(row) + "\n" for row in rows.values()]))
            self._last |= fresh

    def forget_after(self, step: int) -> None:
        """Take back the rows of later steps: a change by hand, made at `step`, has them come out otherwise."""
        if max(self._last.values(), default=-1) <= step:
            return
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                row = _row(line)
                if row is not None and row["step"] > step:
                    break
                end += len(line)
        os.ftruncate(self._file, end)
        os.fsync(self._file)
        self._size, self._last = end, self._standing()

    def status(self, status: Status) -> None:
        """Write a row that says where the run stands."""
        about = {"state": status.state, "steps": status.steps, "words": status.words, "layer": status.layer}
        row = {"step": status.step, "time": round(time.time(), 4), "status": about}
        self._write(_encode(row) + "\n")

    def sync(self) -> None:
        """Have the rows on the disk, not only in the system's cache (done at checkpoints)."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; appending afterwards is an error."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _standing(self) -> dict[str, int]:
        """name → its last step in the file."""
        last: dict[str, int] = {}
        for event in read_rows(self.path):
            last[event.name] = max(event.step, last.get(event.name, -1))
        return last

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise explained(error, self.path) from error

    def _restore(self) -> None:
        """The file was deleted under us: its rows are still ours to read, and go into a new one of the same name.

        StoreError where the whole folder is gone.
        """
        with os.fdopen(os.dup(self._file), "rb") as deleted:
            deleted.seek(0)
            write_atomic(self.path, deleted.read(self._size))
        fresh = self._open()
        os.close(self._file)
        self._file = fresh

    def _write(self, text: str) -> None:
        data = text.encode()
        if os.fstat(self._file).st_nlink == 0 and not self.path.exists():
            self._restore()
        try:
            written = os.write(self._file, data)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise explained(error, self.path) from error
        if written != len(data):  # seen on a full disk: a short count and no error
            os.ftruncate(self._file, self._size)
            name = quoted(self.path.name)
            raise DiskFull(
                Sentence("The disk is full: {name} could not take a row. Free some space, then resume.", name=name)
            )
        self._size += written

    def _repair(self) -> int:
        size = os.fstat(self._file).st_size
        end = size
        while end > 0:  # back to just after the last newline
            start = max(0, end - 4096)
            block = os.pread(self._file, end - start, start) if hasattr(os, "pread") else self._pread(start, end)
            newline = block.rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._file, end)
        return end

    def _pread(self, start: int, end: int) -> bytes:
        os.lseek(self._file, start, os.SEEK_SET)
        return os.read(self._file, end - start)


def read_rows(path: Path) -> Iterator[Event]:
    """Every number of a log, in order, each (step, name) once; a torn last line is left out."""
    seen: dict[str, int] = {}
    for row in raw_rows(path):
        for name, value in row.get("values", {}).items():
            if row["step"] <= seen.get(name, -1):
                continue
            try:
                number = from_json_number(value)
            except (TypeError, ValueError):  # a failing disk, or another program, was here
                continue
            seen[name] = row["step"]
            yield Event(row["step"], name, number, row["time"])


def raw_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows as they stand, a torn or unreadable line left out."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            if not data.endswith(b"\n"):
                data += file.readline()
            yield from rows_in(data[: data.rfind(b"\n") + 1])


_PIECE = 1 << 20  # bytes that are parsed at once


def rows_in(data: bytes) -> list[dict[str, Any]]:
    """The sound rows of whole lines. All lines at once are parsed in a tenth of the time that one by one would take."""
    data = data[: data.rfind(b"\n") + 1]
    if data.isascii() and b"\\" not in data:
        try:
            found = orjson.loads(b"[" + data[:-1].replace(b"\n", b",") + b"]")
        except ValueError:  # one of them is broken
            found = None
        if found is not None and len(found) == data.count(b"\n"):
            return [row for row in found if _sound(row)]
    return [row for line in data.split(b"\n")[:-1] if (row := _row(line)) is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.isascii() and b"\\" not in line else parsed(line)
    except (ValueError, RecursionError):
        return None
    return row if _sound(row) else None


def _sound(row: Any) -> bool:
    try:
        step, when, values = row["step"], row["time"], row.get("values", _NONE)
    except (TypeError, KeyError, AttributeError):
        return False
    return type(step) is int and 0 <= step <= LARGEST and type(when) in (float, int) and type(values) is dict


def read_after(path: Path, offset: int, limit: int = 1 << 20) -> tuple[bytes, int]:
    """Whole lines after byte `offset` (at most about `limit` bytes), and the offset after them.

    From the beginning where no line ends at `offset`: the file became shorter, and has perhaps grown again.
    """
    if not path.is_file():  # none yet, or a pipe, which would have to be waited for
        return b"", offset
    try:
        with path.open("rb") as file:
            file.seek(max(0, offset - 1))
            if offset and file.read(1) != b"\n":
                file.seek(offset := 0)
            data = file.read(limit)
            if len(data) == limit:
                data += file.readline()  # a row may be longer than the limit
    except FileNotFoundError:
        return b"", offset
    end = data.rfind(b"\n") + 1
    return data[:end], offset + end
