"""Where an engine can be reached is believed only from a folder, a file and a socket of this user alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from core.spec.specs import preset
from core.store import StoreError, addresses
from core.store.addresses import Address, new_address, publish, read_address, withdraw
from core.store.engine_files import hold_run, hold_runs
from core.store.runs import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes")


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder for addresses; short, for a socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="ll-"))
    monkeypatch.setattr(addresses, "_candidates", lambda: [folder / "layerlab"])
    yield folder / "layerlab"
    shutil.rmtree(folder)


@pytest.fixture
def listening() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(stack: ExitStack, at: str | Path) -> None:
    made = stack.enter_context(socket.socket(socket.AF_UNIX))
    made.bind(str(at))
    made.listen()


def published(runs: Path, stack: ExitStack) -> Address:
    """The address of an engine that listens."""
    address = new_address(runs, 2)
    assert isinstance(address.place, str)
    listen(stack, address.place)
    publish(address)
    return address


def test_what_is_published_is_read_and_withdrawn(place: Path, home: Path, listening: ExitStack) -> None:
    runs = home / "runs"
    assert read_address(runs) is None
    address = published(runs, listening)
    assert read_address(runs) == address and read_address(home / "other") is None
    assert read_address(home / "x" / ".." / "runs") == address
    assert stat.S_IMODE(place.stat().st_mode) == 0o700 and stat.S_IMODE(address.file.stat().st_mode) == 0o600
    assert not runs.exists()  # nothing is written where anybody may write
    withdraw(address)
    assert read_address(runs) is None and list(place.iterdir()) == []


def test_nothing_in_a_runs_folder_is_believed(place: Path, home: Path, listening: ExitStack) -> None:
    runs = home / "runs"
    runs.mkdir()
    listen(listening, runs / "socket")
    for where in (str(runs / "socket"), ["127.0.0.1", 4000]):
        told = {"address": where, "key": "00" * 32, "pid": 1, "version": 2, "port": 4000}
        (runs / ".engine.json").write_text(json.dumps(told))
        (runs / ".engine.json").chmod(0o600)
        assert read_address(runs) is None


def _open_to_others(file: Path) -> None:
    file.chmod(0o640)


def _link_to_it(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _named_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _folder_open_to_others(file: Path) -> None:
    file.parent.chmod(0o750)


def _folder_that_is_a_link(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))
    file.parent.symlink_to("elsewhere")


def _folder_that_can_be_exchanged(file: Path) -> None:
    file.parent.parent.chmod(0o777)


def _no_socket(file: Path) -> None:
    (one,) = file.parent.glob("*.socket")
    one.unlink()
    one.write_text("")


def _socket_of_another_key(file: Path) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | {"key": "11" * 32}))


def _link_to_a_socket(file: Path) -> None:
    (one,) = file.parent.glob("*.socket")
    one.rename(file.parent / "other")
    one.symlink_to("other")


@pytest.mark.parametrize(
    "change",
    [
        _open_to_others,
        _link_to_it,
        _named_pipe,
        _folder_open_to_others,
        _folder_that_is_a_link,
        _folder_that_can_be_exchanged,
        _no_socket,
        _socket_of_another_key,
        _link_to_a_socket,
    ],
)
def test_what_others_could_have_written_is_not_believed(place, home, listening, change) -> None:
    address = published(home / "runs", listening)
    assert read_address(home / "runs")
    change(address.file)
    assert read_address(home / "runs") is None


def test_what_belongs_to_another_user_is_not_believed(place, home, listening, monkeypatch) -> None:
    published(home / "runs", listening)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert read_address(home / "runs") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 4000,
        '{"key": "zz"}',
        '{"key": 1}',
        "\xff",
        "9" * 4096,
        json.dumps({"key": "00", "pid": 1, "version": 2, "port": 0}),
        json.dumps({"key": "00" * 32, "pid": "1", "version": 2, "port": 0}),
        json.dumps({"key": "00" * 32, "pid": 1, "version": [], "port": 0}),
    ],
    ids=lambda text: text[:12],
)
def test_a_broken_address_is_none(place: Path, home: Path, listening: ExitStack, text: str) -> None:
    published(home / "runs", listening).file.write_text(text)
    assert read_address(home / "runs") is None


def test_an_old_engine_takes_back_only_what_it_has_made_itself(place, home, listening) -> None:
    runs = home / "runs"
    old = published(runs, listening)
    new = published(runs, listening)  # the folder was deleted and made anew, and another engine holds it
    assert read_address(runs) == new != old
    withdraw(old)
    assert read_address(runs) == new and Path(str(new.place)).exists()
    withdraw(replace(new, file=home / "not there.json"))
    assert read_address(runs) == new


def test_withdrawing_and_beginning_remove_no_other_file(place: Path, home: Path, listening: ExitStack) -> None:
    address = published(home / "runs", listening)
    kept = [place / "mine.txt", place / "folder" / "a", home / "b"]
    for file in kept:
        file.parent.mkdir(exist_ok=True)
        file.write_text("kept")
    told = json.loads(address.file.read_text()) | {"address": str(home), "place": str(place / "folder")}
    address.file.write_text(json.dumps(told))
    withdraw(address)
    publish(new_address(home / "runs", 2))
    assert all(file.read_text() == "kept" for file in kept)


def test_what_killed_engines_left_is_cleared_away_and_what_lives_is_kept(place, home, listening) -> None:
    gone, alive = published(home / "a", ends := ExitStack()), published(home / "b", listening)
    ends.close()  # nobody listens there any more
    for file in place.iterdir():
        os.utime(file, (1, 1))
    new_address(home / "c", 2)
    assert {*place.iterdir()} == {alive.file, Path(str(alive.place))}
    assert gone.file.parent == place


def test_without_a_folder_of_its_own_an_engine_says_what_to_do(place, home, monkeypatch) -> None:
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    with pytest.raises(StoreError, match=r"none of .*layerlab can be had. Set XDG_RUNTIME_DIR"):
        new_address(home / "runs", 2)


def test_a_folder_in_tmp_that_another_has_taken_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    short = Path(tempfile.mkdtemp(prefix="ll-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    monkeypatch.setenv("TMPDIR", "/" + "long" * 40)
    found = addresses._candidates()
    assert found[:3] == [short / "layerlab", Path(f"/run/user/{me}/layerlab"), Path(f"/tmp/layerlab-{me}")]
    assert all(len(os.fsencode(folder / ("0" * 16 + "-" + "0" * 8 + ".socket"))) <= 100 for folder in found)
    (short / "layerlab").symlink_to(home)  # taken
    monkeypatch.setattr(addresses, "_candidates", lambda: [short / "layerlab", short / "second"])
    assert new_address(home / "runs", 2).file.parent == short / "second"
    shutil.rmtree(short)


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_this_user_can_hold_the_locks(home: Path) -> None:
    store = Store(home / "runs")
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    run = store.create(preset("mlp", "digits"))
    for lock in (store.root / ".engine.lock", run.path / ".lock"):
        lock.touch(0o644)  # as an earlier version left it
        lock.chmod(0o644)
    held = hold_runs(store.root)
    assert held and hold_runs(store.root) is None
    with hold_run(run, 1):
        assert stat.S_IMODE((run.path / ".lock").stat().st_mode) == 0o600
    assert stat.S_IMODE((store.root / ".engine.lock").stat().st_mode) == 0o600
    held.release()


def test_a_lock_of_another_user_is_told_in_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = home / "runs"
    runs.mkdir()
    (runs / ".engine.lock").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(StoreError, match=r"lock belongs to another user \(.+\), who can keep others out.*--runs"):
        hold_runs(runs)


def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(home: Path) -> None:
    runs = home / "runs"
    runs.mkdir()
    (home / "diary").write_text("dear")
    (runs / ".engine.lock").symlink_to(home / "diary")
    with pytest.raises(StoreError, match="is a link to another place; remove it"):
        hold_runs(runs)
    assert (home / "diary").read_text() == "dear"


@pytest.mark.skipif(not Path("/proc/locks").exists() or os.geteuid() != 0, reason="needs root, and /proc")
def test_a_lock_that_another_user_holds_is_told_with_his_name(home: Path) -> None:
    """He opened it while its mode still let him."""
    runs = home / "runs"
    runs.mkdir()
    (runs / ".engine.lock").touch()
    code = (
        f"import fcntl, os; opened = open({str(runs / '.engine.lock')!r}); os.setuid(54321)\n"
        "fcntl.flock(opened, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline()
        with pytest.raises(StoreError, match=rf"Process {other.pid} of another user \(number 54321\) holds"):
            hold_runs(runs)
        other.communicate(b"\n")
