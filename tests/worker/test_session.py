"""The worker: what a run leaves in its folder, how it obeys, and how it ends when something is wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalog.applies import longer
from core.engine.live import decode_frame
from core.engine.wire import hear, say
from core.spec.events import FAILED, FINISHED, PAUSED, RUNNING, STOPPED, Command, Status
from core.spec.questions import Describe, Doctor, Refresh
from core.spec.specs import Experiment, assign, preset
from core.store import Run, Store
from core.store import log as store_log
from core.worker import answers, session
from core.worker.train.training import Training

QUIET = lambda *_said: None  # noqa: E731


def small(steps: int = 30, **changes: object) -> Experiment:
    return assign(preset("mlp", "digits"), {"train.steps": steps, "model.hidden": "16", **changes})


@contextlib.contextmanager
def going(store: Store, run: Run, *first: Command) -> Iterator:
    """The run in a thread of this process, and the engine's end of its pipe."""
    ours, theirs = Pipe()
    for command in first:
        say(ours, command)
    thread = threading.Thread(target=session.train, args=(str(store.root), run.id, theirs, 1), daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        with contextlib.suppress(OSError):
            say(ours, Command("stop"))
        thread.join(20)
        assert not thread.is_alive()


def wait_for(conn, state: str, words: str = "") -> Status:
    """The first status of this state."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if conn.poll(0.1):
            status = hear(conn)
            if status.state == state and words in status.words:
                return status
    raise AssertionError(f"the run never was {state}")


def test_a_run_leaves_rows_snapshots_a_checkpoint_a_frame_and_an_end(store):
    run = store.create(small())
    with going(store, run) as conn:
        assert wait_for(conn, FINISHED).step == 30
    losses = [e.step for e in run.events() if e.name == "train/loss"]
    assert losses == list(range(1, 31))
    assert run.status().state == FINISHED and "test samples" in run.status().words
    assert run.load_checkpoint().step == 30
    assert run.snapshots()[0] == 0 and run.snapshots()[-1] == 30
    frame = decode_frame(run.frame())
    assert frame.step == 30 and frame.arrays["pictures"].shape == (12, 28, 28)
    assert {"test/accuracy", "val/loss", "samples_per_second", "memory", "lr"} <= run.latest().keys()
    assert run.about()["device"] == "cpu" and run.about()["seconds"] > 0


@pytest.mark.parametrize(
    ("architecture", "data", "changes", "says"),
    [
        ("gru", "adding", {"data.samples": 200, "data.length": 6}, "mean squared error"),
        (
            "gru",
            "copy",
            {"data.samples": 200, "data.gap": 3, "data.items": 3},
            "of the steps asked in the test samples",
        ),
        ("mlp", "digits", {"train.early_stopping": 1, "train.lr": 0.2}, "Stopped early at step"),
        ("mlp", "digits", {"train.schedule": "range_test", "train.optimizer": "sgd", "train.lr": 1.0}, "learning rate"),
        ("gpt", "characters", {"data.samples": 50, "data.length": 8, "model.width": 8}, "steps asked"),
    ],
)
def test_the_end_is_told_in_the_words_of_what_was_asked(store, architecture, data, changes, says):
    run = store.create(assign(preset(architecture, data), {"train.steps": 40, "train.batch_size": 16, **changes}))
    with going(store, run) as conn:
        end = wait_for(conn, FINISHED)
    assert says in end.words and end.words.startswith("Finished. ") and "nan" not in end.words
    assert end.step == end.steps == run.load_checkpoint().step
    assert ("sample_text" in run.about()) == (data == "characters")
    assert len(run.about().get("sample_text", " " * 200)) == 200


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_run_that_is_trained_on_says_how_and_is_exact(store, schedule):
    """Without a schedule as if all steps had been asked for at once; with one, cut or not the same."""
    ends = []
    for cut in (False, True):
        run = store.create(small(30, **{"train.schedule": schedule}))
        with going(store, run) as conn:
            wait_for(conn, FINISHED)
        run.lengthen(longer(run.experiment(), 30, 80), 30)
        if cut:
            with going(store, run, Command("pause"), Command("step"), Command("step"), Command("park")) as conn:
                while wait_for(conn, PAUSED).step < 32:
                    pass
        with going(store, run) as conn:
            words = wait_for(conn, RUNNING, "Trained on").words
            assert wait_for(conn, FINISHED).step == 80
        stays = "the learning rate stays as it is"
        follows = "follows cosine as for a run of 80 steps, which at step 31 makes 0.691 times"
        assert "from step 30 to step 80: " in words and (stays if schedule == "constant" else follows) in words
        assert [e.step for e in run.events() if e.name == "train/loss"] == list(range(1, 81))
        ends.append(run.load_checkpoint().arrays)
    straight = store.create(small(80))
    with going(store, straight) as conn:
        wait_for(conn, FINISHED)
    for other in [ends[1], *([straight.load_checkpoint().arrays] if schedule == "constant" else [])]:
        for name, value in ends[0].items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_the_best_weights_are_the_runs_result(store):
    plateau = {"train.early_stopping": 3, "train.lr": 0.05, "train.label_noise": 0.3}
    run = store.create(small(400, **plateau))
    with going(store, run) as conn:
        end = wait_for(conn, FINISHED)
    best = run.best_step()
    assert best == run.latest()["best/step"] == run.newest() < end.step
    assert f"smallest at step {best}" in end.words and "are kept" in end.words
    assert decode_frame(run.frame()).step == best
    kept = run.load_checkpoint().arrays
    for name, value in run.weights(best).items():
        np.testing.assert_array_equal(value, kept[f"best/model/{name}"])
    run.write_frame(b"")
    answers.answer(Refresh(run.id, 1, "", runs=str(store.root)), QUIET)
    assert decode_frame(run.frame()).step == best


def test_a_setting_that_the_data_cannot_use_fails_in_the_same_sentence(store):
    run = store.create(assign(preset("gru", "adding"), {"train.label_noise": 0.5}))
    with going(store, run) as conn:
        assert "label_noise replaces classes, but adding asks for one number" in wait_for(conn, FAILED).words


def test_pause_step_set_watch_resume_and_stop(store):
    run = store.create(small(100_000))
    with going(store, run, Command("pause")) as conn:
        at = wait_for(conn, PAUSED).step
        assert run.load_checkpoint().step == at
        say(conn, Command("step"))
        assert wait_for(conn, PAUSED).step == at + 1
        say(conn, Command("watch", {"sample": 9, "layer": "relu1"}))
        say(conn, Command("set", {"lr": "0.25"}))
        say(conn, Command("step"))
        assert wait_for(conn, PAUSED).step == at + 2
        frame = decode_frame(run.frame())
        assert (frame.step, frame.meta["sample"], frame.meta["layer"]) == (at + 2, 9, "relu1")
        say(conn, Command("resume"))
        wait_for(conn, RUNNING)
        say(conn, Command("stop"))
        end = wait_for(conn, STOPPED)
    assert run.load_checkpoint().step == end.step == run.status().step
    marks = [(e.step, e.value) for e in run.events() if e.name == "set/lr"]
    assert marks == [(at + 2, 0.25)]
    assert run.load_checkpoint().meta["values"]["lr"] == 0.25


@pytest.mark.parametrize("begun", [0, 7])
def test_what_is_said_before_the_run_begins_holds_before_its_first_step(store, begun):
    """Also where it is carried on: a run that is to go one step goes one step."""
    run = store.create(small(100_000))
    if begun:
        with going(store, run, Command("pause"), *[Command("step")] * begun) as conn:
            while wait_for(conn, PAUSED).step < begun:
                pass
    first = [Command("watch", {"sample": 9, "layer": "relu1"}), Command("pause"), Command("step")]
    with going(store, run, *first) as conn:
        assert wait_for(conn, PAUSED).step == begun
        assert wait_for(conn, PAUSED).step == begun + 1
        frame = decode_frame(run.frame())
        assert (frame.step, frame.meta["sample"], frame.meta["layer"]) == (begun + 1, 9, "relu1")


def test_a_kill_after_a_change_by_hand_does_not_take_it_back(store, monkeypatch):
    """The mark on the curves and the value that a resume goes on with are kept together."""
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 1e9)  # the change alone has one written
    run = store.create(small(100_000))
    with going(store, run) as conn:
        wait_for(conn, RUNNING)
        say(conn, Command("set", {"lr": "0.25", "clip_norm": "2"}))
        end = time.monotonic() + 20
        while run.checkpoint_step() is None:
            assert time.monotonic() < end, "a kill would take the change back"
            time.sleep(0.01)
        kept = run.load_checkpoint()
        assert {"set/lr", "set/clip_norm"} <= run.latest().keys()
    assert (kept.meta["values"]["lr"], kept.meta["values"]["clip_norm"]) == (0.25, 2.0)


def test_frames_are_written_only_while_somebody_watches(store):
    run = store.create(small(100_000))
    with going(store, run) as conn:
        while wait_for(conn, RUNNING).step == 0:
            pass
        assert decode_frame(run.frame()).step == 0, "who comes late sees first what nobody had learned yet"
        say(conn, Command("watch", {"sample": 0, "layer": "head"}))
        end = time.monotonic() + 10
        while decode_frame(run.frame()).step == 0 and time.monotonic() < end:
            time.sleep(0.02)
        assert decode_frame(run.frame()).meta["layer"] == "head"
        say(conn, Command("unwatch"))
        time.sleep(0.2)
        stamp = run.frame_stamp()
        time.sleep(0.5)
        assert run.frame_stamp() == stamp


def test_the_engines_end_leaves_a_checkpoint_and_the_state_running(store):
    run = store.create(small(100_000))
    with going(store, run) as conn:
        wait_for(conn, RUNNING)
        time.sleep(0.3)
        conn.close()
    assert run.status().state == RUNNING
    kept = run.load_checkpoint()
    assert kept.step > 0
    last = max(e.step for e in run.events() if e.name == "train/loss")
    assert last <= kept.step  # the next worker goes on from there


def test_a_resumed_run_writes_no_row_twice_and_ends_as_if_never_cut(store):
    straight, cut = store.create(small(300)), store.create(small(300))
    with going(store, straight) as conn:
        wait_for(conn, FINISHED)
    with going(store, cut, Command("pause")) as conn:
        for _ in range(40):
            wait_for(conn, PAUSED)
            say(conn, Command("step"))
        wait_for(conn, PAUSED)
        say(conn, Command("park"))
        wait_for(conn, PAUSED, "waiting run")
    with going(store, cut) as conn:
        wait_for(conn, FINISHED)
    for run in (straight, cut):
        assert [e.step for e in run.events() if e.name == "train/loss"] == list(range(1, 301))
    one, other = straight.load_checkpoint().arrays, cut.load_checkpoint().arrays
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_damaged_checkpoint_is_told_and_the_one_before_carries_the_run_to_the_same_end(store):
    """The bytes of the newest one have changed on the disk: the run says so as long as it trains, and when it ends."""
    straight, hurt = store.create(small(60)), store.create(small(60))
    with going(store, straight) as conn:
        wait_for(conn, FINISHED)
    with going(store, hurt, Command("pause")) as conn:
        wait_for(conn, PAUSED)
        for _ in range(3):
            say(conn, Command("step"))
            wait_for(conn, PAUSED)
        say(conn, Command("resume"))
        say(conn, Command("pause"))  # a checkpoint
        wait_for(conn, PAUSED)
        say(conn, Command("park"))  # and another one
        wait_for(conn, PAUSED, "waiting run")
    newest = hurt.path / "checkpoint.safetensors"
    data = bytearray(newest.read_bytes())
    data[-900:-500] = bytes(400)
    newest.write_bytes(data)
    kept = hurt.load_checkpoint()
    with going(store, hurt) as conn:
        assert f"of step {kept.step}, was used" in wait_for(conn, RUNNING, "damaged").words
        assert "damaged" in wait_for(conn, FINISHED).words
    assert [e.step for e in hurt.events() if e.name == "train/loss"] == list(range(1, 61))
    one, other = straight.load_checkpoint().arrays, hurt.load_checkpoint().arrays
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_diverged_run_says_step_layer_and_mend(store):
    hot = {"train.optimizer": "sgd", "train.lr": 100, "train.schedule": "constant", "model.hidden": "64,64"}
    run = store.create(small(300, **hot))
    with going(store, run) as conn:
        status = wait_for(conn, FAILED)
    assert status.layer and "smaller learning rate" in status.words
    assert not np.isfinite(run.latest()["train/loss"])
    assert run.status() == status


def test_a_diverged_run_goes_on_with_a_smaller_rate_and_nothing_of_what_it_would_have_been_stays(store):
    calm = {"train.optimizer": "sgd", "train.lr": 0.05, "train.schedule": "constant", "model.hidden": "64,64"}
    run = store.create(small(60, **calm))
    with going(store, run, Command("pause")) as conn:
        at = wait_for(conn, PAUSED).step
        before = run.events_path.read_bytes()
        say(conn, Command("set", {"lr": 100.0}))
        say(conn, Command("resume"))
        wait_for(conn, FAILED)
    assert not np.isfinite(run.latest()["train/loss"])
    with going(store, run, Command("set", {"lr": 0.05})) as conn:
        assert wait_for(conn, FINISHED).step == 60
    marks = [(e.step, e.value) for e in run.events() if e.name == "set/lr"]
    losses = {e.step: e.value for e in run.events() if e.name == "train/loss"}
    assert sorted(losses) == list(range(1, 61)) and run.events_path.read_bytes().startswith(before)
    assert marks[-1][1] == 0.05 and all(np.isfinite(losses[step]) for step in range(marks[-1][0], 61))
    assert [step for step in run.snapshots() if step > at][-1] == 60


def test_missing_data_ends_the_run_in_words(store, monkeypatch):
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    run = store.create(preset("mlp", "mnist"), data_dir=str(store.root / "nowhere"))
    with going(store, run) as conn:
        status = wait_for(conn, FAILED)
    assert "nowhere" in status.words and "Traceback" not in status.words


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "smaller batch"),
        (torch.OutOfMemoryError("CUDA out of memory"), "smaller batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "smaller batch"),
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), "The GPU reported an error"),
        (KeyError("x"), "KeyError"),
    ],
)
def test_an_unexpected_error_is_told_in_one_sentence_and_kept_for_a_report(store, monkeypatch, error, says):
    def broken(*_args):
        raise error

    monkeypatch.setattr(session, "load_data", broken)
    run = store.create(small())
    with going(store, run) as conn:
        status = wait_for(conn, FAILED)
    assert says in status.words and "\n" not in status.words
    assert "Traceback" in (run.path / "traceback.txt").read_text()


def test_a_full_disk_pauses_the_run_loses_no_row_and_resumes(store, monkeypatch):
    run = store.create(small(400))
    full, real = threading.Event(), os.write

    def write(handle: int, data: bytes) -> int:
        if full.is_set() and b'"values"' in data:
            real(handle, data[: len(data) // 2])  # a full disk takes a part and says so, without an error
            return len(data) // 2
        return real(handle, data)

    monkeypatch.setattr(store_log.os, "write", write)
    with going(store, run, Command("pause")) as conn:
        wait_for(conn, PAUSED)
        say(conn, Command("step"))
        wait_for(conn, PAUSED)
        full.set()
        say(conn, Command("resume"))
        status = wait_for(conn, PAUSED, "disk is full")
        assert "Free some space" in status.words
        assert [e.step for e in run.events() if e.name == "train/loss"] == [1]  # what was acknowledged is readable
        say(conn, Command("resume"))
        wait_for(conn, PAUSED, "disk is full")  # still
        full.clear()
        say(conn, Command("resume"))
        wait_for(conn, FINISHED)
    assert [e.step for e in run.events() if e.name == "train/loss"] == list(range(1, 401))


def test_a_disk_that_is_full_at_a_checkpoint_keeps_the_one_before(store, monkeypatch):
    run = store.create(small(100_000))
    with going(store, run, Command("pause")) as conn:
        wait_for(conn, PAUSED)
        before = run.load_checkpoint().step
        real = os.fsync

        def fsync(_handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", fsync)
        say(conn, Command("step"))
        wait_for(conn, PAUSED)
        say(conn, Command("stop"))
        end = time.monotonic() + 10
        while time.monotonic() < end and not (conn.poll(0.1) and "disk" in hear(conn).words):
            pass
        monkeypatch.setattr(os, "fsync", real)
        assert run.load_checkpoint().step == before


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_describe_is_answered():
    made = preset("cnn", "digits")
    found = answers.answer(Describe(made.model, made.data), QUIET)
    assert found.params == 20_538 and not found.problems


def test_a_resting_runs_frame_is_made_for_another_sample_and_layer(store):
    run = store.create(small())
    with going(store, run) as conn:
        wait_for(conn, FINISHED)
    answers.answer(Refresh(run.id, 100, "head", runs=str(store.root)), QUIET)
    frame = decode_frame(run.frame())
    assert (frame.step, frame.meta["sample"], frame.meta["layer"]) == (30, 100, "head")


def test_a_resting_runs_frame_is_of_the_data_that_the_run_was_trained_on(store, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERLAB_DATA", str(tmp_path / "elsewhere"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text.txt").write_text("abcd " * 200)
    experiment = assign(
        preset("gpt", "characters"),
        {
            "train.steps": 2,
            "data.path": "text.txt",
            "data.length": 8,
            "data.samples": 50,
            "model.width": 8,
        },
    )
    run = store.create(experiment, data_dir=str(tmp_path / "mine"))
    with going(store, run) as conn:
        wait_for(conn, FINISHED)
    answers.answer(Refresh(run.id, 3, "", runs=str(store.root)), QUIET)
    assert decode_frame(run.frame()).meta["sample"] == 3


def test_doctor_names_devices_and_versions():
    found = answers.answer(Doctor(), QUIET)
    assert found["devices"][0]["name"] == "cpu" and found["versions"]["torch"] == torch.__version__
    assert Path(found["versions"]["python"]).name


def test_threads_are_kept_only_where_they_help_and_measuring_changes_nothing(small_splits, monkeypatch):
    training = Training(preset("cnn", "digits"), small_splits)
    before, state = training.checkpoint().arrays, torch.get_rng_state()
    clock = iter(range(10_000))
    slow = {1: 1.0, 2: 3.0}  # seconds a step takes on so many threads
    now = [0.0]

    def tick() -> float:
        if next(clock) % 2:
            now[0] += slow[torch.get_num_threads()]
        return now[0]

    monkeypatch.setattr(session.time, "perf_counter", tick)
    try:
        assert session.useful_threads(training, 2) == 1
        slow[2] = 0.6
        assert session.useful_threads(training, 2) == 2
        assert session.useful_threads(training, 1) == 1
    finally:
        monkeypatch.undo()
        torch.set_num_threads(1)
    assert torch.equal(state, torch.get_rng_state())
    after = training.checkpoint().arrays
    assert all(before[name].tobytes() == after[name].tobytes() for name in before if name.startswith("model/"))
