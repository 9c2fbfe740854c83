"""A run's numbers as a curve shows them: no extreme is lost, the last stands, and reading in parts changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.spec.events import RUNNING, Event, Status
from core.spec.specs import preset
from core.store import Run, Store, read_rows
from core.store.history import POINTS, STRIPS, WIDTH, History, curve, history, latest, thinned, told
from core.store.log import rows_in

ROWS = 40_000


def line(step: int, **values: float | str) -> bytes:
    """One row as it stands in a log; `__` in a name is a slash."""
    named = {name.replace("__", "/"): value for name, value in values.items()}
    return json.dumps({"step": step, "time": step / 100, "values": named}, separators=(",", ":")).encode() + b"\n"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of many rows with one spike, one dip and one step whose loss is no number."""
    run = Store(tmp_path_factory.mktemp("runs")).create(preset("mlp", "digits"))
    rng = np.random.default_rng(0)
    losses = rng.random(ROWS)
    losses[12_345], losses[23_456] = 77.0, -5.0

    def rows() -> Iterator[bytes]:
        for step in range(1, ROWS + 1):
            yield line(
                step,
                train__loss="nan" if step == 30_001 else float(losses[step - 1]),
                **({"grad_norm__one": float(step)} if step % 4 == 0 else {}),
            )

    run.events_path.write_bytes(b"".join(rows()))
    return run


def test_every_extreme_the_last_and_what_is_no_number_are_kept(long: Run) -> None:
    steps, values = curve(long, "train/loss")
    found = dict(zip(steps, values, strict=True))
    whole = {event.step: event.value for event in read_rows(long.events_path) if event.name == "train/loss"}
    assert found[12_346] == 77.0 and found[23_457] == -5.0 and math.isnan(found[30_001])
    assert steps[-1] == ROWS and latest(long)["train/loss"] == whole[ROWS]
    assert len(steps) < 4 * POINTS and steps == sorted(set(steps))
    for step, value in found.items():
        assert value == whole[step] or step == 30_001
    width = 2 ** math.ceil(math.log2(ROWS / POINTS))
    for begin in range(0, ROWS, width):  # by brute force: each stretch's least, largest and last
        stretch = range(begin, begin + width)
        part = {s: whole[s] for s in stretch if s in whole and math.isfinite(whole[s])}
        kept = {s: found[s] for s in stretch if s in found and math.isfinite(found[s])}
        assert min(kept.values()) == min(part.values()) and max(kept.values()) == max(part.values())
        assert max(kept) == max(part)


def test_the_message_is_bounded_and_says_what_it_stands_for(long: Run) -> None:
    message, offset = told(long)
    found = json.loads(message)
    size = long.events_path.stat().st_size
    assert (found["after"], found["offset"], found["thinned"]) == (0, size, ROWS) and offset == size
    assert len(message) < size / 4 and len(message) < 1 << 20
    assert sum("grad_norm/one" in row["values"] for row in found["rows"]) < 4 * STRIPS
    assert [row["step"] for row in found["rows"]] == sorted(row["step"] for row in found["rows"])
    assert next(row for row in found["rows"] if row["step"] == 30_001)["values"]["train/loss"] == "nan"


def test_the_smoothed_curve_is_that_of_every_step(long: Run) -> None:
    smooth = json.loads(told(long)[0])["smooth"]["train/loss"]
    total = weight = 0.0
    slow, before = {}, 0
    for event in read_rows(long.events_path):
        if event.name == "train/loss":
            if math.isfinite(event.value):
                keep = (1 - 1 / WIDTH) ** (event.step - before if before else 1)
                total, weight = keep * total + event.value, keep * weight + 1
                slow[event.step] = total / weight
            before = event.step
    assert len(smooth["steps"]) < 4 * POINTS
    for step, value in zip(smooth["steps"], smooth["values"], strict=True):
        assert value == pytest.approx(slow[step], rel=1e-5)
    assert (smooth["sum"], smooth["weight"]) == (pytest.approx(total), pytest.approx(weight))
    assert smooth["last"] == ROWS and max(smooth["values"]) == pytest.approx(max(slow.values()), rel=1e-5)


@pytest.mark.parametrize("parts", [2, 7, 301])
def test_reading_in_parts_gives_what_reading_at_once_gives(long: Run, parts: int) -> None:
    lines = long.events_path.read_bytes().splitlines(keepends=True)
    at_once, piece_by_piece = History(), History()
    at_once.add(rows_in(b"".join(lines)))
    size = -(-len(lines) // parts)
    for begin in range(0, len(lines), size):
        piece_by_piece.add(rows_in(b"".join(lines[begin : begin + size])))
        if parts == 7:
            piece_by_piece.message()  # a reader in between
    assert piece_by_piece.message() == at_once.message()


def test_rows_that_were_taken_back_are_forgotten(store: Store) -> None:
    run = store.create(preset("mlp", "digits"))
    log = run.log()
    log.append([Event(step, "train/loss", 1.0, 0.0) for step in range(1, 50)])
    assert latest(run) == {"train/loss": 1.0}
    log.forget_after(9)
    with history(run) as found:
        assert found.series["train/loss"].steps.tolist() == list(range(1, 10))
    log.append([Event(step, "train/loss", 2.0, 0.0) for step in range(10, 80)])
    log.status(Status(RUNNING, 80, 100, "On the way."))
    log.close()
    steps, values = curve(run, "train/loss")
    assert steps == list(range(1, 80)) and values[8:10] == [1.0, 2.0]
    assert json.loads(told(run)[0])["rows"][-1]["status"]["words"] == "On the way."


def test_what_is_no_row_or_no_number_is_left_out(store: Store) -> None:
    run = store.create(preset("mlp", "digits"))
    bad = (b"{broken\n", b"[]\n", b'{"step":2}\n', line(3, a="word"), line(4, a="inf"), line(4, a=9.0), line(2, a=9.0))
    run.events_path.write_bytes(line(1, a=1.0) + b"".join(bad) + b'{"step": 5, "ti')
    assert curve(run, "a") == ([1, 4], [1.0, math.inf]) and latest(run) == {"a": math.inf} == run.latest()


@pytest.mark.parametrize("count", [0, 1, POINTS, POINTS + 1, 5000])
def test_thinning_of_any_length_keeps_the_ends_within_the_bound(count: int) -> None:
    steps, values = np.arange(count) * 3 + 7, np.sin(np.arange(count))
    kept = thinned(steps, values, POINTS)
    assert len(kept) <= 3 * POINTS + 1 and (not count or kept[-1] == count - 1)


def test_few_rows_stand_as_they_are(store: Store, tmp_path: Path) -> None:
    run = store.create(preset("mlp", "digits"))
    run.events_path.write_bytes(b"".join(line(step, a=float(step)) for step in range(100)))
    assert curve(run, "a")[0] == list(range(100)) and curve(run, "b") == ([], [])
