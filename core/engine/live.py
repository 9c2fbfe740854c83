"""A run's rows → messages for watchers. It knows no web framework.

To a watcher go, in any order:
  text    {"after": A, "offset": N, "rows": [row, …]}   rows of events.jsonl as they stand, bytes A to N; A = 0 once
                                                       more when rows were taken back: what was sent before is void
  text    the same of a long log's beginning, with "thinned": how many rows those stand for, and "smooth": name →
          {"steps", "values", "sum", "weight", "last"}, the smoothed curve of them all and how it goes on
  text    {"state": {"run", "state", "step", "steps", "words", "layer", "place", "threads", "pid"}}   on every change
  bytes   a frame (encode_frame), whenever a newer one is there
From a watcher come:
  text    {"watch": {"sample": 7, "layer": "conv1"}}   which sample and layer the frames should show
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np

from core.spec.events import Frame
from core.store import Run, Store, StoreError
from core.store.history import told

LONG = 2 << 20  # bytes of a log that is not sent as it stands to who has nothing of it yet; about 30,000 steps
POLL = 0.025  # seconds between two looks at a run's folder
ASK = 0.25  # seconds between two questions to the engine


def encode_frame(frame: Frame) -> bytes:
    """u32 little-endian header length, header JSON, then the arrays' bytes (C order, little endian).

    The header: {"step", "time", "meta", "arrays": [{"name", "dtype", "shape", "offset"}]}, offsets counted from the
    header's end and aligned to 8 bytes.
    """
    parts, about, offset = [], [], 0
    for name, value in frame.arrays.items():
        data = np.ascontiguousarray(value).tobytes()
        about.append({"name": name, "dtype": str(value.dtype), "shape": list(value.shape), "offset": offset})
        padding = -len(data) % 8
        parts.append(data + b"\0" * padding)
        offset += len(data) + padding
    header = {"step": frame.step, "time": frame.time, "meta": frame.meta, "arrays": about}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def decode_frame(data: bytes) -> Frame:
    """The inverse of encode_frame."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    arrays = {}
    for about in header["arrays"]:
        dtype, shape = np.dtype(about["dtype"]), about["shape"]
        start = 4 + length + about["offset"]
        arrays[about["name"]] = np.frombuffer(data, dtype, int(np.prod(shape)), start).reshape(shape)
    return Frame(header["step"], header["time"], header["meta"], arrays)


# ── rows to watchers ─────────────────────────────────────────────────────────────────────────────────────────────────


