"""What only shows from inside the engine's process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.engine import control, running
from core.engine.exit_reasons import outlook, reason
from core.engine.local import LocalEngine
from core.spec.events import PAUSED, QUEUED, RUNNING, STOPPED, Command, Status
from core.store import Store
from tests.conftest import ROOT
from tests.engine.conftest import WORKER, ended, experiment, kill, until


def test_a_worker_that_does_not_react_to_stop_is_ended(local: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.3)
    monkeypatch.setattr(running, "PATIENCE", 0.3)
    run = local.start(experiment(), "deaf")
    until(lambda: local.state(run).pid)
    began = time.monotonic()
    local.command(run, Command("stop"))
    assert ended(local, run) == STOPPED
    assert time.monotonic() - began < 2
    assert "did not react" in local.state(run).status.words


def test_unfinished_runs_are_carried_on_oldest_first_and_paused_ones_rest(runs: Path) -> None:
    store = Store(runs)
    made = [store.create(experiment(2000, seed)) for seed in range(4)]
    for run, state in zip(made, (RUNNING, PAUSED, QUEUED, STOPPED), strict=True):
        run.set_status(Status(state, 7, 2000))
        time.sleep(0.01)  # the order is told by time
    engine = LocalEngine(runs, slots=1, worker=WORKER)
    try:
        until(lambda: engine.state(made[0].id).pid and made[0].status().state == RUNNING)  # its worker has said so
        assert {run: state.status.state for run, state in engine.runs().items()} == {
            made[0].id: RUNNING,
            made[1].id: PAUSED,
            made[2].id: QUEUED,
        }
        assert engine.state(made[2].id).place == 1
    finally:
        engine.close()
    assert [run.status().state for run in made] == [RUNNING, PAUSED, QUEUED, STOPPED]


def test_a_killed_spare_and_a_killed_idle_worker_are_replaced(local: LocalEngine) -> None:
    spare = until(lambda: local._nursery.all())[0]
    for worker in [spare, *until(lambda: len(local._questions.workers) == 2 and list(local._questions.workers))]:
        kill(worker.pid)
    assert ended(local, local.start(experiment(5))) == "finished"
    until(lambda: len(local._questions.workers) == 2)


def test_a_worker_module_that_cannot_be_imported_is_told(runs: Path) -> None:
    options = "worker='tests.engine.broken_worker'"
    code = (  # in a process of its own: this one's fork server has imported another module
        "from core.engine.local import LocalEngine; from core.spec.questions import Doctor\n"
        "from tests.engine.conftest import ended, experiment\n"
        f"engine = LocalEngine({str(runs)!r}, {options})\n"
        "run = engine.start(experiment())\n"
        "ended(engine, run)\n"
        "print(engine.state(run).status.words)\n"
        "try: engine.ask(Doctor(), 5)\n"
        "except Exception as error: print(error)\n"
        "engine.close()"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    for line in told.stdout.splitlines():
        assert "The worker module tests.engine.broken_worker cannot be imported: NameError: name 'missing'" in line
    assert len(told.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("code", "said", "memory", "words"),
    [
        (-9, "", True, "The worker was killed (signal 9) at step 4, possibly out of memory."),
        (-15, "", False, "The worker was killed (signal 15, SIGTERM) at step 4."),
        (-11, "", False, "The worker crashed (signal 11, SIGSEGV) at step 4."),
        (3, "", False, "The worker ended unexpectedly (exit code 3) at step 4."),
        (1, "KeyError: 'x'", False, "The worker failed at step 4: KeyError: 'x'."),
    ],
)
def test_the_reason_is_named(code: int, said: str, memory: bool, words: str) -> None:
    assert reason(code, 4, said, memory) == words


def test_the_outlook_names_the_checkpoint() -> None:
    assert outlook(None) == "Resume starts again from step 0: there was no checkpoint yet."
    assert outlook(400) == "Resume carries on from the last checkpoint (step 400)."
