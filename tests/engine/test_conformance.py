"""What every engine does: the same tests for each implementation."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.engine.protocol import Engine, EngineError
from core.spec.events import FAILED, FINISHED, PAUSED, QUEUED, RUNNING, STOPPED, Command
from core.spec.questions import Describe, Description, Doctor, Refresh
from core.spec.specs import assign, preset
from core.store import Store
from tests.engine.conftest import ended, experiment, kill, until


def question(kind: int) -> Describe:
    """See _ANSWERS in fake_worker."""
    made = experiment()
    return Describe(made.model, made.data, kind)


def running(engine: Engine, run: str, step: int = 0) -> int:
    """Wait until it trains and is past `step`; its worker's pid."""
    until(lambda: (s := engine.state(run)).status.state == RUNNING and s.pid and s.status.step > step)
    return engine.state(run).pid


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_goes_to_its_end_and_every_row_is_there(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(30), "mine")
    assert ended(engine, run) == FINISHED
    until(lambda: not engine.status()["running"])
    assert [e.step for e in store.run(run).events() if e.name == "lr"] == list(range(1, 31))
    assert store.run(run).about()["name"] == "mine"
    assert engine.runs() == {}
    assert engine.state(run[:8]).status.step == 30


def test_pause_step_set_resume_and_stop(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(2000))
    running(engine, run)
    paused = engine.command(run, Command("pause"))
    assert paused.status.state == PAUSED
    at = paused.status.step
    assert engine.command(run, Command("step")).status.step == at + 1
    engine.command(run, Command("set", {"lr": "0.5"}))
    engine.command(run, Command("step"))
    assert store.run(run).latest()["lr"] == 0.5
    assert engine.command(run, Command("resume")).status.state == RUNNING
    assert engine.command(run, Command("stop")).status.state == STOPPED
    assert engine.command(run, Command("stop")).status.state == STOPPED


def test_a_stopped_run_is_carried_on_from_its_checkpoint(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(60))
    running(engine, run, 5)
    engine.command(run, Command("stop"))
    engine.command(run, Command("resume"))
    assert ended(engine, run) == FINISHED
    assert [e.step for e in store.run(run).events() if e.name == "lr"] == list(range(1, 61))
    until(lambda: not engine.status()["running"])
    with pytest.raises(EngineError, match="all 60 steps are done"):
        engine.command(run, Command("resume"))
    with pytest.raises(EngineError, match="finished"):
        engine.command(run, Command("pause"))


def test_a_finished_run_is_trained_on_for_more_steps(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(30))
    assert ended(engine, run) == FINISHED
    for steps, words in ((30, "more than the 30 .* set it to 60"), (0, "out of range"), ("x", "steps")):
        with pytest.raises(EngineError, match=words):
            engine.command(run, Command("resume", {"steps": steps}))
    with pytest.raises(EngineError, match="up to which the run is trained on"):
        engine.command(run, Command("resume", {"lr": 0.1}))
    assert engine.command(run, Command("resume", {"steps": 50})).status.steps == 50  # also while its worker leaves
    with pytest.raises(EngineError, match="has not ended yet"):
        engine.command(run, Command("resume", {"steps": 70}))
    assert ended(engine, run) == FINISHED
    until(lambda: not engine.status()["running"])
    engine.command(run, Command("resume", {"steps": 60}))
    assert ended(engine, run) == FINISHED
    assert [e.step for e in store.run(run).events() if e.name == "lr"] == list(range(1, 61))
    assert store.run(run).experiment() == experiment(60)
    told = [(change["at"], change["steps"], change["to"]) for change in store.run(run).about()["longer"]]
    assert told == [(30, 30, 50), (50, 50, 60)]
    with pytest.raises(EngineError, match="all 60 steps are done"):
        engine.command(run, Command("resume"))


def test_a_change_to_a_run_that_nobody_trains_is_made_when_it_goes_on(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(40))
    running(engine, run, 5)
    engine.command(run, Command("stop"))
    at = engine.command(run, Command("set", {"lr": 0.25})).status
    assert at.state == STOPPED
    until(lambda: not engine.status()["running"])
    engine.command(run, Command("resume"))
    assert ended(engine, run) == FINISHED
    lr = {e.step: e.value for e in store.run(run).events() if e.name == "lr"}
    assert sorted(lr) == list(range(1, 41)) and lr[at.step] == 0.003 and lr[40] == 0.25
    with pytest.raises(EngineError, match="finished; it cannot be changed"):
        engine.command(run, Command("set", {"lr": 0.5}))


