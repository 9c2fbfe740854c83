"""Runs: made whole or not at all, found only under their names, and readable after whatever happened."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.spec import specs
from core.spec.events import FINISHED, QUEUED, Event, Snapshot, Status
from core.spec.specs import Experiment
from core.store import Checkpoint, DiskFull, Run, Store, StoreError, files, runs
from core.store.glance import glance


@pytest.fixture
def experiment() -> Experiment:
    return specs.preset("cnn", "digits")


@pytest.fixture
def run(store: Store, experiment: Experiment) -> Run:
    return store.create(experiment, "mine", threads=2)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("about.json", '{"format": 1}'),
        ("about.json", '{"format": 1, "name": [1], "created": 1}'),
        ("status.json", '{"state": [], "step": "x", "steps": null}'),
        ("status.json", '{"state": "dancing"}'),
        ("status.json", '{"state": "running", "step": "x"}'),
    ],
)
def test_a_strange_file_is_told_in_words(run: Run, file: str, text: str) -> None:
    """Or one such folder would take the list of all runs down with it."""
    (run.path / file).write_text(text)
    with pytest.raises(StoreError, match=file):
        run.about(), run.status()


def test_a_row_that_holds_no_numbers_is_passed_over(run: Run) -> None:
    good = '{"step":1,"time":1.0,"values":{"train/loss":0.5}}'
    strange = ('"values":[1]', '"values":{"train/loss":"abc"}', '"values":{"train/loss":null}', '"values":null')
    lines = [f'{{"step":{i},"time":1.0,{one}}}' for i, one in enumerate(strange, 2)]
    run.events_path.write_text("\n".join([good, *lines, good.replace("1,", "9,", 1)]) + "\n")
    assert [event.step for event in run.events()] == [1, 9]
    assert glance(run).loss == [0.5, 0.5]


# ── the folder ───────────────────────────────────────────────────────────────


def test_a_new_run_holds_what_was_asked_for(store: Store, run: Run, experiment: Experiment) -> None:
    assert store.run(run.id) == run and store.runs() == [run]
    assert run.experiment() == experiment
    assert run.status() == Status(QUEUED, 0, experiment.train.steps)
    assert (run.about()["name"], run.about()["threads"]) == ("mine", 2)
    assert len(run.id) == 32 and run.bytes() > 0
    assert (run.events(), run.frame(), run.snapshots(), run.load_checkpoint()) == ([], b"", [], None)


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store, run: Run) -> None:
    assert store.run(run.id[:6]) == run


def test_the_same_experiment_may_run_twice(store: Store, experiment: Experiment) -> None:
    assert store.create(experiment).id != store.create(experiment).id
    assert len(store.runs()) == 2


def test_notes_and_status_are_kept(run: Run) -> None:
    run.note(device="cpu")
    run.set_status(Status(FINISHED, 600, 600, "done"))
    assert (run.about()["device"], run.about()["threads"]) == ("cpu", 2)
    assert run.status() == Status(FINISHED, 600, 600, "done")


def test_latest_is_the_last_value_of_each_name(run: Run) -> None:
    log = run.log()
    log.append([Event(s, "train/loss", 1.0 / (s + 1), 1.0) for s in range(4)])
    log.close()
    assert run.latest() == {"train/loss": 0.25}
    assert run.rows_after(0)[1] == run.events_path.stat().st_size


def test_a_frame_is_replaced_and_its_stamp_changes(run: Run) -> None:
    stamps = {run.frame_stamp()}
    for data in (b"one", b"two"):
        run.write_frame(data)
        stamps.add(run.frame_stamp())
        assert run.frame() == data
    assert len(stamps) == 3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has files that hide their size")
def test_a_named_file_that_hides_its_size_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/zero would take all memory there is; what the kernel writes of a process hides its size, too, and ends."""
    monkeypatch.setattr(files, "FILE_LIMIT", 100)
    with pytest.raises(StoreError, match="is larger than"):
        files.read_named_json(Path("/proc/self/status"))


HOSTILE_IDS = [
    "",
    ".",
    "..",
    "../../etc",
    "/etc/passwd",
    "a" * 31 + "/",
    "A" * 32,
    "0" * 33,
    "%2e%2e",
    "a" * 32 + "\n",
    "0" * 31 + "٣",
    "abc",
    "*",
    "\x00",
    "nul",
    ".deleted-" + "0" * 32,
    "x" * 10_000,
]


