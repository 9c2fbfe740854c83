"""A worker without torch: counts steps, keeps to the contract of core.worker. What it is to do is in the run's name."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from core.engine.wire import hear, say
from core.spec import registry
from core.spec.events import FINISHED, PAUSED, RUNNING, STOPPED, Command, Event, Status
from core.spec.questions import Describe, Description, Doctor, Refresh, Sound
from core.store import Checkpoint, Run, Store

STEP = 0.005  # seconds


def train(runs_root: str, run_id: str, conn: Connection, threads: int) -> None:
    run = Store(runs_root).run(run_id)
    if "deaf" in run.about()["name"]:
        say(conn, Status(RUNNING, 0, 1000))
        time.sleep(60)
    if "raises" in run.about()["name"]:
        raise ValueError("no such thing")
    _Training(run, conn).go()


class _Training:
    def __init__(self, run: Run, conn: Connection) -> None:
        self.run, self.conn, self.log = run, conn, run.log()
        self.steps = run.experiment().train.steps
        found = run.load_checkpoint()
        self.step = found.step if found else 0
        self.lr, self.singles, self.told = 0.003, 0, 0.0
        self.frame = b""  # what is watched

    def tell(self, state: str, words: str = "") -> None:
        status = Status(state, self.step, self.steps, words)
        self.run.set_status(status)
        self.log.status(status)
        say(self.conn, status)
        self.state, self.told = state, time.monotonic()

    def save(self) -> None:
        self.run.save_checkpoint(Checkpoint(self.step, {"w": np.full(3, self.step, np.float32)}, {}))

    def go(self) -> None:
        self.tell(RUNNING)
        try:
            while self.step < self.steps:
                if not self.heed():
                    return
                if self.state == RUNNING or self.singles:
                    self.one()
            self.save()
            self.tell(FINISHED)
        except EOFError:  # the engine went away: the next one carries on
            self.save()

    def linger(self) -> None:
        """Stay after the last word until the test lets go."""
        while "lingers" in self.run.about()["name"] and not (self.run.path / "go").exists():
            time.sleep(0.01)

    def one(self) -> None:
        time.sleep(STEP)
        self.step += 1
        now = time.time()
        self.log.append([Event(self.step, "train/loss", 1 / self.step, now), Event(self.step, "lr", self.lr, now)])
        if self.step % 10 == 0:
            self.save()
            if self.frame:  # again and again, as a real one does: a question's frame may come in between
                self.run.write_frame(self.frame)
        if self.singles:
            self.singles -= 1
            self.tell(PAUSED)
        elif time.monotonic() - self.told > 0.1:
            self.tell(RUNNING)

    def heed(self) -> bool:
        wait = None if self.state == PAUSED and not self.singles else 0
        while self.conn.poll(wait):
            wait = 0
            command: Command = hear(self.conn)
            with (self.run.path / "heard").open("a") as heard:
                heard.write(f"{command.verb}\n")
            if command.verb in ("stop", "park"):
                self.save()
                self.tell(STOPPED if command.verb == "stop" else PAUSED)
                self.linger()
                return False
            if command.verb == "set":
                self.lr = command.values.get("lr", self.lr)
            elif command.verb == "watch":
                self.frame = repr(command.values).encode()
                self.run.write_frame(self.frame)
            elif command.verb == "unwatch":
                self.frame = b""
                self.run.write_frame(b"unwatched")
            elif command.verb == "step":
                self.singles += 1
            else:
                self.tell(PAUSED if command.verb == "pause" else RUNNING)
        return True


def answer(question: Any, send: Any) -> Any:
    if isinstance(question, Refresh):
        time.sleep(0.1)
        Store(question.runs).run(question.run).write_frame(f"{question.sample} {question.layer}".encode())
        return None
    if isinstance(question, Sound):
        return "train-images is not whole." if question.folder == "broken" else ""
    if isinstance(question, Doctor):
        return {"pid": os.getpid()}
    if isinstance(question, Describe):
        return _ANSWERS[question.batch_size](send)
    return registry.load(question.handler)(question, send)  # as a real one does


def _parts(send: Any) -> Any:
    for i in range(3):
        send((i + 1) / 4, f"picture {i}", np.arange(i + 1))
    return Description(1, 2, (), ())


def _endless(send: Any) -> Any:
    while True:
        time.sleep(0.01)
        send(0.5, "on and on")


def _deaf(_send: Any) -> Any:
    time.sleep(60)


def _torch_error(_send: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Try a smaller batch.")


def _torch_value(_send: Any) -> Any:
    import torch

    return {"weights": torch.zeros(2)}


def _dies(_send: Any) -> Any:
    os._exit(7)


_ANSWERS = {1: _parts, 2: _endless, 3: _deaf, 4: _torch_error, 5: _torch_value, 6: _dies}
