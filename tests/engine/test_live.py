"""The hub: every row once, to everyone, and no waiting for the slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.engine import live
from core.engine.live import Hub, rows_message
from core.spec.events import RUNNING, Event, Status
from core.spec.specs import preset
from core.store import Run, Store, StoreError


class Watcher:
    """Collects what it is sent; `slow` seconds for each message."""

    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow
        self.steps: list[int] = []
        self.states: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.offset = 0

    async def text(self, text: str) -> None:
        await asyncio.sleep(self.slow)
        message = json.loads(text)
        if "rows" in message:
            if message["after"] == 0:
                self.steps = []
            assert message["after"] in (0, self.offset)
            self.offset = message["offset"]
            self.steps += [row["step"] for row in message["rows"]]
        else:
            self.states.append(message["state"])

    async def bytes(self, data: bytes) -> None:
        await asyncio.sleep(self.slow)
        self.frames.append(data)


class Scene:
    """A run that is written to, a hub, and watchers."""

    def __init__(self, store: Store) -> None:
        self.run: Run = store.create(preset("mlp", "digits"))
        self.log = self.run.log()
        self.told: dict[str, Any] = {"state": RUNNING}
        self.asked = 0
        self.hub = Hub(store, self.state)
        self.tasks: list[asyncio.Task[None]] = []

    def state(self, run: str) -> dict[str, Any]:
        self.asked += 1
        if "error" in self.told:
            raise RuntimeError(self.told["error"])
        return {"run": run, **self.told}

    def write(self, *steps: int) -> None:
        for step in steps:
            self.log.append([Event(step, "train/loss", 1.0, 0.0)])

    def watch(self, after: int = 0, slow: float = 0.0) -> Watcher:
        watcher = Watcher(slow)
        watcher.offset = after
        watching = self.hub.watch(self.run.id, after, watcher.text, watcher.bytes)
        self.tasks.append(asyncio.get_running_loop().create_task(watching))
        return watcher

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def play(store: Store, part: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        scene = Scene(store)
        try:
            await part(scene)
        finally:
            await scene.leave()
            scene.log.close()

    asyncio.run(whole())


def test_late_watchers_and_live_ones_get_every_row_once(store: Store) -> None:
    async def part(scene: Scene) -> None:
        scene.write(*range(50))
        early = scene.watch()
        await until(lambda: len(early.steps) == 50)
        half = early.offset
        for step in range(50, 90):
            scene.write(step)
            if step == 60:
                late, all_of_it = scene.watch(after=half), scene.watch()
            await asyncio.sleep(0.002)
        await until(lambda: early.steps == all_of_it.steps == list(range(90)))
        assert late.steps == list(range(50, 90))
        assert early.offset == late.offset == scene.run.events_path.stat().st_size
        assert scene.hub.watched() == {scene.run.id: 3}

    play(store, part)


def test_rows_that_were_taken_back_come_anew_from_the_first(store: Store) -> None:
    async def part(scene: Scene) -> None:
        scene.write(*range(50))
        early = scene.watch()
        await until(lambda: len(early.steps) == 50)
        scene.log.forget_after(9)
        late = scene.watch(after=early.offset)
        await until(lambda: early.steps == late.steps == list(range(10)))
        scene.write(*range(10, 60))
        await until(lambda: early.steps == late.steps == list(range(60)))

    play(store, part)


def test_many_watchers_share_one_tail_and_it_ends_with_the_last(store: Store) -> None:
    async def part(scene: Scene) -> None:
        watchers = [scene.watch() for _ in range(20)]
        scene.write(*range(10))
        await until(lambda: all(w.steps == list(range(10)) and w.states for w in watchers))
        assert scene.asked <= 3
        before = len(asyncio.all_tasks())
        await scene.leave()
        assert scene.hub.watched() == {}
        await until(lambda: len(asyncio.all_tasks()) <= before - 21)

    play(store, part)


def test_the_state_comes_at_once_and_on_every_change(store: Store) -> None:
    async def part(scene: Scene) -> None:
        watcher = scene.watch()
        await until(lambda: len(watcher.states) == 1)
        scene.told = {"state": "paused", "words": "Paused."}
        await until(lambda: len(watcher.states) == 2)
        scene.told = {"error": "The engine went away."}
        await until(lambda: len(watcher.states) == 3)
        await asyncio.sleep(0.3)
        assert [state["state"] for state in watcher.states] == [RUNNING, "paused", "gone"]
        assert watcher.states[-1]["words"] == "The engine went away."

    play(store, part)


def test_frames_come_when_they_are_new_and_the_slow_skip_old_ones(store: Store) -> None:
    async def part(scene: Scene) -> None:
        scene.run.write_frame(b"old")
        quick, slow = scene.watch(), scene.watch(slow=0.15)
        await until(lambda: quick.frames and slow.frames)
        for i in range(6):
            scene.run.write_frame(b"%d" % i)
            scene.write(i)
            await until(lambda i=i: quick.frames[-1] == b"%d" % i)
        await until(lambda: slow.frames[-1] == b"5" and slow.steps == list(range(6)))
        assert quick.frames == [b"old", b"0", b"1", b"2", b"3", b"4", b"5"]
        assert len(slow.frames) < 6

    play(store, part)


def test_a_long_log_comes_thinned_to_who_has_nothing_and_whole_from_there_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONG", 4096)

    async def part(scene: Scene) -> None:
        scene.write(*range(10_000))
        early = scene.watch()
        await until(lambda: early.steps and early.steps[-1] == 9999)
        assert len(early.steps) < 5000 and early.offset == scene.run.events_path.stat().st_size
        scene.write(*range(10_000, 10_020))
        await until(lambda: early.steps[-20:] == list(range(10_000, 10_020)))
        late = scene.watch()
        await until(lambda: late.steps and late.steps[-1] == 10_019)
        scene.log.forget_after(6000)
        await until(lambda: early.steps[-1] == late.steps[-1] == 6000)
        assert early.steps == late.steps, "a reload shows the same picture"
        scene.write(*range(6001, 6030))
        await until(lambda: early.steps[-29:] == late.steps[-29:] == list(range(6001, 6030)))

    play(store, part)


def test_a_large_log_is_sent_in_pieces_and_a_torn_tail_waits(store: Store) -> None:
    async def part(scene: Scene) -> None:
        line = json.dumps({"step": 1, "time": 0, "values": {"a": 1.5}}) + "\n"
        with scene.run.events_path.open("a") as file:
            file.write(line * 40_000 + '{"step": 2, "ti')
        watcher = scene.watch()
        await until(lambda: len(watcher.steps) == 40_000)
        with scene.run.events_path.open("a") as file:
            file.write('me": 0, "values": {}}\n')
        await until(lambda: watcher.steps[-1] == 2)
        assert len(watcher.steps) == 40_001

    play(store, part)


def test_a_failing_receiver_leaves_and_harms_nobody(store: Store) -> None:
    async def part(scene: Scene) -> None:
        async def broken(_text: str) -> None:
            raise ConnectionError

        good = scene.watch()
        with pytest.raises(ConnectionError):
            await scene.hub.watch(scene.run.id, 0, broken, broken)  # type: ignore[arg-type]
        scene.write(1, 2)
        await until(lambda: good.steps == [1, 2])

    play(store, part)


def test_an_unknown_run_is_refused(store: Store) -> None:
    async def part(scene: Scene) -> None:
        with pytest.raises(StoreError):
            await scene.hub.watch("0" * 32, 0, Watcher().text, Watcher().bytes)

    play(store, part)


def test_rows_are_taken_as_they_stand_and_broken_lines_left_out(store: Store) -> None:
    run = store.create(preset("mlp", "digits"))
    log = run.log()
    log.append([Event(1, "train/loss", float("nan"), 0.0)])
    log.status(Status(RUNNING, 1, 2, "é"))
    log.close()
    data, end = run.rows_after(0)
    message = json.loads(rows_message(data + b"{broken\n\xff\n", end))
    assert message["offset"] == end
    assert [row["step"] for row in message["rows"]] == [1, 1]
    assert message["rows"][0]["values"]["train/loss"] == "nan"
    assert message["rows"][1]["status"]["words"] == "é"