@pytest.mark.parametrize("name", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_run_id_is_no_run_and_deletes_nothing(store: Store, run: Run, name: str) -> None:
    for ask in (store.run, store.delete):
        with pytest.raises(StoreError, match="There is no run") as caught:
            ask(name)
        assert len(str(caught.value)) < 400
    assert store.runs() == [run]


def test_a_deleted_run_is_gone_and_the_others_stay(store: Store, run: Run, experiment: Experiment) -> None:
    other = store.create(experiment)
    store.delete(run.id)
    assert store.runs() == [other]
    assert [p.name for p in store.root.iterdir()] == [other.id]
    with pytest.raises(StoreError, match="There is no run"):
        store.run(run.id)


@pytest.mark.parametrize("file", ["experiment.json", "about.json", "status.json"])
def test_a_run_is_made_whole_or_not_at_all(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    write = runs.write_json

    def fail(path: Path, value: object, *, sync: bool = True) -> None:
        if path.name == file:
            raise DiskFull("The disk is full.")
        write(path, value, sync=sync)

    monkeypatch.setattr(runs, "write_json", fail)
    with pytest.raises(StoreError, match="The disk is full"):
        store.create(experiment)
    assert store.runs() == [] and list(store.root.iterdir()) == []


def test_half_a_run_of_a_killed_maker_is_in_no_list(store: Store, run: Run) -> None:
    (store.root / f".{'1' * 32}").mkdir()
    (store.root / ("2" * 31)).mkdir()
    (store.root / "notes.txt").touch()
    assert store.runs() == [run]


@pytest.mark.parametrize("version", [2, 99, None, "1"])
def test_a_folder_of_another_format_is_refused_in_words(run: Run, version: object) -> None:
    (run.path / "about.json").write_text(json.dumps({"format": version, "name": "new"}))
    for ask in (run.about, run.experiment):
        with pytest.raises(StoreError, match=r"has folder format .*; this LayerLab reads format 1"):
            ask()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1, "oops": {}}', "[" * 100_000])
def test_a_broken_experiment_is_told_and_does_not_hide_the_other_runs(
    store: Store, run: Run, experiment: Experiment, text: str
) -> None:
    other = store.create(experiment)
    (run.path / "experiment.json").write_text(text)
    with pytest.raises(StoreError, match=r"experiment\.json"):
        run.experiment()
    assert set(store.runs()) == {run, other}
    (run.path / "experiment.json").unlink()
    assert set(store.runs()) == {run, other}


@pytest.mark.parametrize("text", ["", "[]", '{"mood": "good"}'])
def test_a_broken_status_is_told(run: Run, text: str) -> None:
    (run.path / "status.json").write_text(text)
    with pytest.raises(StoreError, match=r"status\.json cannot be read"):
        run.status()


def test_what_killed_writers_left_is_swept_when_the_log_is_opened_and_locks_stay(run: Run) -> None:
    (run.path / "snapshots").mkdir()
    old, new = run.path / "snapshots" / ".000000001.safetensors.abc.writing", run.path / ".frame.bin.abc.writing"
    lock = run.path / ".lock"
    for path in (old, new, lock):
        path.touch()
    for path in (old, lock):
        os.utime(path, (time.time() - 3600,) * 2)
    run.log().close()
    assert not old.exists() and new.exists() and lock.exists()


# ── snapshots ────────────────────────────────────────────────────────────────


def test_a_snapshot_comes_back_as_it_was(run: Run) -> None:
    tensors = {"weight": np.arange(6.0).reshape(2, 3).T, "count": np.array(7), "empty": np.zeros((0, 3))}
    run.save_snapshot(Snapshot(12, tensors))
    found = run.load_snapshot(12)
    assert run.snapshots() == [12]
    for name, value in tensors.items():
        assert found.tensors[name].shape == value.shape and found.tensors[name].dtype == value.dtype
        assert np.array_equal(found.tensors[name], value)


def test_snapshots_stay_under_the_cap_with_the_early_ones_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SNAPSHOT_CAP", 12_600)
    for step in [0, 1, 2, 4, 8, *range(16, 400, 8)]:
        run.save_snapshot(Snapshot(step, {"weight": np.zeros(250, np.float32)}))  # about 1.15 kB each
        assert sum(f.stat().st_size for f in (run.path / "snapshots").iterdir()) <= 12_600
    kept = run.snapshots()
    assert kept[:4] == [0, 1, 2, 4] and kept[-1] == 392
    assert len(kept) >= 9
    assert all(run.load_snapshot(step).step == step for step in kept)


def test_of_snapshots_larger_than_the_cap_the_first_and_the_newest_stay(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SNAPSHOT_CAP", 10)
    for step in range(5):
        run.save_snapshot(Snapshot(step, {"weight": np.zeros(10)}))
    assert run.snapshots() == [0, 4]


def test_a_snapshot_that_is_not_there_is_told(run: Run) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        run.load_snapshot(3)


# ── checkpoints ──────────────────────────────────────────────────────────────


def _checkpoint(step: int) -> Checkpoint:
    arrays = {"weight": np.full((20, 30), step, np.float32), "adam/step": np.array(float(step)), "rng": np.arange(9)}
    return Checkpoint(step, arrays, {"schedule": {"last": step}, "words": "größer"})


def _cut(path: Path, keep: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def test_a_checkpoint_comes_back_to_the_bit(run: Run) -> None:
    run.save_checkpoint(_checkpoint(3))
    found = run.load_checkpoint()
    assert found is not None
    assert (found.step, found.meta) == (3, _checkpoint(3).meta)
    for name, value in _checkpoint(3).arrays.items():
        assert found.arrays[name].dtype == value.dtype and found.arrays[name].shape == value.shape
        assert found.arrays[name].tobytes() == value.tobytes()


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_torn_newest_checkpoint_is_passed_over_for_the_one_before(run: Run, keep: float) -> None:
    run.save_checkpoint(_checkpoint(1))
    run.save_checkpoint(_checkpoint(2))
    _cut(run.path / "checkpoint.safetensors", keep)
    found = run.load_checkpoint()
    assert found is not None and found.step == 1
    assert np.array_equal(found.arrays["weight"], _checkpoint(1).arrays["weight"])


def _flipped(path: Path) -> Iterator[tuple[int, bytes]]:
    """(place, the file with one bit there turned over) for every byte of it."""
    data = path.read_bytes()
    for place in range(len(data)):
        yield place, data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def test_a_checkpoint_with_any_bit_turned_over_is_passed_over_for_the_one_before(run: Run) -> None:
    run.save_checkpoint(_checkpoint(1))
    run.save_checkpoint(replace(_checkpoint(2), arrays={"model/weight": np.arange(5, dtype=np.float32)}))
    newest = run.path / "checkpoint.safetensors"
    for place, data in list(_flipped(newest)):
        newest.write_bytes(data)
        found = run.load_checkpoint()
        assert found is not None and (found.step, found.damaged) == (1, (newest.name,)), place
        assert "of step 1, was used" in found.words()


def test_four_hundred_changed_bytes_of_a_checkpoint_are_not_believed(run: Run) -> None:
    """What an examination from outside did: zeros in the arrays, which is no fault of the file's form."""
    for step in (1, 2):
        run.save_checkpoint(_checkpoint(step))
    newest = run.path / "checkpoint.safetensors"
    data = newest.read_bytes()
    newest.write_bytes(data[:-1400] + bytes(400) + data[-1000:])
    found = run.load_checkpoint()
    assert found is not None and found.step == 1
    run.drop_damaged(found)
    run.save_checkpoint(_checkpoint(3))
    run.save_checkpoint(_checkpoint(4))
    _cut(newest)
    found = run.load_checkpoint()
    assert found is not None and found.step == 3, "the damaged one has not taken the place of a sound one"


def test_a_snapshot_with_any_bit_turned_over_is_not_shown(run: Run) -> None:
    run.save_snapshot(Snapshot(5, {"weight": np.arange(5, dtype=np.float32)}))
    file = run.path / "snapshots" / "000000005.safetensors"
    for place, data in list(_flipped(file)):
        file.write_bytes(data)
        with pytest.raises(StoreError, match="weights of step 5 are damaged"):
            run.load_snapshot(5)
            pytest.fail(f"byte {place} is not looked at")


def test_files_from_before_there_were_checksums_are_read(run: Run) -> None:
    from safetensors.numpy import save

    (run.path / "snapshots").mkdir()
    (run.path / "snapshots" / "000000005.safetensors").write_bytes(save({"weight": np.ones(3)}))
    assert run.load_snapshot(5).tensors["weight"].tolist() == [1, 1, 1]
    meta = json.dumps({"step": 7, "checksum": '"checksum":"00000000"'})
    (run.path / "checkpoint.safetensors").write_bytes(save({"model/weight": np.ones(3)}, metadata={"meta": meta}))
    found = run.load_checkpoint()
    assert found is not None and (found.step, found.damaged) == (7, ()) and run.checkpoint_step() == 7


def test_what_is_read_may_be_written_to(run: Run) -> None:
    run.save_checkpoint(_checkpoint(1))
    found = run.load_checkpoint()
    assert found is not None and all(array.flags.writeable for array in found.arrays.values())


def test_a_kill_between_the_two_renames_loads_the_newest(run: Run) -> None:
    run.save_checkpoint(_checkpoint(1))
    run.save_checkpoint(_checkpoint(2))
    (run.path / "checkpoint.safetensors").rename(run.path / "checkpoint.fresh")
    found = run.load_checkpoint()
    assert found is not None and found.step == 2


def test_when_no_checkpoint_can_be_read_a_sentence_says_so_and_the_curves_stay(run: Run) -> None:
    log = run.log()
    log.append([Event(0, "train/loss", 1.0, 1.0)])
    log.close()
    run.save_checkpoint(_checkpoint(1))
    run.save_checkpoint(_checkpoint(2))
    for name in ("checkpoint.safetensors", "checkpoint.previous.safetensors"):
        _cut(run.path / name)
    with pytest.raises(StoreError, match=r"cannot be resumed: checkpoint\.safetensors and checkpoint\.previous"):
        run.load_checkpoint()
    assert run.latest() == {"train/loss": 1.0}


def test_a_file_without_a_step_is_no_checkpoint(run: Run) -> None:
    run.save_checkpoint(_checkpoint(1))
    run.save_snapshot(Snapshot(5, {"weight": np.zeros(3)}))
    (run.path / "snapshots" / "000000005.safetensors").rename(run.path / "checkpoint.safetensors")
    with pytest.raises(StoreError, match="cannot be resumed"):
        run.load_checkpoint()


def test_a_writer_killed_at_any_moment_leaves_a_checkpoint_that_loads(
    tmp_path: Path, kill_writers: Callable[[str, Path, int], list[int]]
) -> None:
    steps = kill_writers("checkpoint", tmp_path, 50)  # fails by itself when an acknowledged one does not load
    assert len(steps) >= 30
    assert steps == sorted(steps)


def test_a_disk_too_full_for_a_checkpoint_keeps_the_one_before(small_disk: Path, experiment: Experiment) -> None:
    run = Store(small_disk).create(experiment)
    run.save_checkpoint(_checkpoint(1))
    (small_disk / "filler").write_bytes(b"x" * 1_200_000)
    with pytest.raises(DiskFull, match=r"The disk is full: checkpoint\.fresh"):
        run.save_checkpoint(Checkpoint(2, {"weight": np.zeros(1_000_000)}, {}))
    found = run.load_checkpoint()
    assert found is not None and found.step == 1
    assert [p for p in run.path.iterdir() if p.name.endswith(".writing")] == []
    run.save_checkpoint(_checkpoint(3))
    assert (found := run.load_checkpoint()) is not None and found.step == 3


def test_the_best_moment_stands_for_a_finished_run_and_is_never_thinned_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(specs.preset("mlp", "digits"))
    assert run.newest() is None and run.best_step() is None
    weights = {"w": np.zeros(1000, np.float32)}
    monkeypatch.setattr(runs, "SNAPSHOT_CAP", 25_000)
    for step in (0, 8, 9, 10):
        run.save_snapshot(Snapshot(step, weights))
    run.note(best_step=9)
    for step in (11, 12, 400, 410, 420, 430):
        run.save_snapshot(Snapshot(step, weights))
    assert {0, 9, 430} < set(run.snapshots()) and len(run.snapshots()) < 8
    assert (run.best_step(), run.newest()) == (9, 430)
    run.set_status(Status(FINISHED, 430, 600))
    assert run.newest() == 9
    run.forget_snapshots_after(8)  # changed by hand before it: it is no more
    assert run.best_step() is None
