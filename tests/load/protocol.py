"""A real server, and visitors that speak its protocol without a browser: what they cost is not Chromium's."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[2]
AGAIN = ForwardMsg.FINISHED_EARLY_FOR_RERUN
WHOLE = ForwardMsg.FINISHED_SUCCESSFULLY


@dataclass
class Server:
    """The app as people start it."""

    port: int
    home: Path
    process: subprocess.Popen[bytes]

    def output(self) -> str:
        """What it has printed, and its log."""
        files = [self.home / "server.txt", *sorted((self.home / "logs").glob("web*"))]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())


@contextmanager
def served(home: Path) -> Iterator[Server]:
    """The app on a free port with a home of its own, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
    ]
    environment = {**os.environ, "LAYERLAB_HOME": str(home), "LAYERLAB_RUNS": ""}
    with (home / "server.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    server = Server(port, home, process)
    try:
        _wait_for(server)
        yield server
        if "Traceback" in server.output():
            raise RuntimeError("the server complained")
    except BaseException:
        print(server.output()[-4000:])
        raise
    finally:
        process.terminate()
        process.wait(15)


def _wait_for(server: Server) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/_stcore/health", timeout=2):
                return
        except OSError:
            if time.monotonic() > end or server.process.poll() is not None:
                raise RuntimeError(server.output()[-2000:]) from None
            time.sleep(0.1)


class PageFailed(Exception):
    """A page showed an exception."""


class Visitor:
    """One open tab: the page's socket, the widgets that it has been shown, its fragments that tick by themselves."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: ClientConnection
        self.widgets: dict[str, WidgetState] = {}
        self.sliders: dict[str, list[str]] = {}  # id → the words of its places
        self.ticking: dict[str, float] = {}  # fragment → seconds between its runs
        self.elements = 0  # of the last run

    async def __aenter__(self) -> Visitor:
        origin = f"http://127.0.0.1:{self._server.port}"
        self._socket = await connect(
            f"ws{origin[4:]}/_stcore/stream", origin=origin, subprotocols=["streamlit"], max_size=None, open_timeout=30
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def run(self, page: str = "", query: str = "", fragment: str = "") -> float:
        """Have the page's script (or one fragment of it) run as it stands; the seconds until it has finished."""
        message = BackMsg()
        asked = message.rerun_script
        asked.page_name, asked.query_string, asked.fragment_id = page, query, fragment
        asked.is_auto_rerun = bool(fragment)
        asked.widget_states.CopyFrom(WidgetStates(widgets=self.widgets.values()))
        started = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        if not fragment:
            self.ticking, self.sliders, self.elements = {}, {}, 0
        while True:
            data = await asyncio.wait_for(self._socket.recv(), 60)
            heard = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            if self._heard(heard) and heard.script_finished != AGAIN:
                return time.perf_counter() - started

    def _heard(self, heard: ForwardMsg) -> bool:
        """Take in one message; True when a script has finished."""
        kind = heard.WhichOneof("type")
        if kind == "auto_rerun":
            self.ticking[heard.auto_rerun.fragment_id] = heard.auto_rerun.interval
        elif kind == "delta" and heard.delta.HasField("new_element"):
            element = heard.delta.new_element
            self.elements += 1
            if element.HasField("exception"):
                raise PageFailed(element.exception.message)
            if element.HasField("slider") and element.slider.options:
                self.sliders[element.slider.id] = list(element.slider.options)
        return kind == "script_finished"

    def move_a_slider(self, to: float) -> bool:
        """Put the last slider of the page (what to train next) somewhere between its ends, 0…1; False without one."""
        if not self.sliders:
            return False
        name, places = list(self.sliders.items())[-1]
        state = WidgetState(id=name)
        state.string_array_value.data.append(places[round(to * (len(places) - 1))])
        self.widgets[name] = state
        return True


async def listen(server: Server, run: str) -> None:
    """Watch a run's live stream as the stage does, until cancelled."""
    origin = f"http://127.0.0.1:{server.port}"
    async with connect(f"ws{origin[4:]}/live?run={run}&after=0", origin=origin, max_size=None, open_timeout=30) as live:
        await live.send(json.dumps({"watch": {"sample": 0, "layer": ""}}))
        async for _message in live:
            pass


def machine() -> str:
    """For the first line of a measurement."""
    import streamlit
    import torch

    about = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{' '.join(sys.argv)}\n{about}, torch {torch.__version__}, streamlit {streamlit.__version__}"


def every_page() -> list[str]:
    """The addresses of all pages, home first."""
    found = [
        f"{folder.name.partition('_')[2]}-{page.stem.partition('_')[2]}"
        for folder in sorted((ROOT / "pages").glob("[0-9]*_*/"))
        for page in sorted(folder.glob("[0-9]*_*.py"))
    ]
    return ["", *found]
