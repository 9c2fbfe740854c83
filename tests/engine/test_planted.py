"""A runs folder that somebody else has made: opening it runs nothing, speaks to nobody and deletes nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import pytest

from core.engine import client as engines
from core.engine.client import ClientEngine, connect
from core.engine.protocol import EngineError, EngineGone
from core.engine.wire import VERSION
from core.spec.specs import preset
from core.store import Store
from core.store.addresses import new_address, publish, read_address, withdraw
from tests.conftest import ROOT
from tests.engine.conftest import WORKER, ended, experiment
from tests.engine.test_wire import HOSTILE

KEY = b"0" * 32


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """What a planted program would make."""
    return tmp_path / "it ran"


@pytest.fixture
def listener(witness: Path) -> Iterator[tuple[str, int]]:
    """A planted listener that knows the key of the planted address and answers with a pickle that opens a file."""
    text = f"open({str(witness)!r}, 'w')".encode()
    evil = b"cbuiltins\neval\n(V" + text + b"\ntR."
    with Listener(("127.0.0.1", 0), authkey=KEY) as planted:

        def serve() -> None:
            while True:
                try:
                    with planted.accept() as conn:
                        conn.recv_bytes()
                        conn.send_bytes(evil)
                except (OSError, EOFError):
                    return

        threading.Thread(target=serve, daemon=True).start()
        place: Any = planted.address
        yield place


def plant(runs: Path, address: Any) -> Path:
    """Somebody else's folder: a run, and the address of an engine as earlier versions have believed it."""
    store = Store(runs)
    store.create(preset("mlp", "digits"), "from elsewhere")
    told = {"address": address, "key": KEY.hex(), "pid": os.getpid(), "version": VERSION}
    (runs / ".engine.json").write_text(json.dumps(told))
    (runs / ".engine.json").chmod(0o600)
    return runs


def layerlab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "core", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_planted_listener_is_not_spoken_to(home: Path, listener: tuple[str, int], witness: Path) -> None:
    runs = plant(home / "runs", list(listener))
    told = layerlab("runs", "--runs", str(runs))
    assert (told.returncode, told.stderr) == (0, "")
    assert "from elsewhere" in told.stdout
    assert not witness.exists()
    with pytest.raises(EngineGone):
        connect(runs, start=False)


def test_a_planted_address_deletes_no_folder_of_files(home: Path) -> None:
    full = home / "layerlab-important"
    full.mkdir()
    (full / "thesis.txt").write_text("years")
    runs = plant(home / "runs", str(full / "socket"))
    assert layerlab("runs", "--runs", str(runs)).returncode == 0
    engine = connect(runs, worker=WORKER, slots=1)  # begins, publishes, ends and withdraws
    assert ended(engine, engine.start(experiment(3))) == "finished"
    engine.close()
    assert (full / "thesis.txt").read_text() == "years"
    assert (runs / ".engine.json").exists()  # not ours, and nobody asks it


@pytest.fixture
def hostile_engine(home: Path) -> Iterator[Callable[[bytes], ClientEngine]]:
    """An engine in the right place and with the right key that answers with these bytes: the wire itself must hold."""
    made: list[Any] = []

    def begin(answer: bytes) -> ClientEngine:
        address = new_address(home / "runs", VERSION)
        planted = Listener(address.place, authkey=address.key)
        publish(address)
        made.append((planted, address))

        def serve() -> None:
            with planted.accept() as conn:
                conn.recv_bytes()
                conn.send_bytes(answer)
                conn.poll(10)

        threading.Thread(target=serve, daemon=True).start()
        return ClientEngine(home / "runs", start=False)

    yield begin
    for planted, address in made:
        planted.close()
        withdraw(address)
    assert read_address(home / "runs") is None


@pytest.mark.parametrize("name", ["a pickle", "no head", "an endless depth", "a foreign class", "nothing"])
def test_hostile_replies_are_told_in_words(hostile_engine: Any, name: str) -> None:
    client = hostile_engine(HOSTILE[name])
    with pytest.raises(EngineError, match="cannot be read"):
        client.status()
    client.close()


def test_a_reply_of_another_shape_is_told_in_words(hostile_engine: Any) -> None:
    from core.engine.wire import dumps

    client = hostile_engine(dumps({"a": 1}))
    with pytest.raises(EngineError, match="no answer of an engine"):
        client.status()
    client.close()


def test_a_reply_that_is_announced_as_giant_ends_the_connection(
    hostile_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.engine import wire

    monkeypatch.setattr(wire, "LIMIT", 1000)
    client = hostile_engine(b"x" * 2000)
    with pytest.raises(EngineGone, match="went away"):
        client.status()
    client.close()


def test_an_engine_survives_callers_who_send_anything(client: ClientEngine, runs: Path) -> None:
    from multiprocessing.connection import Client

    address = read_address(runs)
    assert address
    with socket.socket(socket.AF_UNIX) as raw:  # knows nothing of keys
        raw.connect(str(address.place))
        raw.sendall(b"\xff" * 4096)
    for data in HOSTILE.values():
        with Client(address.place, authkey=address.key) as conn:
            conn.send_bytes(data)
            assert b"cannot be read" in conn.recv_bytes()
    assert client.status()["pid"] == address.pid
    assert engines.VERSION == VERSION