def test_broken_data_files_are_told_before_there_is_a_run(engine: Engine, store: Store) -> None:
    read = assign(preset("cnn", "mnist"), {"train.steps": 3})
    with pytest.raises(EngineError, match="not whole"):
        engine.start(read, data_dir="broken")
    assert store.runs() == []
    assert ended(engine, engine.start(read)) == FINISHED
    assert ended(engine, engine.start(experiment(3), data_dir="broken")) == FINISHED  # made, not read


def test_runs_wait_in_a_line_with_places(engine: Engine) -> None:
    first, second, third = (engine.start(experiment(2000, seed)) for seed in range(3))
    running(engine, first)
    assert [engine.state(run).place for run in (first, second, third)] == [0, 1, 2]
    assert engine.state(third).status.state == QUEUED
    assert engine.command(second, Command("stop")).status.state == STOPPED
    assert engine.state(third).place == 1
    assert engine.command(third, Command("pause")).status.state == PAUSED
    assert engine.status()["queued"] == 0
    assert engine.command(third, Command("resume")).place == 1
    engine.command(first, Command("stop"))
    running(engine, third)
    assert set(engine.runs()) == {third}


def test_a_paused_run_gives_its_slot_to_those_that_wait(engine: Engine, store: Store) -> None:
    first = engine.start(experiment(60))
    running(engine, first, 3)
    engine.command(first, Command("pause"))
    second = engine.start(experiment(400, 1))
    running(engine, second)
    parked = engine.state(first)
    assert (parked.status.state, parked.pid) == (PAUSED, 0)
    engine.command(first, Command("set", {"lr": 0.25}))
    assert engine.command(first, Command("resume")).place == 1
    engine.command(second, Command("stop"))
    assert ended(engine, first) == FINISHED
    assert [e.step for e in store.run(first).events() if e.name == "train/loss"] == list(range(1, 61))
    assert store.run(first).latest()["lr"] == 0.25


def test_a_parked_run_can_go_one_step(engine: Engine) -> None:
    run = engine.start(experiment(2000))
    running(engine, run, 3)
    until(lambda: engine.command(run, Command("park")).pid == 0)
    at = engine.state(run).status.step
    engine.command(run, Command("step"))
    until(lambda: (s := engine.state(run).status).state == PAUSED and s.step == at + 1)


def test_two_clicks_make_one_run(engine: Engine) -> None:
    one = engine.start(experiment(5), token="tab")
    assert engine.start(experiment(5), token="tab") == one
    assert engine.start(experiment(6), token="tab") != one
    assert engine.start(experiment(5), token="other tab") != one
    assert engine.start(experiment(5)) != engine.start(experiment(5))


