"""Engines to try, with workers that need no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.engine.client import ClientEngine, connect
from core.engine.local import LocalEngine
from core.engine.protocol import Engine
from core.spec.events import ENDED
from core.spec.specs import Experiment, assign, preset
from core.store import Store

WORKER = "tests.engine.fake_worker"


def experiment(steps: int = 40, seed: int = 0) -> Experiment:
    """A run of `steps` steps of 5 ms."""
    return assign(preset("mlp", "digits"), {"train.steps": steps, "train.seed": seed})


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until it is so; what it was. The limit is for what never comes true: a busy machine is not a fault."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.01)
    return found


def ended(engine: Engine, run: str) -> str:
    """Wait until the run has ended; its state."""
    return str(until(lambda: (state := engine.state(run).status.state) in ENDED and state))


def gone(*pids: int) -> bool:
    """Have all these processes ended?"""
    return not any(_lives(pid) for pid in pids)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # also where it ends between two looks at it
        return False


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


@pytest.fixture
def runs(home: Path) -> Path:
    return home / "runs"


@pytest.fixture
def store(runs: Path) -> Store:
    return Store(runs)


@pytest.fixture
def local(runs: Path) -> Iterator[LocalEngine]:
    made = LocalEngine(runs, slots=1, lone_threads=3, worker=WORKER)
    yield made
    made.close()


@pytest.fixture
def client(runs: Path) -> Iterator[ClientEngine]:
    made = connect(runs, slots=1, lone_threads=3, worker=WORKER)
    yield made
    made.close()


@pytest.fixture(params=["local", "client"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every implementation in turn: one slot, three threads for a lone run."""
    found: Engine = request.getfixturevalue(request.param)
    return found


def kill(pid: int) -> None:
    os.kill(pid, 9)
