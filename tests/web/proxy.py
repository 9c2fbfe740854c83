"""A reverse proxy as people put before the app: it may strip a prefix from the path, or put its own Host header in."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def proxy(target: int, *, prefix: str = "", rewrite_host: bool = False, port: int = 0) -> Iterator[int]:
    """Serve http://127.0.0.1:target at another port, which is told, under `prefix`; streams pass through."""
    listening = socket.create_server(("127.0.0.1", port), backlog=128)
    told: int = listening.getsockname()[1]
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(listening, stop, target, prefix, rewrite_host))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _serve(listening: socket.socket, stop: asyncio.Event, target: int, prefix: str, rewrite: bool) -> None:
    serving: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await _pass_on(reader, writer, target, prefix, rewrite)
        finally:  # also when it is cancelled while a browser holds a connection on which it asks nothing
            await _end(writer)

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(begin, sock=listening, limit=1 << 20)
    await stop.wait()
    server.close()
    await asyncio.sleep(0.02)  # who was just let in is being served by now
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int, prefix: str, rewrite: bool
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, version = head[0].split(" ", 2)
    if not path.startswith(prefix):
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return await writer.drain()
    path = "/" + path.removeprefix(prefix).lstrip("/")
    upgrades = any(line.lower().startswith("upgrade:") for line in head)
    sent = [f"{method} {path} {version}"]
    for line in head[1:]:
        name = line.partition(":")[0].lower()
        if name == "host" and rewrite:
            line = f"Host: 127.0.0.1:{target}"
        if name == "connection" and not upgrades:
            line = "Connection: close"  # one request a connection: what follows needs no reading
        sent.append(line)
    upstream, back = await asyncio.open_connection("127.0.0.1", target)
    back.write("\r\n".join(sent).encode("latin-1"))
    await asyncio.gather(_pipe(reader, back), _pipe(upstream, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        await _end(writer)


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
