"""One trainer in a process of its own, so that none profits or suffers from another's settings and leftovers.

`python -m core.bench.contestant CASE NAME`: reads how many steps to make, a line each, and answers with the
seconds that they took, until its input ends.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TextIO

import torch

from core.bench.loops import peer, peer_case
from core.bench.peers import PEERS, Peer, plain
from core.bench.turns import Stopwatch, machine_clock
from core.worker.session import keep_freed_memory

_ROOT = Path(__file__).resolve().parents[2]
OURS = "layerlab"


class ContestantError(Exception):
    """A trainer that could not go on, in its own words."""


class Contestant:
    """The other end: call it with a number of steps, get the seconds."""

    def __init__(self, case: str, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.bench.contestant", case, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=_ROOT,
        )

    def __call__(self, steps: int) -> float:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        except OSError:  # it has ended; its last words say why
            pass
        answer = self._process.stdout.readline().strip()
        try:
            return float(answer)
        except ValueError:
            raise ContestantError(answer or "it ended without a word") from None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class _Turns:
    """The meter that a loop ticks: waits, between turns, for the next number of steps."""

    def __init__(self, answers: TextIO, watch: Stopwatch) -> None:
        self._answers, self._clock, self._watch = answers, machine_clock(), watch
        self._left, self._started = 1, -1.0  # the first step, with all that is set up in it, is nobody's turn

    def tick(self) -> bool:
        """One step was made. True: leave the loop."""
        self._left -= 1
        if self._left > 0:
            return False
        if self._started >= 0:
            print(self._clock() - self._started, file=self._answers, flush=True)
        self._watch.stop()
        line = sys.stdin.readline()
        self._watch.go()
        self._left, self._started = int(line or 1), self._clock()
        return not line


def main(case_name: str, name: str) -> None:
    """Train until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a trainer prints is no answer
    torch.set_num_threads(1)
    keep_freed_memory()
    case = peer_case(case_name)
    watch = Stopwatch()
    loops: dict[str, Peer] = {OURS: partial(peer, clock=watch), "plain": plain, "plain again": plain, **PEERS}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about settings that are meant
            loops[name](case, case.module().to(device), case.batches(device), _Turns(answers, watch))
    except Exception as error:  # noqa: BLE001 (whatever a foreign package may raise)
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
