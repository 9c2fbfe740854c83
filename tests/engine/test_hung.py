"""Nothing waits for a process that hangs: an engine that was stopped, a worker, the fork server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import psutil
import pytest

from core.engine import client as clients
from core.engine import control, running, workers
from core.engine import heartbeat as pulses
from core.engine.client import ClientEngine
from core.engine.exit_reasons import hanging
from core.engine.heartbeat import Pulse, cut, reached
from core.engine.local import LocalEngine
from core.engine.protocol import EngineGone, EngineSilent
from core.engine.server import CALLS as METHODS
from core.engine.startup import CLOSE
from core.spec.events import FAILED, FINISHED, RUNNING, STOPPED, Command, Status
from core.spec.questions import Doctor
from core.store import Store
from tests.conftest import ROOT
from tests.engine.conftest import WORKER, ended, experiment, family, gone, until

posix = pytest.mark.skipif(os.name != "posix", reason="stops a process by a signal")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has a fork server")


@contextmanager
def quick() -> Iterator[None]:
    """Ten times shorter waits, only while the engine is stopped: a busy machine can make one that works as slow."""
    with pytest.MonkeyPatch.context() as patch:
        for room, name, seconds in (
            (pulses, "LOOK", 0.05),
            (pulses, "ANSWER", 0.3),
            (pulses, "SILENT", 0.25),
            (pulses, "_FRESH", 0.2),
            (clients, "ANSWER", 0.3),
        ):
            patch.setattr(room, name, seconds)
        yield


@pytest.fixture
def stopped() -> Iterator[Callable[[int], None]]:
    """Stops processes; those that are still there go on at the end."""
    pids: list[int] = []

    def stop(pid: int) -> None:
        pids.append(pid)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)

    yield stop
    for pid in pids:
        if not gone(pid):
            os.kill(pid, signal.SIGCONT)


# ── calls ────────────────────────────────────────────────────────────────────


@posix
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "unconnected"])
def test_no_call_waits_for_a_stopped_engine(
    client: ClientEngine, runs: Path, stopped: Callable[[int], None], connected: bool
) -> None:
    run = client.start(experiment(2000))
    others = [ClientEngine(runs, start=False) for _ in CALLS]
    if connected:
        for other in others:
            other.status()
    stopped(client.pid)
    told = rf"process {client.pid}\) has not answered for .*kill -9 {client.pid}"
    for other, (name, call) in zip(others, CALLS.items(), strict=True):
        began = time.monotonic()
        with quick(), pytest.raises(EngineSilent, match=told):
            call(other, run)
        assert time.monotonic() - began < 10, name  # the limits sum to less than a second; unbounded, it was for ever
        other.close()


CALLS: dict[str, Callable[[ClientEngine, str], object]] = {
    "status": lambda engine, _run: engine.status(),
    "runs": lambda engine, _run: engine.runs(),
    "state": lambda engine, run: engine.state(run),
    "delete": lambda engine, run: engine.delete(run),
    "command": lambda engine, run: engine.command(run, Command("stop")),
    "start": lambda engine, _run: engine.start(experiment(5)),
    "ask": lambda engine, _run: engine.ask(Doctor(), 60),
    "submit": lambda engine, _run: engine.submit(Doctor()),
    "poll": lambda engine, _run: engine.poll("ticket"),
    "cancel": lambda engine, _run: engine.cancel("ticket"),
}


@posix
def test_a_stopped_engine_that_goes_on_answers_again(client: ClientEngine, stopped: Callable[[int], None]) -> None:
    run = client.start(experiment(2000))
    pid = client.pid
    stopped(pid)
    with quick():
        with pytest.raises(EngineSilent):
            client.state(run)
        assert client.silence
    os.kill(pid, signal.SIGCONT)
    assert until(lambda: answer(client))["pid"] == pid
    assert client.silence is None


def test_every_method_is_among_those_calls() -> None:
    assert set(CALLS) == set(METHODS)


def answer(client: ClientEngine) -> dict[str, object] | None:
    try:
        return client.status()
    except EngineGone:
        return None


@posix
def test_a_hung_engine_of_ours_is_replaced_and_its_runs_are_carried_on(
    client: ClientEngine, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.start(experiment(150))
    until(lambda: client.state(run).status.step > 12)
    first, pids = client.pid, family(client.pid)
    for pid in pids:  # the workers with it: nobody is left who could end them
        stopped(pid)

    with quick(), pytest.raises(EngineSilent, match="another one begun"):
        client.state(run)
    assert client.pid == first  # not yet
    until(lambda: client.silence and client.silence.seconds > 3)
    with monkeypatch.context() as patch:
        patch.setattr(clients, "HUNG", 3.0)
        assert client.ensure()
    assert client.pid not in (0, first)
    assert gone(*pids)
    assert ended(client, run) == FINISHED


@posix
def test_stop_ends_a_run_of_a_hung_engine_of_ours(
    client: ClientEngine, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "HUNG", 1000.0)  # not by itself
    run = client.start(experiment(100_000))
    until(lambda: client.state(run).status.step > 12)
    first = client.pid
    stopped(first)
    with quick(), pytest.raises(EngineSilent):
        client.command(run, Command("pause"))
    client.command(run, Command("stop"))
    assert ended(client, run) == STOPPED
    assert client.pid not in (0, first)


@posix
def test_closing_does_not_wait_for_a_stopped_engine_and_leaves_nobody(
    client: ClientEngine, stopped: Callable[[int], None]
) -> None:
    run = client.start(experiment(100_000))
    until(lambda: client.state(run).status.step > 12)
    pids = family(client.pid)
    for pid in pids:
        stopped(pid)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < CLOSE
    until(lambda: gone(*pids))


@posix
def test_sigterm_right_after_sigcont_is_not_lost(runs: Path) -> None:
    """A process that has just been stopped hands the signal to any thread of its own. The main thread then sleeps on,
    and a handler in Python waits for it: of an engine that waited without a limit 11 of 12 such signals were lost."""
    for _ in range(3):
        client = ClientEngine(runs, worker=WORKER)
        client.ensure()
        pid = client.pid
        os.kill(pid, signal.SIGSTOP)
        until(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        until(lambda pid=pid: gone(pid), 20)
        client.close()


@posix
def test_closing_ends_calls_that_wait(client: ClientEngine) -> None:
    from tests.engine.test_conformance import question

    client.status()
    told: list[BaseException] = []

    def wait() -> None:
        try:
            client.ask(question(3), 50)  # it sleeps for a minute
        except EngineGone as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: client.status()["questions"])
    client.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert told


@posix
def test_an_engine_of_somebody_else_that_hangs_is_told_with_what_to_do(
    client: ClientEngine, runs: Path, stopped: Callable[[int], None]
) -> None:
    stopped(client.pid)
    told = subprocess.run(
        [sys.executable, "-c", f"from core.cli import main; main(['runs', '--runs', {str(runs)!r}])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"kill -CONT {client.pid}" in told.stderr
    assert "What follows is what the folder says." in told.stderr
    assert "Traceback" not in told.stderr


# ── how a call waits ─────────────────────────────────────────────────────────


def test_one_question_is_put_however_many_wait() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def ask() -> None:
        asked.append(1)
        go_on.wait(10)
        raise TimeoutError

    pulse = Pulse(ask)
    threads = [threading.Thread(target=look, args=(pulse,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: sum(thread.is_alive() for thread in threads) == 1)  # seven found that somebody asks already
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert len(asked) == 1


def look(pulse: Pulse) -> None:
    try:
        pulse.look()
    except EngineSilent:
        return


def test_silence_is_counted_from_the_first_question_and_ends_with_any_answer() -> None:
    now = [100.0]

    def ask() -> None:
        now[0] += pulses.ANSWER
        raise TimeoutError

    pulse = Pulse(ask, clock=lambda: now[0])
    assert pulse.silent == 0
    pulse.asked()
    now[0] += 1.0
    pulse.asked()  # a second one does not begin anew
    assert pulse.silent == 0  # too short to speak of
    with pytest.raises(EngineSilent, match="for 4 s"):
        pulse.look()
    with pytest.raises(EngineSilent):  # known: nobody else need wait
        pulse.check()
    now[0] += 60
    pulse.check()  # long ago: it is worth another try
    assert pulse.silent > 60
    pulse.heard()
    assert pulse.silent == 0


def test_a_full_row_before_an_engine_that_takes_nobody_in_is_no_wait(tmp_path: Path) -> None:
    place = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(place)
            with pytest.raises(TimeoutError):
                reached(place, b"key", 0.2)
        finally:
            for one in waiting:
                one.close()


def test_an_engine_that_takes_one_in_and_says_nothing_is_no_wait(tmp_path: Path) -> None:
    place = str(tmp_path / "socket")
    with Listener(place), pytest.raises(TimeoutError):  # nobody accepts
        reached(place, b"key", 0.2)


def test_cutting_a_connection_wakes_who_waits_at_it(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as conn, theirs:
        threading.Timer(0.1, cut, [conn]).start()
        assert conn.poll(20)
        with pytest.raises(EOFError):
            conn.recv_bytes()


# ── workers ──────────────────────────────────────────────────────────────────


def in_phase(local: LocalEngine, run: str) -> int:
    """Wait until the run trains; its worker."""
    until(lambda: local.state(run).status.step > 2 and local.state(run).pid)
    return local.state(run).pid


@posix
def test_a_stopped_worker_is_told_and_stop_ends_it(
    local: LocalEngine, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SILENT", 1.5)
    monkeypatch.setattr("core.engine.exit_reasons.SILENT", 1.5)
    monkeypatch.setattr(control, "PATIENCE", 0.3)
    run = local.start(experiment(100_000))
    pid = in_phase(local, run)
    stopped(pid)
    state = until(lambda: (found := local.state(run)).silent and found)
    assert state.status.state == RUNNING
    assert f"process {pid}) has given no sign of life for" in state.status.words
    assert "Stop ends it now" in state.status.words
    local.command(run, Command("stop"))
    assert ended(local, run) == STOPPED
    assert gone(pid)


@posix
def test_a_worker_without_a_sign_of_life_is_ended_and_its_run_can_be_resumed(
    local: LocalEngine, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    run = local.start(experiment(120))
    until(lambda: local.state(run).status.step > 12)
    stopped(in_phase(local, run))
    monkeypatch.setattr(running, "LOST", 1.5)  # only now: on a busy machine one that goes on may be that late
    assert ended(local, run) == FAILED
    monkeypatch.setattr(running, "LOST", 60.0)
    words = local.state(run).status.words
    assert "gave no sign of life" in words and "Resume carries on from the last checkpoint" in words
    local.command(run, Command("resume"))
    assert ended(local, run) == FINISHED
    assert [e.step for e in store.run(run).events() if e.name == "lr"] == list(range(1, 121))


@posix
def test_a_stopped_spare_and_stopped_workers_for_questions_are_handed_nothing(
    local: LocalEngine, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FRESH", 1.5)
    monkeypatch.setattr("core.engine.queue.FRESH", 1.5)
    monkeypatch.setattr("core.engine.queue.SILENT", 2.0)
    spare = until(lambda: local._nursery.all())[0]
    idle = until(
        lambda: (
            len(local._questions.workers) == 2
            and all(w.ready for w in local._questions.workers)
            and list(local._questions.workers)
        )
    )
    pids = [worker.pid for worker in (spare, *idle)]
    for pid in pids:
        stopped(pid)
    until(lambda: all(worker.silent(time.monotonic()) > 1.5 for worker in (spare, *idle)))
    assert local.ask(Doctor(), 30)
    assert ended(local, local.start(experiment(5))) == FINISHED
    until(lambda: gone(*pids))


@posix
def test_an_engine_that_was_stopped_itself_blames_no_worker(local: LocalEngine) -> None:
    run = local.start(experiment(100_000))
    pid = in_phase(local, run)
    with local._changed:  # the engine's own thread waits for this, as one that was stopped does
        job = local._runs.jobs[run]
        local._turned -= 1000
        assert job.worker
        job.worker._heard -= 1000
        job.heard -= 1000
        local._look_at_the_clock()
        assert job.silent < 10
        assert local.state(run).status.words == ""
    assert local.state(run).pid == pid
    assert not gone(pid)


@linux
def test_stop_works_while_the_fork_server_hangs_and_the_next_run_gets_a_new_one(
    runs: Path, stopped: Callable[[int], None]
) -> None:
    """In a process of its own: this one's fork server serves other tests."""
    code = (
        "import os, signal, time\n"
        "from core.engine import forking, control, workers; from core.spec.events import Command\n"
        "from core.engine.local import LocalEngine\n"
        "from tests.engine.conftest import ended, experiment, until\n"
        "control.PATIENCE, forking.MAKING, workers.FRESH = 0.3, 0.5, 1.0\n"
        f"engine = LocalEngine({str(runs)!r}, slots=2, worker={WORKER!r})\n"
        "run = engine.start(experiment(100_000))\n"
        "until(lambda: engine.state(run).status.step > 2)\n"
        "until(lambda: engine._nursery.all())\n"
        "first = forking.fork_server()\n"
        "os.kill(first, signal.SIGSTOP)\n"
        "engine.command(run, Command('stop'))\n"
        "print(ended(engine, run))\n"
        "until(lambda: not engine._nursery.all() or engine._nursery._spare.kill() or True)\n"
        "for _ in range(4):\n"
        "    again = engine.start(experiment(5))\n"
        "    if ended(engine, again) == 'finished': break\n"
        "print(ended(engine, again), forking.fork_server() != first)\n"
        "engine.close()\n"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.split() == ["stopped", "finished", "True"], told.stderr[-2000:]


@pytest.mark.parametrize(
    ("pid", "silent", "quiet", "state", "said"),
    [
        (7, 0.0, 1.0, RUNNING, "Loading the data."),
        (7, 12.0, 1.0, RUNNING, "no sign of life for 12 s"),
        (7, 0.0, 40.0, RUNNING, "Loading the data. Nothing new for 40 s"),
        (7, 0.0, 40.0, "paused", "Loading the data."),  # it has nothing new to say
        (0, 12.0, 40.0, RUNNING, "Loading the data."),  # there is no worker yet
    ],
    ids=["lively", "silent", "quiet", "paused", "no-worker"],
)
def test_what_is_said_of_a_worker_that_does_not_go_on(
    pid: int, silent: float, quiet: float, state: str, said: str
) -> None:
    told = hanging(Status(state, 3, 9, "Loading the data."), pid, silent, quiet)
    assert said in told.words
    assert (told.state, told.step, told.steps) == (state, 3, 9)
