"""Faults injected into real runs: real engine, real worker, real training."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.engine.client import ClientEngine, connect
from core.spec.events import FAILED, FINISHED, PAUSED, RUNNING, Command
from core.spec.specs import Experiment, assign, preset
from core.store import Run, Store
from core.store.addresses import read_address

ROOT = Path(__file__).resolve().parents[2]


def long(steps: int, seed: int = 0) -> Experiment:
    return assign(
        preset("mlp", "digits"), {"train.steps": steps, "model.hidden": "16", "data.size": 8, "train.seed": seed}
    )


@pytest.fixture
def engine(store: Store) -> Iterator[ClientEngine]:
    client = connect(store.root, slots=2)
    yield client
    client.close()


def until(engine: ClientEngine, run: Run, *states: str, seconds: float = 240) -> str:
    """Wait until the run is in one of the states; its words."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = engine.state(run.id).status
        if status.state in states:
            return status.words
        time.sleep(0.01)
    raise AssertionError(f"the run is {status}, not {states}")


def advanced(engine: ClientEngine, run: Run) -> int:
    """Wait until the run is training and has written a row; the worker's pid."""
    size = run.events_path.stat().st_size if run.events_path.exists() else 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = engine.state(run.id)
        grown = run.events_path.exists() and run.events_path.stat().st_size > size + 200
        if state.status.state == RUNNING and state.pid and grown and "train/loss" in run.latest():
            return state.pid
        time.sleep(0.005)
    raise AssertionError("the run does not advance")


def once(run: Run) -> None:
    """Every (step, name) stands once, and no step is missing."""
    rows = [json.loads(line) for line in run.events_path.read_bytes().splitlines()]
    counted = Counter((row["step"], name) for row in rows for name in row.get("values", {}))
    assert max(counted.values()) == 1, "a row was written twice"
    steps = sorted(step for step, name in counted if name == "train/loss")
    assert steps == list(range(1, len(steps) + 1)), "a row is missing"


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_workers_lose_and_double_no_row_hurt_no_bystander_and_end_as_if_never_killed(engine, store, kills):
    straight = store.run(engine.start(long(3000, seed=5), threads=1))
    bystander = store.run(engine.start(long(1_000_000, seed=1), threads=1))
    until(engine, straight, FINISHED)
    watched = advanced(engine, bystander)
    victim = store.run(engine.start(long(3000, seed=5), threads=1))
    for number in range(kills):
        pid = advanced(engine, victim)
        if number % 2:  # every second time there is a checkpoint to go on from
            engine.command(victim.id, Command("pause"))
            if number % 4 == 1:
                engine.command(victim.id, Command("resume"))
        acknowledged = [(e.step, e.name, e.value) for e in victim.events()]
        os.kill(pid, signal.SIGKILL)
        words = until(engine, victim, FAILED)
        assert "signal 9" in words and "Resume" in words
        kept = {(e.step, e.name): e.value for e in victim.events()}
        assert all(kept[step, name] == value for step, name, value in acknowledged)
        assert engine.state(bystander.id).pid == watched, "a bystander was hurt"
        if victim.load_checkpoint() and victim.load_checkpoint().step > 2000:
            break  # it is about to finish: what is left is the comparison
        engine.command(victim.id, Command("resume"))
    if engine.state(victim.id).status.state == FAILED:
        engine.command(victim.id, Command("resume"))
    until(engine, victim, FINISHED)
    once(victim)
    once(bystander)
    one, other = straight.load_checkpoint(), victim.load_checkpoint()
    for name, value in one.arrays.items():
        assert value.tobytes() == other.arrays[name].tobytes(), f"{name} differs"
    losses = [[(e.step, e.value) for e in run.events() if e.name == "train/loss"] for run in (straight, victim)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_small_disk_pauses_the_run_and_space_lets_it_go_on(small_disk, engine_on):
    store = Store(small_disk / "runs")
    engine = engine_on(store)
    filler = small_disk / "filler"
    run = store.run(engine.start(long(4000), threads=1))
    advanced(engine, run)
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 1024)
    words = until(engine, run, PAUSED)
    assert "disk is full" in words and "resume" in words
    before = [(e.step, e.value) for e in run.events() if e.name == "train/loss"]
    assert before and [s for s, _v in before] == list(range(1, len(before) + 1))
    filler.unlink()
    engine.command(run.id, Command("resume"))
    until(engine, run, FINISHED)
    assert [(e.step, e.value) for e in run.events() if e.name == "train/loss"][: len(before)] == before
    once(run)


@pytest.fixture
def engine_on() -> Iterator:
    made: list[ClientEngine] = []

    def make(store: Store) -> ClientEngine:
        made.append(connect(store.root, slots=1))
        return made[-1]

    yield make
    for client in made:
        client.close()


def serve(home: Path, port: int) -> subprocess.Popen[bytes]:
    """The whole app, until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "LAYERLAB_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the app did not begin")


@pytest.mark.slow
def test_a_killed_web_process_ends_its_engine_and_the_next_start_carries_the_runs_on(home, free_port):
    store = Store(home / "runs")
    first = serve(home, free_port)
    try:
        client = connect(store.root, start=False)
        run = store.run(client.start(long(60_000), threads=1))
        advanced(client, run)
        children = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        first.wait(10)
        gone, alive = psutil.wait_procs(children, timeout=6)
        assert gone and not alive, "workers outlived the web process"
        reached = max(e.step for e in run.events() if e.name == "train/loss")
        assert run.status().state == RUNNING
        client.close()
        second = serve(home, free_port)
        try:
            again = connect(store.root, start=False)
            advanced(again, run)
            end = time.monotonic() + 30
            while max(e.step for e in run.events() if e.name == "train/loss") <= reached:
                assert time.monotonic() < end, "the run was not carried on"
                time.sleep(0.05)
            again.close()
        finally:
            second.terminate()
            second.wait(10)
        once(run)
    finally:
        first.kill()
        first.wait(10)


@pytest.mark.slow
def test_a_service_engine_outlives_the_web_process_and_its_runs_go_on(home, free_port):
    store = Store(home / "runs")
    env = {**os.environ, "LAYERLAB_HOME": str(home)}
    service = subprocess.Popen([sys.executable, "-m", "core", "engine"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not read_address(store.root) and time.monotonic() < end:
            time.sleep(0.05)
        web = serve(home, free_port)
        client = connect(store.root, start=False)
        run = store.run(client.start(long(1_000_000), threads=1))
        pid = advanced(client, run)
        web.kill()
        web.wait(10)
        advanced(client, run)
        assert client.state(run.id).pid == pid and service.poll() is None
        client.command(run.id, Command("stop"))
        client.close()
    finally:
        service.terminate()
        assert service.wait(10) is not None
