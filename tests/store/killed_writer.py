"""Run by test_log.py and test_runs.py: writers that are killed in the middle of their work.

    python killed_writer.py log FOLDER KILLS         prints one JSON list: the steps whose append returned
    python killed_writer.py checkpoint FOLDER KILLS  prints one JSON list: after each kill, the step that loads

The writers are forked by a small process of their own, so that fifty of them cost little.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.spec.events import Event
from core.store import Checkpoint, EventLog, Run, read_rows

LONG = [f"grad_norm/layer{i}" for i in range(300)]  # now and then a row long enough to be torn


def append_rows(folder: Path, acknowledge: Callable[[int], None]) -> None:
    """Append rows for ever; a step is acknowledged when its append has returned."""
    log = EventLog(folder / "events.jsonl")
    step = max((event.step for event in read_rows(log.path)), default=-1) + 1
    while True:
        names = LONG if step % 20 == 9 else ["train/loss", "lr"]
        log.append([Event(step, name, step + 0.5, 1.0) for name in ("train/loss", *names)])
        acknowledge(step)
        step += 1


def save_checkpoints(folder: Path, acknowledge: Callable[[int], None]) -> None:
    """Save checkpoints for ever, each filled with its own step."""
    run = Run("0" * 32, folder)
    found = run.load_checkpoint()
    step = found.step + 1 if found else 0
    while True:
        run.save_checkpoint(Checkpoint(step, {"weight": np.full(500_000, step)}, {"lr": 0.1}))
        acknowledge(step)
        step += 1


def killed(work: Callable[[Path, Callable[[int], None]], None], folder: Path, seconds: float) -> list[int]:
    """Let a child do `work` and kill it `seconds` after its first acknowledgement; the steps that it acknowledged.

    Negative: that long after its start.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work(folder, lambda step: (os.write(writer, f"{step}\n".encode()), None)[1])
        finally:
            os._exit(1)
    os.close(writer)
    if seconds > 0:  # after it has begun; otherwise at once, in the middle of opening
        select.select([reader], [], [], 10)
    time.sleep(abs(seconds))
    os.kill(child, signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the writer ended by itself")
    with os.fdopen(reader) as pipe:
        return [int(line) for line in pipe.read().split()]


def main(what: str, folder: Path, kills: int) -> list[int]:
    """The steps of a log that were acknowledged, or the step that loads after each kill of a checkpoint's writer."""
    chance = random.Random(1)
    steps: list[int] = []
    for _kill in range(kills):
        seconds = chance.uniform(-0.01, 0.015)
        if what == "log":
            steps += killed(append_rows, folder, seconds)
            continue
        acknowledged = killed(save_checkpoints, folder, seconds)
        found = Run("0" * 32, folder).load_checkpoint()
        if found is None:
            if acknowledged:
                raise RuntimeError("an acknowledged checkpoint is gone")
            continue
        if (found.arrays["weight"] != found.step).any() or found.step < max(acknowledged, default=0):
            raise RuntimeError(f"step {found.step} loads, and {acknowledged} were acknowledged")
        steps.append(found.step)
    return steps


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