def test_a_lone_run_gets_more_threads_and_each_run_keeps_its_own(engine: Engine, store: Store) -> None:
    lone = engine.start(experiment(2000))
    running(engine, lone)
    other, own = engine.start(experiment(2000, 1)), engine.start(experiment(2000, 2), threads=2)
    engine.command(lone, Command("stop"))
    running(engine, other)
    assert [engine.state(run).threads for run in (lone, other, own)] == [3, 1, 2]
    assert [store.run(run).about()["threads"] for run in (lone, other, own)] == [3, 1, 2]
    engine.command(own, Command("stop"))
    engine.command(other, Command("stop"))
    engine.command(other, Command("resume"))
    running(engine, other)
    assert engine.state(other).threads == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"momentum": 0.9}, "“momentum” cannot be changed.*lr, weight_decay, clip_norm"),
        ({"lr": 1000}, "lr = 1000 is out of range.*1e-07 and 100 per step"),
        ({"lr": float("nan")}, "lr = nan is out of range"),
        ({"weight_decay": "much"}, "weight_decay must be a number between 0 and 10 per unit.*'much'"),
        ({}, "Say what to set"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_words(local: Engine, values: dict[str, float], words: str) -> None:
    run = local.start(experiment(2000))
    with pytest.raises(EngineError, match=words):
        local.command(run, Command("set", values))


def test_what_does_not_exist_is_said_in_words(engine: Engine) -> None:
    with pytest.raises(EngineError, match="There is no run"):
        engine.command("0" * 32, Command("pause"))
    with pytest.raises(EngineError, match="There is no command “fly”"):
        engine.command("0" * 32, Command("fly"))
    with pytest.raises(EngineError, match="not known any more"):
        engine.poll("nothing")
    with pytest.raises(EngineError, match="threads must be"):
        engine.start(experiment(), threads=-1)
    engine.cancel("nothing")


def test_a_killed_worker_hurts_only_its_own_run(engine: Engine, store: Store) -> None:
    victim, bystander = engine.start(experiment(200)), engine.start(experiment(20, 1))
    kill(running(engine, victim, 20))
    assert ended(engine, victim) == FAILED
    words = engine.state(victim).status.words
    assert "killed (signal 9) at step" in words
    assert "Resume carries on from the last checkpoint (step" in words
    assert ended(engine, bystander) == FINISHED
    until(lambda: store.run(victim).status().state == FAILED)
    engine.command(victim, Command("resume"))
    assert ended(engine, victim) == FINISHED
    assert [e.step for e in store.run(victim).events() if e.name == "lr"] == list(range(1, 201))


def test_an_error_in_a_worker_is_told(engine: Engine) -> None:
    run = engine.start(experiment(), "raises")
    assert ended(engine, run) == FAILED
    assert "ValueError: no such thing. Resume starts again" in engine.state(run).status.words


def test_deleting_ends_the_run_and_removes_the_folder(engine: Engine, store: Store) -> None:
    one, other = engine.start(experiment(2000)), engine.start(experiment(20, 1))
    running(engine, one)
    engine.delete(one)
    assert [r.id for r in store.runs()] == [other]
    with pytest.raises(EngineError, match="There is no run"):
        engine.state(one)
    assert ended(engine, other) == FINISHED
    engine.delete(other)
    assert store.runs() == []


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_questions_do_not_wait_for_runs(engine: Engine) -> None:
    running(engine, engine.start(experiment(2000)))
    engine.ask(Doctor())
    began = time.monotonic()
    assert engine.ask(Doctor())["pid"] > 0
    assert time.monotonic() - began < 0.5


def test_parts_come_as_they_are_ready(engine: Engine) -> None:
    ticket = engine.submit(question(1))
    progress = until(lambda: (p := engine.poll(ticket)).done and p)
    assert progress.answer == Description(1, 2, (), ())
    assert (progress.fraction, progress.words, progress.error) == (1.0, "picture 2", "")
    assert [len(part) for part in progress.parts] == [1, 2, 3]
    np.testing.assert_array_equal(engine.poll(ticket, since=2).parts[0], [0, 1, 2])


def test_cancel_ends_a_question_and_its_worker_if_need_be(engine: Engine) -> None:
    willing, deaf = engine.submit(question(2)), engine.submit(question(3))
    until(lambda: engine.poll(willing).fraction == 0.5)
    engine.cancel(willing)
    until(lambda: engine.poll(willing).error == "The question was given up.")
    engine.cancel(deaf)
    until(lambda: engine.poll(deaf).done, 3)
    assert engine.ask(Doctor())


def test_an_answer_that_takes_too_long_is_given_up(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"No answer within 0\.2 s"):
        engine.ask(question(2), timeout=0.2)


def test_a_worker_that_dies_over_a_question_is_replaced(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"ended unexpectedly \(exit code 7\) while it answered"):
        engine.ask(question(6))
    assert engine.ask(Doctor())


def test_errors_come_as_text_and_heavy_values_are_refused(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"OutOfMemoryError: CUDA out of memory") as told:
        engine.ask(question(4))
    assert type(told.value) is EngineError
    ticket = engine.submit(question(4))
    assert until(lambda: (p := engine.poll(ticket)).done and p).unforeseen
    with pytest.raises(EngineError, match=r"holds a torch\."):
        engine.ask(question(5))


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wish_goes_to_the_worker_or_to_a_question(engine: Engine, store: Store) -> None:
    run = engine.start(experiment(400))
    running(engine, run)
    engine.command(run, Command("watch", {"sample": 3, "layer": "conv1"}))
    until(lambda: b"conv1" in store.run(run).frame())
    engine.command(run, Command("stop"))
    until(lambda: not engine.status()["running"])
    for sample in range(5):
        engine.command(run, Command("watch", {"sample": sample, "layer": "conv2"}))
    until(lambda: store.run(run).frame() == b"4 conv2")
    engine.ask(Refresh(run, 9, "conv3"))
    assert store.run(run).frame() == b"9 conv3"
    with pytest.raises(EngineError, match="whole number"):
        engine.command(run, Command("watch", {"sample": "x"}))


def test_after_close_every_method_says_so(engine: Engine) -> None:
    run = engine.start(experiment(2000))
    running(engine, run)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 3
    with pytest.raises(EngineError):
        engine.start(experiment())
