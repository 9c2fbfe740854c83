"""The engine as a process: joining, ending, and what is left when something is killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from core.engine.client import ClientEngine, connect
from core.engine.protocol import EngineError, EngineGone
from core.engine.startup import HELD
from core.spec.events import FINISHED, RUNNING, Command
from core.spec.questions import Doctor
from core.store import Store
from core.store.addresses import read_address
from core.store.engine_files import hold_runs
from tests.conftest import ROOT
from tests.engine.conftest import WORKER, ended, experiment, family, gone, kill, until

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def busy(client: ClientEngine, steps: int = 2000) -> str:
    """A run that trains, past its first checkpoint."""
    run = client.start(experiment(steps))
    until(lambda: client.state(run).status.step > 12)
    return run


def test_the_second_joins_the_first_and_does_not_end_it(client: ClientEngine, runs: Path) -> None:
    second = connect(runs, worker=WORKER)
    assert second.status()["pid"] == client.pid == second.pid
    assert (client.owned, second.owned) == (True, False)
    second.close()
    assert client.status()["pid"] == client.pid


def test_many_at_once_get_one_engine(runs: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        clients = list(pool.map(lambda _: connect(runs, worker=WORKER), range(4)))
    assert len({c.status()["pid"] for c in clients}) == 1
    for client in sorted(clients, key=lambda c: c.owned):
        client.close()
    assert gone(clients[0].pid) or clients[0].pid == 0


def test_a_held_folder_is_refused_with_one_line(client: ClientEngine, runs: Path) -> None:
    command = [sys.executable, "-m", "core.engine", "--runs", str(runs)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20, check=False)
    assert (told.returncode, told.stderr) == (HELD, "")
    assert told.stdout == f"Another engine holds {runs.resolve()}; join it.\n"


def test_without_an_engine_it_says_so(runs: Path) -> None:
    with pytest.raises(EngineGone, match="No engine holds"):
        connect(runs, start=False)
    with pytest.raises(EngineGone, match="No engine holds"):
        ClientEngine(runs).status()


def test_only_who_has_the_key_may_speak(client: ClientEngine, runs: Path) -> None:
    address = read_address(runs)
    assert address
    with pytest.raises(AuthenticationError):
        Client(address.place, authkey=b"guessed")
    assert client.status()
    assert stat.S_IMODE(address.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(address.file.parent.stat().st_mode) == 0o700


def test_calls_from_many_threads_do_not_mix(client: ClientEngine) -> None:
    run = client.start(experiment(2000))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: client.state(run).run if i % 2 else client.status()["pid"], range(60)))
    assert set(answers[1::2]) == {run}
    assert set(answers[::2]) == {client.pid}


def test_a_killed_engine_takes_its_workers_along_and_the_next_carries_on(client: ClientEngine, store: Store) -> None:
    run = busy(client, 100)
    first, pids = client.pid, family(client.pid)
    kill(first)
    with pytest.raises(EngineGone, match=r"went away|cannot be reached"):
        until(lambda: client.state(run) and False)
    assert client.ensure() is True
    assert client.pid != first
    assert ended(client, run) == FINISHED
    until(lambda: gone(*pids))
    assert [e.step for e in store.run(run).events() if e.name == "lr"] == list(range(1, 101))
    assert client.ensure() is False


def test_a_waiting_call_ends_when_the_engine_is_killed(client: ClientEngine) -> None:
    client.ask(Doctor())
    threading.Timer(0.2, kill, [client.pid]).start()
    from tests.engine.test_conformance import question

    with pytest.raises(EngineGone):
        client.ask(question(2))


def test_close_saves_the_runs_for_the_next_engine(client: ClientEngine, store: Store, runs: Path) -> None:
    run, pids = busy(client), family(client.pid)
    client.close()
    until(lambda: gone(*pids))
    assert store.run(run).status().state == RUNNING
    assert store.run(run).checkpoint_step() > 12
    assert read_address(runs) is None
    lock = hold_runs(runs)
    assert lock
    lock.release()


def test_sigterm_ends_the_engine_cleanly(client: ClientEngine, store: Store) -> None:
    run, pids = busy(client), family(client.pid)
    os.kill(client.pid, 15)
    until(lambda: gone(*pids))
    step = store.run(run).checkpoint_step()
    assert step is not None and step > 12


def test_everything_ends_when_the_parent_is_killed(runs: Path) -> None:
    code = (
        "import sys, time; from core.engine.client import connect\n"
        "from core.spec.specs import preset, assign\n"
        f"c = connect({str(runs)!r}, worker={WORKER!r})\n"
        "run = c.start(assign(preset('mlp', 'digits'), {'train.steps': 5000}))\n"
        "while c.state(run).status.step < 12: time.sleep(0.02)\n"
        "print(run, 'torch' in sys.modules, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        run, torch = parent.stdout.readline().split()
        assert torch == "False"
        pids = family(parent.pid)
        assert len(pids) >= 5
        parent.kill()
        until(lambda: gone(*pids))
    step = Store(runs).run(run).checkpoint_step()
    assert step is not None and step >= 10


@linux
def test_neither_the_engine_nor_its_client_ever_loads_torch(runs: Path) -> None:
    code = (
        "import sys; from core.engine.client import connect; from core.engine.protocol import EngineError\n"
        "from core.spec.questions import Describe; from core.spec.specs import preset\n"
        f"c = connect({str(runs)!r}, worker={WORKER!r})\n"
        "e = preset('mlp', 'digits')\n"
        "for kind in (4, 5):\n"
        "    try: c.ask(Describe(e.model, e.data, kind))\n"
        "    except EngineError as error: print(error)\n"
        "print('torch' in open(f'/proc/{c.pid}/maps').read(), 'torch' in sys.modules); c.close()"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "False False"
    assert "CUDA out of memory" in told.stdout


def test_an_error_names_its_field_through_the_client(client: ClientEngine) -> None:
    run = client.start(experiment(2000))
    with pytest.raises(EngineError, match="lr = 1000 is out of range"):
        client.command(run, Command("set", {"lr": 1000}))
