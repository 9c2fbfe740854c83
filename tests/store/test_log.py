"""The event log: acknowledged rows stand exactly once, whatever is killed, torn or full."""

from __future__ import annotations

import errno
import json
import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from core.spec.events import Event, Status
from core.store import DiskFull, EventLog, StoreError, read_rows
from core.store.log import raw_rows, read_after


def _loss(step: int, value: float = 0.5) -> Event:
    return Event(step, "train/loss", value, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_rows_come_back_in_order_with_what_json_has_no_word_for(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(0, 1.5), Event(0, "lr", 0.1, 1.0), _loss(1, math.nan), _loss(2, -math.inf)])
    log.status(Status("paused", 2, 10, "the disk is full"))
    log.close()
    rows = list(read_rows(path))
    assert [(e.step, e.name) for e in rows] == [(0, "train/loss"), (0, "lr"), (1, "train/loss"), (2, "train/loss")]
    assert rows[0].value == 1.5 and math.isnan(rows[2].value) and rows[3].value == -math.inf
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert [row["status"]["state"] for row in raw_rows(path) if "status" in row] == ["paused"]


def test_a_torn_last_line_is_cut_off_when_the_log_is_opened(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(0), _loss(1)])
    log.close()
    whole = path.read_bytes()
    for torn in (b'{"st', b'{"step":2,"time":1.0,"values":{"train/loss":0.5}}', b"x" * 10_000):
        path.write_bytes(whole + torn)
        assert [e.step for e in read_rows(path)] == [0, 1]
        log = EventLog(path)
        assert path.read_bytes() == whole
        log.close()
    log = EventLog(path)
    log.append([_loss(2)])
    log.close()
    assert [e.step for e in read_rows(path)] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no newline at all",
        b"\n",
        b"\xff\xfe\n[1]\n{}\n",
        b"[" * 100_000 + b"\n",
        b'{"step":0,"time":1,"values":[1]}\n',
        b'{"step":0,"time":1,"values":{"train/loss":null}}\n',
        b'{"step":0,"time":1,"values":{"train/loss":"rubbish"}}\n',
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_log_of_rubbish_opens_and_takes_rows(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    log = EventLog(path)
    log.append([_loss(0)])
    log.close()
    assert [e.step for e in read_rows(path)] == [0]


def test_the_first_row_of_a_step_stands_after_a_resume(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(step, 0.1) for step in range(10)])
    log.close()
    log = EventLog(path)  # resumed from step 5: the steps since are computed again
    for step in range(5, 15):
        log.append([_loss(step, 0.2), Event(step, "val/loss", 0.3, 1.0)])
    log.close()
    losses = [(e.step, e.value) for e in read_rows(path) if e.name == "train/loss"]
    assert losses == [(s, 0.1) for s in range(10)] + [(s, 0.2) for s in range(10, 15)]
    assert len([e for e in read_rows(path) if e.name == "val/loss"]) == 10
    assert path.read_bytes().count(b"train/loss") == 15


def test_the_first_of_two_values_in_one_batch_stands(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(0, 0.1), _loss(0, 0.2)])
    log.close()
    assert [e.value for e in read_rows(path)] == [0.1]


@pytest.mark.parametrize("kills", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_writers_lose_and_double_no_acknowledged_row(
    kills: int, tmp_path: Path, kill_writers: Callable[[str, Path, int], list[int]]
) -> None:
    acknowledged = kill_writers("log", tmp_path, kills)
    assert len(acknowledged) >= 2 * kills
    EventLog(tmp_path / "events.jsonl").close()  # repairs the last kill's tail
    counted: Counter[tuple[int, str]] = Counter()
    for line in (tmp_path / "events.jsonl").read_bytes().splitlines():
        row = json.loads(line)
        counted.update((row["step"], name) for name in row["values"])
    assert set(counted.values()) == {1}
    assert {step for step, name in counted if name == "train/loss"} >= set(acknowledged)


def test_a_full_disk_is_told_and_leaves_every_earlier_row(small_disk: Path) -> None:
    log = EventLog(small_disk / "events.jsonl")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_500_000)
    step = 0
    with pytest.raises(DiskFull, match=r"The disk is full: events\.jsonl"):
        for step in range(100_000):
            log.append([_loss(step), Event(step, "x" * 900, 1.0, 1.0)])
    assert step > 100
    assert [e.step for e in read_rows(log.path) if e.name == "train/loss"] == list(range(step))
    assert log.path.read_bytes().endswith(b"\n")
    filler.unlink()
    log.append([_loss(step)])  # the same row again, now that there is room
    log.close()
    assert [e.step for e in read_rows(log.path) if e.name == "train/loss"] == list(range(step + 1))