def rows_message(data: bytes, offset: int) -> str:
    """Whole lines of events.jsonl as one message. The rows are taken as they stand; a broken line is left out."""
    after = offset - len(data)
    lines = [line for line in data.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
    return f'{{"after":{after},"offset":{offset},"rows":[{b",".join(lines).decode(errors="replace")}]}}'


class Hub:
    """Follows the folders of the runs that somebody watches: one tail a run, however many watch it.

    `engine_state(run)` → the dict of a state message; it may block (it is called in a thread) and may raise: the
    watchers then get the state "gone" with the words of the error. Used from one event loop.
    """

    def __init__(self, store: Store, engine_state: Callable[[str], dict[str, Any]]) -> None:
        self._store = store
        self._ask = engine_state
        self._tails: dict[str, _Tail] = {}

    async def watch(
        self,
        run_id: str,
        after: int,
        send_text: Callable[[str], Awaitable[None]],
        send_bytes: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Send everything after byte `after`, then whatever comes, until cancelled or a send fails.

        StoreError, before anything is sent, when there is no such run. A slow watcher gets every row, and of the
        frames and states that came meanwhile only the newest.
        """
        run = self._store.run(run_id)
        tail = self._tails.get(run.id)
        if tail is None:
            tail = self._tails[run.id] = _Tail(run, self._ask)
        watcher = _Watcher(max(0, after), send_text, send_bytes)
        tail.watchers.add(watcher)
        try:
            await watcher.follow(tail)
        finally:
            tail.watchers.discard(watcher)
            if not tail.watchers:
                self._tails.pop(run.id, None)
                tail.end()

    def watched(self) -> dict[str, int]:
        """run → number of watchers."""
        return {run: len(tail.watchers) for run, tail in self._tails.items()}


class _Watcher:
    """One receiver: where it is in the rows, and which state and frame it has."""

    def __init__(self, offset: int, send_text: Any, send_bytes: Any) -> None:
        self.offset, self._send_text, self._send_bytes = offset, send_text, send_bytes
        self._state, self._stamp = "", (0, 0)
        self.news = asyncio.Event()
        self.news.set()

    async def follow(self, tail: _Tail) -> None:
        """No queue: what is new is compared with what was sent, so a slow receiver costs no memory."""
        while True:
            await self.news.wait()
            self.news.clear()
            while (found := await self._rows(tail)) is not None:
                message, self.offset = found
                await self._send_text(message)
            if tail.state != self._state:
                self._state = tail.state
                await self._send_text(self._state)
            if tail.stamp != self._stamp:
                self._stamp, frame = tail.stamp, tail.frame
                if frame:
                    await self._send_bytes(frame)

    async def _rows(self, tail: _Tail) -> tuple[str, int] | None:
        """The next message and the offset after it: what shows of a long log's beginning, then rows as they stand."""
        if self.offset and not tail.stands(self.offset):
            self.offset = 0
        if not self.offset and tail.long():
            return await asyncio.to_thread(told, tail.run)
        return tail.rows(self.offset)


class _Tail:
    """Looks at one run's folder and wakes its watchers when something is new."""

    def __init__(self, run: Run, ask: Callable[[str], dict[str, Any]]) -> None:
        self.run, self._ask = run, ask
        self.watchers: set[_Watcher] = set()
        self.state = ""  # the newest state message
        self.stamp, self.frame = (0, 0), b""  # the newest frame
        self._size = -1  # bytes of the log at the last look
        self._last: tuple[int, str, int] | None = None  # (from, message, to): what most watchers want next
        self._task = asyncio.get_running_loop().create_task(self._look())
        self._asking: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Stop looking."""
        self._task.cancel()
        if self._asking:
            self._asking.cancel()

    def long(self) -> bool:
        """Would all rows together be more than a browser takes in at once?"""
        return self._bytes() > LONG

    def stands(self, offset: int) -> bool:
        """Are the rows before `offset` still the log's? Not where some were taken back, which makes it shorter."""
        return offset <= self._bytes()

    def _bytes(self) -> int:
        with suppress(OSError):
            return self.run.events_path.stat().st_size
        return 0

    def rows(self, offset: int) -> tuple[str, int] | None:
        """The message after `offset` and the offset after it; None when there is nothing new. Made once for all."""
        if self._last and self._last[0] == offset:
            return self._last[1:]
        if self._last and self._last[2] == offset == self._size:
            return None
        data, after = self.run.rows_after(offset)
        if not data:
            return None
        self._last = (offset, rows_message(data, after), after)
        return self._last[1:]

    async def _look(self) -> None:
        asked = 0.0
        while True:
            news = self._look_at_rows() | self._look_at_frame()
            if news:
                self._wake()
            if time.monotonic() - asked >= ASK and (self._asking is None or self._asking.done()):
                asked = time.monotonic()
                self._asking = asyncio.get_running_loop().create_task(self._ask_state())
            await asyncio.sleep(POLL)

    def _look_at_rows(self) -> bool:
        try:
            size = self.run.events_path.stat().st_size
        except OSError:
            return False
        if size < self._size:  # a torn tail was repaired
            self._last = None
        changed, self._size = size != self._size, size
        return changed

    def _look_at_frame(self) -> bool:
        stamp = self.run.frame_stamp()
        if stamp == self.stamp:
            return False
        with suppress(StoreError):
            self.stamp, self.frame = stamp, self.run.frame()
        return True

    async def _ask_state(self) -> None:
        try:
            state = await asyncio.to_thread(self._ask, self.run.id)
        except Exception as error:  # noqa: BLE001 (whatever it is, the watchers are told)
            state = {"run": self.run.id, "state": "gone", "words": str(error)}
        text = json.dumps({"state": state}, separators=(",", ":"))
        if text != self.state:
            self.state = text
            self._wake()

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.news.set()
