"""What is wrong with one run concerns that run: it says so in words, and goes when it is deleted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.engine.local import LocalEngine
from core.spec import specs
from core.spec.events import FINISHED, Status
from core.store import DiskFull, Run, Store, StoreError
from core.store.files import read_json

READS = (
    "experiment",
    "about",
    "status",
    "events",
    "latest",
    "frame",
    "bytes",
    "snapshots",
    "moments",
    "load_checkpoint",
    "checkpoint_step",
    "log_size",
    "frame_stamp",
)
STRANGE = {
    "a file": lambda path: path.write_text("x"),
    "a link to nowhere": lambda path: path.symlink_to("/nowhere/at/all"),
    "an empty folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.fixture
def sound(store: Store) -> Run:
    run = store.create(specs.preset("cnn", "digits"))
    run.set_status(Status(FINISHED, 600, 600))
    return run


@pytest.mark.parametrize("what", STRANGE)
def test_whatever_stands_in_a_runs_place_is_a_damaged_run(store: Store, sound: Run, what: str) -> None:
    STRANGE[what](store.root / ("a" * 32))
    broken = store.run("a" * 32)
    assert {run.id for run in store.runs()} == {sound.id, broken.id}
    with pytest.raises(StoreError):
        broken.status()
    for name in READS:  # an answer or a sentence, never anything else
        try:
            getattr(broken, name)()
        except StoreError as error:
            assert str(error).isprintable()
    store.delete(broken.id)
    assert store.runs() == [sound] and not os.path.lexists(broken.path)


@pytest.mark.parametrize("name", ["\udcff" * 32, "a" * 31 + "\n", "A" * 32, "a" * 33])
def test_a_folder_with_another_name_is_no_run(store: Store, name: str) -> None:
    (store.root / name).mkdir()
    assert store.runs() == []
    with pytest.raises(StoreError, match="There is no run"):
        store.run(name)


@pytest.mark.parametrize("name", READS)
def test_a_refusal_of_the_system_is_told_as_this_runs(sound: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refused(path: Any, *_args: object, **_more: object) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for call in (
        "core.store.runs.read_regular",
        "core.store.files.read_regular",
        "core.store.log.raw_rows",
        "core.store.runs.used",
        "pathlib.Path.stat",
        "pathlib.Path.exists",
        "pathlib.Path.glob",
    ):
        monkeypatch.setattr(call, refused)
    try:
        getattr(sound, name)()
    except StoreError as error:
        assert "Permission denied" in str(error) and sound.id[:8] in str(error)


def test_a_full_disk_stays_a_full_disk(sound: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.store.runs.write_json", full)
    with pytest.raises(DiskFull):
        sound.set_status(Status(FINISHED, 1, 1))


def test_what_is_written_is_clean_and_what_is_read_is_too(store: Store, tmp_path: Path) -> None:
    run = store.create(specs.preset("cnn", "digits"), "a\udcff\x1b[2J")
    assert run.about()["name"] == "a\ufffd\ufffd[2J"
    run.note(name="\ud800")
    assert run.about()["name"] == "\ufffd"
    (tmp_path / "a.json").write_text('{"\\ud800": ["\\u0000"]}')
    assert read_json(tmp_path / "a.json") == {"\ufffd": ["\ufffd"]}


@pytest.mark.parametrize("what", [*STRANGE, "no JSON", "refused"])
def test_an_engine_begins_beside_a_damaged_run(
    store: Store, sound: Run, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = store.root / ("a" * 32)
    if what in STRANGE:
        STRANGE[what](broken)
    elif what == "no JSON":
        broken.mkdir()
        (broken / "status.json").write_bytes(b"\xff")
    else:
        reading: Callable[..., bytes] = __import__("core.store.files", fromlist=["read_regular"]).read_regular

        def refused(path: Path, *more: int) -> bytes:
            if broken in path.parents:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return reading(path, *more)

        broken.mkdir()
        monkeypatch.setattr("core.store.files.read_regular", refused)
    engine = LocalEngine(store.root, slots=1, worker="tests.engine.fake_worker")
    try:
        assert engine.runs() == {} and engine.state(sound.id).status.state == FINISHED
        engine.delete("a" * 32)
        assert store.runs() == [sound]
    finally:
        engine.close()
