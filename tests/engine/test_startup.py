"""An engine that cannot begin says why and rests; and what must not keep one from beginning, or going on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from core.engine import startup
from core.engine.client import ClientEngine, connect
from core.engine.protocol import EngineError, EngineFailed, EngineGone
from core.engine.startup import TRIES, Beginning
from core.spec.events import FINISHED, RUNNING
from core.store import Store
from core.store.addresses import read_address
from tests.conftest import ROOT
from tests.engine.conftest import WORKER, ended, experiment, gone, until

posix = pytest.mark.skipif(os.name != "posix", reason="about POSIX files")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def failed(begins: Beginning) -> EngineFailed:
    """See to it until the process has ended and that is told."""

    def told() -> EngineFailed | None:
        try:
            begins.see_to_it()
        except EngineFailed as error:
            return error
        return None

    found: EngineFailed = until(told)
    return found


@pytest.fixture
def vain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Beginning, Clock, list[int]]:
    """An engine that ends with a sentence, the clock it rests by, and its processes."""
    clock, made = Clock(), []

    def launch(self: Beginning) -> subprocess.Popen[bytes]:
        code = "print('There is no space.'); raise SystemExit(2)"
        process = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        made.append(process.pid)
        return process

    monkeypatch.setattr(startup, "time", clock)
    monkeypatch.setattr(Beginning, "_launch", launch)
    return Beginning(tmp_path, []), clock, made


def test_it_rests_longer_each_time_and_stops_after_some_tries(vain: tuple[Beginning, Clock, list[int]]) -> None:
    begins, clock, made = vain
    rests = []
    for tries in range(1, TRIES):
        error = failed(begins)
        assert str(error) == "The engine could not begin: There is no space."
        assert error.again
        assert len(made) == tries
        began = clock.now
        while len(made) == tries:
            clock.now += 0.5
            with suppress(EngineFailed):
                begins.see_to_it()
        rests.append(clock.now - began)
    assert rests == [1.0, 2.0, 4.0, 8.0]
    assert not failed(begins).again
    clock.now += 1e6
    assert not failed(begins).again
    assert len(made) == TRIES
    begins.well()  # somebody has pressed “Try again”
    begins.see_to_it()
    assert len(made) == TRIES + 1
    begins.end()


def test_an_engine_that_has_answered_and_ends_is_begun_again_at_once(
    vain: tuple[Beginning, Clock, list[int]],
) -> None:
    begins, _clock, made = vain
    for _ in range(2 * TRIES):
        begins.see_to_it()
        begins.well()
        before = len(made)
        while len(made) == before:  # it takes a moment to end
            begins.see_to_it()
    begins.end()


def commanded(runs: Path, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`layerlab engine` on a folder."""
    code = "import sys; from core.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, "engine", "--runs", str(runs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LAYERLAB_HOME": str(home), **more},
    )


def one_sentence(told: subprocess.CompletedProcess[str], *words: str) -> None:
    assert told.returncode == 2
    assert told.stderr.startswith("layerlab: ") and told.stderr.count("\n") == 1
    for word in words:
        assert word in told.stderr


def test_a_runs_folder_that_is_a_file_is_told_to_client_and_command_line(home: Path) -> None:
    runs = home / "runs"
    runs.write_text("")
    with pytest.raises(EngineFailed, match=r"could not begin: .*a file of that name is in the way"):
        connect(runs, worker=WORKER)
    one_sentence(commanded(runs, home), "a file of that name is in the way")


def test_a_read_only_runs_folder_is_told_with_what_to_do(small_disk: Path, home: Path) -> None:
    runs = small_disk / "runs"
    runs.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(EngineFailed, match=r"Nothing can be written to .*Read-only file system.*--runs"):
        connect(runs, worker=WORKER)
    one_sentence(commanded(runs, home), "Read-only file system", "LAYERLAB_RUNS")


def fill(disk: Path) -> Path:
    """Take all space that is left; the file that does."""
    filler = disk / "filler"
    for size in (4096, 64, 1):
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * size)
    return filler


def test_an_engine_begins_on_a_full_disk_and_runs_can_be_deleted_there(
    small_disk: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLAB_HOME", str(small_disk))  # the logs, too
    store = Store(small_disk / "runs")
    run = store.create(experiment(5))
    (run.path / "ballast").write_bytes(b"\0" * 300_000)
    fill(small_disk)
    client = connect(store.root, worker=WORKER)
    try:
        with pytest.raises(EngineError, match="disk is full"):
            client.start(experiment(5))
        client.delete(run.id)
        assert ended(client, client.start(experiment(5))) == FINISHED
    finally:
        client.close()


@posix
def test_a_temporary_folder_too_deep_for_a_socket_is_no_obstacle(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", None)
    client = connect(home / "runs", worker=WORKER)
    try:
        assert ended(client, client.start(experiment(5))) == FINISHED
    finally:
        client.close()


def test_no_folder_is_left_by_starts_in_vain(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (home / "runs").write_text("")
    for _ in range(2):
        with pytest.raises(EngineFailed):
            connect(home / "runs", worker=WORKER)
    assert list(temporary.iterdir()) == []


def again(client: ClientEngine) -> str | None:
    """A run of the engine that is there now; None while there is none, or it is about to leave."""
    try:
        client.ensure()
        return client.start(experiment(5))
    except EngineError:
        return None


def state_of(client: ClientEngine, run: str) -> str:
    """The run's state; "" while no engine is there."""
    try:
        return client.state(run).status.state
    except EngineGone:
        return ""


@posix
def test_a_runs_folder_taken_away_is_made_anew_and_its_workers_end(client: ClientEngine, runs: Path) -> None:
    run = client.start(experiment(100_000))
    until(lambda: client.state(run).status.step > 12)
    worker = client.state(run).pid
    until(lambda: shutil.rmtree(runs, ignore_errors=True) or not runs.exists())  # its worker goes on writing
    until(lambda: gone(worker))
    fresh = until(lambda: again(client))  # perhaps by the engine that is just about to notice: then it is carried on
    until(lambda: state_of(client, fresh) == FINISHED)
    assert [kept.id for kept in Store(runs).runs()] == [fresh]


@posix
@pytest.mark.parametrize("what", ["address", "socket"])
def test_an_engine_whose_address_was_cleared_away_can_be_found_again(
    client: ClientEngine, runs: Path, what: str
) -> None:
    run = client.start(experiment(100_000))
    until(lambda: client.state(run).status.state == RUNNING and client.state(run).pid)
    pid, address = client.pid, read_address(runs)
    assert address
    Path(address.file if what == "address" else str(address.place)).unlink()
    other = ClientEngine(runs, start=False)

    def found() -> dict[str, object] | None:
        try:
            return other.status()
        except EngineGone:
            return None

    assert until(found)["pid"] == pid
    assert other.state(run).pid
    other.close()


def test_a_log_deleted_while_it_is_written_comes_back_whole(client: ClientEngine, store: Store) -> None:
    run = store.run(client.start(experiment(120)))
    until(lambda: client.state(run.id).status.step > 12)
    run.events_path.unlink()
    assert ended(client, run.id) == FINISHED
    assert [e.step for e in run.events() if e.name == "lr"] == list(range(1, 121))
