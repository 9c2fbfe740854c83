"""The door: `streamlit run app.py`. Joins or starts the engine, owns the routes, and leaves the rest to the pages."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.engine.protocol import EngineError
from core.engine.steering import checked
from core.events import Command
from core.live import Hub
from core.store import StoreError
from core.store.engine_files import log_to
from pages.kit import doorkeeper, drawn
from pages.kit import engine as doors

log = logging.getLogger("layerlab.door")
WEB = Path(__file__).parent / "assets" / "web"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png"}
UNKNOWN = 4404  # close code of /live, besides those of pages.kit.doorkeeper
LOOK = 1.0  # seconds between two looks at the engine
_words = {"engine": "", "pid": ""}  # why the engine cannot be reached, empty while it can; which process it is
_wished: dict[WebSocket, tuple[str, Command]] = {}  # what each watcher wants to see: an engine begun anew is told


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Have an engine as long as the server lives; it and its workers end with the server."""
    logs = log_to("web")
    await asyncio.to_thread(_ensure)
    keeper = asyncio.create_task(_keep())
    try:
        yield {}
    finally:
        keeper.cancel()
        await asyncio.to_thread(doors.close)
        logging.getLogger().removeHandler(logs)
        logs.close()


async def _keep() -> None:
    while True:
        await asyncio.sleep(LOOK)
        await asyncio.to_thread(_ensure)


def _ensure() -> None:
    try:
        doors.ensure()
        if (pid := str(doors.handle().pid)) != _words["pid"]:
            _words["pid"] = pid
            log.info("the engine is process %s", pid)
            for run, wish in list(_wished.values()):
                with suppress(EngineError):
                    doors.handle().command(run, wish)
        _words["engine"] = ""
    except EngineError as error:
        if _words["engine"] != str(error):
            log.exception("no engine")
        _words["engine"] = str(error)


def _state(run: str) -> dict[str, Any]:
    """What a watcher is told of a run. An EngineGone here is told as the state "gone" with its words."""
    try:
        return doors.handle().state(run).plain()
    except EngineError as error:
        raise EngineError(_words["engine"] or str(error)) from None


# ── the live stream ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Hubs:
    """One hub, made when the first watcher comes: the environment says which folder."""

    hub: Hub | None = None


def _hub() -> Hub:
    if _Hubs.hub is None:
        _Hubs.hub = Hub(doors.store(), _state)
    return _Hubs.hub


async def live(socket: WebSocket) -> None:
    """/live?run=ID&after=BYTES: rows, states and frames of one run (core.live); the watcher's wishes come back.

    ID is whole: a few digits, which the command line takes, can be guessed.
    """
    run, after = socket.query_params.get("run", ""), socket.query_params.get("after", "")
    if not await _welcomed(socket) or not await _known(socket, run):
        return
    sending = asyncio.create_task(_send(socket, run, int(after) if after.isdecimal() and len(after) < 16 else 0))
    wishes = asyncio.create_task(_heed(socket, run))
    try:
        await asyncio.wait({sending, wishes}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        _wished.pop(socket, None)
        for task in (sending, wishes):
            task.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, OSError):
                await task
        if run not in _hub().watched():  # nobody looks: the trainer need not make frames
            with suppress(EngineError):
                await asyncio.to_thread(doors.handle().command, run, Command("unwatch"))


async def _welcomed(socket: WebSocket) -> bool:
    await socket.accept()  # first, or the browser would not see the close code
    code = doorkeeper.refused(socket.headers)
    if code:
        await socket.close(code, "See server.allowedHosts and server.corsAllowedOrigins.")
    return not code


async def _known(socket: WebSocket, run: str) -> bool:
    try:
        doors.store().run(run, whole=True)
    except StoreError:
        await socket.close(UNKNOWN, "There is no such run.")
        return False
    return True


async def _send(socket: WebSocket, run: str, after: int) -> None:
    try:
        await _hub().watch(run, after, socket.send_text, socket.send_bytes)
    except StoreError:  # deleted in between
        await socket.close(UNKNOWN, "There is no such run.")


async def _heed(socket: WebSocket, run: str) -> None:
    while True:
        text = (await socket.receive()).get("text")
        if text is None:  # bytes, or the end: the sender meets the latter, too
            return
        with suppress(ValueError, TypeError, KeyError, EngineError):  # a wish that cannot be met is no reason to part
            wish = checked(Command("watch", dict(json.loads(text[:4096])["watch"])))
            _wished[socket] = run, wish
            await asyncio.to_thread(doors.handle().command, run, wish)


# ── drawings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_asking = asyncio.Semaphore(2)  # as many as there are workers for questions: no thread of ours waits for one


async def look(socket: WebSocket) -> None:
    """/look: what a run's network makes of a drawing (pages.kit.drawn), one after the other."""
    if not await _welcomed(socket):
        return
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        while (message := await socket.receive())["type"] == "websocket.receive":
            async with _asking:
                answer = await asyncio.to_thread(drawn.answer, message.get("text"))
            await (socket.send_bytes(answer) if isinstance(answer, bytes) else socket.send_text(answer))


# ── the stage's files ────────────────────────────────────────────────────────────────────────────────────────────────


def served_files() -> dict[str, Path]:
    """name → file of everything under /layerlab/: what is in assets/web, and Plotly's script as installed."""
    return {file.name: file for file in WEB.glob("*.*")} | {"plotly.min.js": PLOTLY}


async def file(request: Request) -> Response:
    """/layerlab/NAME. The browser keeps it and asks each time whether it is still the same (304)."""
    path = served_files().get(request.path_params["name"])
    if path is None:
        return Response("There is no such file.", 404, media_type="text/plain")
    stat = path.stat()
    headers = {"etag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"', "cache-control": "no-cache"}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=TYPES.get(path.suffix, "application/octet-stream"))


app = st.App(
    Path(__file__).parent / "pages" / "shell.py",
    lifespan=lifespan,
    middleware=[Middleware(doorkeeper.Doorkeeper)],
    routes=[WebSocketRoute("/live", live), WebSocketRoute("/look", look), Route("/layerlab/{name}", file)],
)