def test_a_short_write_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(path)
    log.append([_loss(0)])
    whole, write = path.read_bytes(), os.write
    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(os, "write", lambda file, data: write(file, data[:20]))
        log.append([_loss(1)])
    assert path.read_bytes() == whole
    log.append([_loss(1)])
    log.close()
    assert [e.step for e in read_rows(path)] == [0, 1]


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, StoreError)]
)
def test_a_failed_write_is_a_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[StoreError]
) -> None:
    def fail(_file: int, _data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    log = EventLog(path)
    with monkeypatch.context() as patch, pytest.raises(kind) as caught:
        patch.setattr(os, "write", fail)
        log.append([_loss(0)])
    assert type(caught.value) is kind
    log.append([_loss(0)])
    log.close()
    assert [e.step for e in read_rows(path)] == [0]


def test_a_watcher_gets_every_byte_once_in_whole_lines(path: Path) -> None:
    log, seen, offset = EventLog(path), b"", 0
    assert read_after(path.with_name("none"), 0) == (b"", 0)
    for step in range(30):
        log.append([_loss(step)])
        if step % 4 == 3:
            data, offset = read_after(path, offset, limit=100)
            assert data.endswith(b"\n")
            seen += data
    while (step_of := read_after(path, offset, limit=100))[0]:
        seen, offset = seen + step_of[0], step_of[1]
    log.close()
    assert seen == path.read_bytes() and offset == len(seen)


def test_a_row_longer_than_the_limit_reaches_the_watcher(path: Path) -> None:
    path.write_bytes(b'{"step":0}\n' + b"x" * 5000 + b"\n" + b'{"torn')
    data, offset = read_after(path, 11, limit=100)
    assert (len(data), offset) == (5001, 5012)
    assert read_after(path, offset) == (b"", offset)


def test_a_watcher_of_a_log_that_became_shorter_begins_again(path: Path) -> None:
    path.write_bytes(b'{"step":0}\n')
    assert read_after(path, 500) == (b'{"step":0}\n', 11)


def test_rows_that_a_change_by_hand_makes_void_are_taken_back_and_written_anew(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(step, 1.0) for step in range(1, 8)] + [Event(7, "set/lr", 0.1, 1.0)])
    log.status(Status("failed", 7, 10))
    log.close()
    log = EventLog(path)
    log.status(Status("running", 4, 10))
    log.forget_after(7)
    assert len(list(read_rows(path))) == 8, "nothing is later than 7"
    log.forget_after(4)
    assert [e.step for e in read_rows(path)] == [1, 2, 3, 4]
    log.append([_loss(step, 2.0) for step in range(3, 7)])
    log.close()
    assert [(e.step, e.value) for e in read_rows(path)] == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)]


def test_a_watcher_of_a_log_that_was_cut_and_has_grown_past_it_begins_again(path: Path) -> None:
    log = EventLog(path)
    log.append([_loss(1), _loss(2), _loss(3)])
    _data, offset = read_after(path, 0)
    log.forget_after(1)
    log.append([_loss(2, 0.123456789), _loss(3, 0.25), _loss(4)])
    log.close()
    assert path.stat().st_size > offset
    assert read_after(path, offset) == (path.read_bytes(), path.stat().st_size)
