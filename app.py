"""The door: `streamlit run app.py`. Joins or starts the engine, owns the routes, and leaves the rest to the pages."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.engine.handles import raise_limit
from core.engine.live import Hub
from core.engine.protocol import EngineError
from core.spec.commands import checked
from core.spec.events import Command
from core.spec.quoting import parsed, whole
from core.store import StoreError
from core.store.engine_files import log_to
from pages import doorkeeper, sessions
from pages.kit import engine as doors
from pages.look_inside import drawn

log = logging.getLogger("layerlab.door")
WEB = Path(__file__).parent / "assets" / "web"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png"}
UNKNOWN = 4404  # close code of /live, besides those of pages.doorkeeper
LOOK = 0.5  # seconds between two looks at the engine
END = 2.8  # seconds after a signal to end at which this process is gone, whatever hangs
_leaving = threading.Event()
_wished: dict[WebSocket, tuple[str, Command]] = {}  # what each watcher wants to see: an engine begun anew is told


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Have an engine as long as the server lives; it and its workers end with the server."""
    handles = raise_limit()
    logs = log_to("web")
    _leaving.clear()
    signals = _hear_signals()
    sweeping = asyncio.create_task(_sweep(handles))
    begun = threading.Event()
    threading.Thread(target=_keep, args=(begun,), name="keeper", daemon=True).start()
    await asyncio.to_thread(begun.wait)  # who comes then finds an engine, or reads why there is none
    try:
        yield {}
    finally:
        _leaving.set()
        sweeping.cancel()
        await asyncio.to_thread(doors.close)
        for name, heard in signals.items():
            signal.signal(name, heard)
        logging.getLogger().removeHandler(logs)
        logs.close()


def _keep(begun: threading.Event) -> None:
    """Look after the engine. In a thread of its own: it may wait, and nothing else here may wait for it."""
    said, pid = "", 0
    while not _leaving.is_set():
        try:
            doors.ensure()
            if (now := doors.handle().pid) != pid:
                pid = now
                _greet(pid)
            said = ""
        except EngineError as error:
            if said != type(error).__name__:
                said = type(error).__name__
                log.error("no engine: %s", error)
        except Exception:  # the next look may go better
            log.exception("while looking after the engine")
        begun.set()
        _leaving.wait(LOOK)
    begun.set()


def _greet(pid: int) -> None:
    """Another engine is there: it is told what the watchers want to see."""
    log.info("the engine is process %d", pid)
    for run, wish in list(_wished.values()):
        with suppress(EngineError):
            doors.handle().command(run, wish)


def _hear_signals() -> dict[int, Any]:
    """Have the end begin with the signal itself; what heard it before. The server's own end waits for every watcher."""
    heard: dict[int, Any] = {}
    for name in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):  # not the main thread: then somebody else hears them
            heard[name] = signal.getsignal(name)
            signal.signal(name, partial(_leave, before=heard[name]))
    return heard


def _leave(number: int, frame: Any, before: Any) -> None:
    if not _leaving.is_set():
        _leaving.set()
        threading.Thread(target=_end, args=(number,), name="end", daemon=True).start()
    if callable(before):
        before(number, frame)


def _end(number: int) -> None:
    """Let the engine go, so that nobody waits for it, and see to it that this process ends."""
    end = time.monotonic() + END
    doors.close()
    time.sleep(max(0.0, end - time.monotonic()))
    log.warning("the server did not end in time and leaves")
    os._exit(128 + number)


async def _sweep(handles: int) -> None:
    """Close the sessions of tabs that were closed; each holds three handles until then."""
    while True:
        await asyncio.sleep(LOOK)
        sessions.close_left(handles)


def _state(run: str) -> dict[str, Any]:
    """What a watcher is told of a run. An EngineGone here is told as the state "gone" with its words."""
    if trouble := doors.trouble():
        raise trouble
    return doors.handle().state(run).plain()


# ── the live stream ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Hubs:
    """One hub, made when the first watcher comes: the environment says which folder."""

    hub: Hub | None = None


def _hub() -> Hub:
    if _Hubs.hub is None:
        _Hubs.hub = Hub(doors.store(), _state)
    return _Hubs.hub


async def live(socket: WebSocket) -> None:
    """/live?run=ID&after=BYTES: rows, states and frames of one run (core.engine.live); the watcher's wishes come back.

    ID is whole: a few digits, which the command line takes, can be guessed.
    """
    run, after = socket.query_params.get("run", ""), socket.query_params.get("after", "")
    if not await _welcomed(socket) or not await _known(socket, run):
        return
    sending = asyncio.create_task(_send(socket, run, whole(after, 10**15) or 0))
    wishes = asyncio.create_task(_heed(socket, run))
    try:
        await asyncio.wait({sending, wishes}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        _wished.pop(socket, None)
        for task in (sending, wishes):
            task.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, OSError):
                await task
        if run not in _hub().watched():  # nobody looks: the trainer need not make frames; nor need we wait for that
            asyncio.get_running_loop().run_in_executor(None, _unwatch, run)


def _unwatch(run: str) -> None:
    with suppress(EngineError):
        doors.handle().command(run, Command("unwatch"))


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
            wish = checked(Command("watch", dict(parsed(text[:4096])["watch"])))
            _wished[socket] = run, wish
            await asyncio.to_thread(doors.handle().command, run, wish)


# ── drawings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_asking = asyncio.Semaphore(2)  # as many as there are workers for questions: no thread of ours waits for one


async def look(socket: WebSocket) -> None:
    """/look: what a run's network makes of a drawing (pages.look_inside.drawn), one after the other."""
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
