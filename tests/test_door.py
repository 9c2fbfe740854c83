"""The door as it is started for people: `streamlit run app.py`, spoken to over the network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from core.engine import client as engines
from core.engine.live import decode_frame
from core.spec.events import FINISHED, RUNNING, Command, Status
from core.spec.specs import assign, preset
from core.store import Store
from core.store.addresses import read_address
from tests.conftest import ROOT
from tests.engine.conftest import family, gone, until

END = 3.0  # seconds in which a server ends


@dataclass
class Door:
    """A server of the test's own."""

    port: int
    home: Path
    process: subprocess.Popen[bytes]

    def fetch(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def live(self, run: str, after: int = 0, host: str = "127.0.0.1", of: str = "127.0.0.1") -> ClientConnection:
        """Listen from a page of the site `host`, which has asked for the server by the name `of`."""
        return self.socket(f"/live?run={run}&after={after}", host, of)

    def socket(self, path: str, host: str = "127.0.0.1", of: str = "127.0.0.1") -> ClientConnection:
        # max_queue: what a test has not read yet must not hold up the answers to the server's pings
        return connect(
            f"ws://{of}:{self.port}{path}",
            origin=f"http://{host}:{self.port}",
            open_timeout=10,
            address=("127.0.0.1", self.port),
            max_queue=None,
        )  # type: ignore[arg-type]

    def page(self) -> ClientConnection:
        """What a browser with a page open holds."""
        url = f"ws://127.0.0.1:{self.port}/_stcore/stream"
        return connect(url, origin=f"http://127.0.0.1:{self.port}", subprotocols=["streamlit"])  # type: ignore[arg-type,list-item]

    def engine(self) -> engines.ClientEngine:
        return engines.connect(self.home / "runs", start=False)


def open_door(home: Path, *before: str) -> Door:
    """`before`: words of a command that starts the server's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *before,
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.headless",
        "true",
        "--server.port",
        str(port),
        "--server.fileWatcherType",
        "none",
    ]
    environment = {**os.environ, "LAYERLAB_HOME": str(home)} | {"LAYERLAB_RUNS": ""}
    with (home / "server.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    door = Door(port, home, process)
    until(lambda: answers(door), 30)
    return door


def answers(door: Door) -> bool:
    assert door.process.poll() is None, (door.home / "server.txt").read_text()
    try:
        return door.fetch("/_stcore/health")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One server for the tests that do not end it."""
    made = open_door(tmp_path_factory.mktemp("home"))
    yield made
    made.process.terminate()
    try:
        made.process.wait(5)
    finally:
        made.process.kill()


def begin(door: Door, steps: int = 5000) -> tuple[engines.ClientEngine, str]:
    """A run that trains."""
    engine = door.engine()
    run = engine.start(assign(preset("mlp", "digits"), {"train.steps": steps}))
    until(lambda: engine.state(run).status.state == RUNNING and engine.state(run).status.step > 0, 120)
    return engine, run


def hear(live: ClientConnection, want: str, seconds: float = 10.0) -> Any:
    """The next message of a kind: rows, state or frame."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = live.recv(timeout=seconds)
        if isinstance(message, bytes):
            if want == "frame":
                return decode_frame(message)
        elif want in (told := json.loads(message)):
            return told
    raise AssertionError(f"no {want} came")


def test_a_run_is_seen_live_from_any_byte_on(door: Door) -> None:
    engine, run = begin(door, 100_000)  # it must not end before it is stopped
    with ExitStack() as ends:
        one = ends.enter_context(door.live(run))
        rows = hear(one, "rows")
        assert hear(one, "state")["state"]["run"] == run
        other = ends.enter_context(door.live(run, after=rows["offset"]))
        kept = Store(door.home / "runs").run(run)
        data = until(lambda: kept.rows_after(rows["offset"])[0])
        assert hear(other, "rows")["rows"][0] == json.loads(data.split(b"\n")[0])
        one.send(json.dumps({"watch": {"sample": 3, "layer": ""}}))
        one.send("nonsense")
        one.send('{"watch": {"sample": "x"}}')
        assert hear(one, "frame").meta["sample"] in (0, 3)
        until(lambda: hear(one, "frame").meta["sample"] == 3)
        engine.command(run, Command("stop"))
        until(lambda: hear(one, "state")["state"]["state"] == "stopped")
    engine.close()


@pytest.mark.parametrize("path", ["/live?run={run}", "/look"])
@pytest.mark.parametrize(
    ("host", "of", "code"),
    [("elsewhere.org", "127.0.0.1", 4403), ("evil.example", "evil.example", 4421), ("127.0.0.1", "evil.example", 4421)],
    ids=["another site", "a site whose name points here", "another name"],
)
def test_strangers_are_turned_away(door: Door, path: str, host: str, of: str, code: int) -> None:
    run = Store(door.home / "runs").create(preset("mlp", "digits"))
    with pytest.raises(ConnectionClosed) as told, door.socket(path.format(run=run.id), host, of) as socket:
        socket.recv(timeout=5)
    assert told.value.rcvd is not None
    assert told.value.rcvd.code == code


def test_only_a_whole_id_names_a_run(door: Door) -> None:
    run = Store(door.home / "runs").create(preset("mlp", "digits"))
    for wanted in ("0" * 32, run.id[:4], run.id[:31], run.id.upper(), f"{run.id}0", "", "..", "%2e%2e"):
        with pytest.raises(ConnectionClosed) as told, door.live(wanted) as live:
            live.send('{"watch": {"sample": 1, "layer": ""}}')
            live.recv(timeout=5)
        assert told.value.rcvd is not None
        assert (told.value.rcvd.code, told.value.rcvd.reason) == (4404, "There is no such run.")
    with door.socket("/look") as look:
        look.send(json.dumps({"run": run.id[:4]}))
        assert json.loads(look.recv(timeout=10)) == {
            "error": "This run is not known here. Choose another one or start a new one."
        }


def test_no_other_site_may_show_the_app_in_a_frame(door: Door) -> None:
    for path in ("/", "/train-live", "/layerlab/live.js", "/_stcore/health", "/nothing/here"):
        _status, headers, _body = door.fetch(path)
        lower = {name.lower(): value for name, value in headers.items()}
        assert lower["x-frame-options"] == "SAMEORIGIN", path
        assert "frame-ancestors 'self'" in lower["content-security-policy"], path


def test_files_are_there_only_under_the_servers_names(door: Door) -> None:
    assert door.fetch("/layerlab/live.js", Host="evil.example")[0] == 421
    assert door.fetch("/layerlab/live.js", Host="localhost")[0] == 200


def test_files_have_types_and_are_kept_by_the_browser(door: Door) -> None:
    for name, kind in (("plotly.min.js", "text/javascript"), ("live.js", "text/javascript"), ("live.css", "text/css")):
        status, headers, body = door.fetch(f"/layerlab/{name}")
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)
        assert body
        again = door.fetch(f"/layerlab/{name}", **{"If-None-Match": headers["etag"]})
        assert (again[0], again[2]) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.js", "..%2fapp.py", "%2e%2e%2fapp.py", "%2fetc%2fpasswd", "", "app.py"])
def test_no_other_file_is_served(door: Door, path: str) -> None:
    status, _headers, body = door.fetch(f"/layerlab/{path}")
    assert status in (400, 404) or b"Streamlit Inc." in body[:200]  # its own page, as for every unknown address
    assert b"st.App(" not in body


@pytest.mark.skipif(not shutil.which("prlimit"), reason="sets a limit of handles from outside")
@pytest.mark.slow
def test_many_short_visits_take_no_more_handles_than_there_are(tmp_path: Path) -> None:
    """Each visit holds three until its session is closed: with 160 in all nobody would get in after fifty."""
    door = open_door(tmp_path, "prlimit", "--nofile=160:160")
    try:
        for _ in range(90):
            with door.page() as page:
                page.send(asked().SerializeToString())
                while not isinstance(message := page.recv(timeout=60), bytes) or not finished(message):
                    pass
        assert psutil.Process(door.process.pid).num_fds() < 160
        assert "Too many open files" not in (tmp_path / "server.txt").read_text()
    finally:
        door.process.terminate()
        door.process.wait(10)


def asked() -> BackMsg:
    """A browser's wish to see the first page."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    return message


def finished(message: bytes) -> bool:
    heard = ForwardMsg()
    heard.ParseFromString(message)
    return str(heard.WhichOneof("type")) == "script_finished"


@pytest.mark.skipif(os.name != "posix", reason="stops a process by a signal")
@pytest.mark.parametrize("goes_on", [False, True], ids=["stopped", "going-on"])
def test_a_stopped_engine_is_told_to_watchers_and_does_not_hold_up_the_end(tmp_path: Path, goes_on: bool) -> None:
    run = Store(tmp_path / "runs").create(preset("mlp", "digits"))
    run.set_status(Status(FINISHED, 3, 3))  # nobody need train it
    door = open_door(tmp_path)
    try:
        engine = until(lambda: (found := read_address(tmp_path / "runs")) and found.pid)
        pids = family(door.process.pid)
        with door.live(run.id) as live, door.page():
            assert hear(live, "state")["state"]["state"] == FINISHED
            os.kill(engine, signal.SIGSTOP)
            told = until(lambda: (state := hear(live, "state")["state"])["state"] == "gone" and state)
            assert f"process {engine}) has not answered" in told["words"]
            if goes_on:
                os.kill(engine, signal.SIGCONT)
            door.process.terminate()
            until(lambda: door.process.poll() is not None, END + 1)  # the second is for a busy machine
        until(lambda: gone(*pids))
        assert "Traceback" not in (tmp_path / "server.txt").read_text()
    finally:
        door.process.kill()
        door.process.wait()


def test_a_killed_engine_is_replaced_and_sigterm_with_viewers_ends_everything(door: Door) -> None:
    """One test, because each half waits for torch to be imported. The last one: it ends the server."""
    engine, run = begin(door, 1_000_000)
    first = engine.pid
    with ExitStack() as ends:
        viewers = [ends.enter_context(door.live(run)) for _ in range(3)]
        ends.enter_context(door.page())
        viewers[0].send(json.dumps({"watch": {"sample": 5, "layer": ""}}))
        until(lambda: hear(viewers[0], "frame").meta["sample"] == 5)
        os.kill(first, signal.SIGKILL)
        until(lambda: hear(viewers[0], "state")["state"]["state"] in ("gone", "queued"))
        until(lambda: engine.pid not in (0, first) and not engine.ensure() and engine.state(run).pid, 120)
        until(lambda: hear(viewers[0], "state")["state"]["state"] == RUNNING)
        for viewer in viewers:
            hear(viewer, "rows")
        late = ends.enter_context(door.live(run))  # it says nothing: what comes is what the first one had asked for
        stood = hear(late, "frame").step
        until(lambda: (frame := hear(late, "frame")).meta["sample"] == 5 and frame.step != stood)
        pids = family(door.process.pid)
        assert len(pids) >= 4
        door.process.terminate()
        until(lambda: door.process.poll() is not None and gone(*pids), 3)
    engine.close()
    kept = Store(door.home / "runs").run(run)
    assert kept.status().state == RUNNING  # the next engine carries it on
    assert kept.checkpoint_step() is not None
    assert "Traceback" not in (door.home / "server.txt").read_text()
    assert {"web.log", "engine.log"} <= {log.name for log in (door.home / "logs").iterdir()}
