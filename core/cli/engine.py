"""The engine as a command meets it: the one that holds the runs folder, else one for the time of the command."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.cli.output import Failure, runs_folder, say
from core.engine.protocol import EngineError, EngineGone, EngineSilent
from core.spec.question_base import Question
from core.spec.sentences import Sentence
from core.store import Store

if TYPE_CHECKING:
    from core.engine.client import ClientEngine

A = TypeVar("A")
SHORTEST, LONGEST = 0.01, 0.1  # seconds between two looks at how far a question is


def connect(runs: Path, *, start: bool = True) -> ClientEngine:
    """See core.engine.client.connect."""
    from core.engine import client  # with numpy: a mistake is told before that

    return client.connect(runs, start=start)


@contextmanager
def engine_of(asked: argparse.Namespace) -> Iterator[ClientEngine]:
    """Joined or begun; one that was begun ends with the command."""
    engine = connect(Store(runs_folder(asked)).root)
    try:
        yield engine
    finally:
        engine.close()


def ask(engine: ClientEngine, question: Question[A], tell: Callable[[str], None]) -> A:
    """Wait for the answer; `tell` hears how far it is. Ctrl-C gives the question up. EngineError in words; Failure
    where the worker met an error that nobody expected.

    The engine may end meanwhile, because it belonged to another command: then the next one is asked.
    """
    ticket, pid, parts, silent, told, pause = "", 0, 0, "", "", SHORTEST
    try:
        while True:
            try:
                if not ticket:
                    ticket, pid, parts = engine.submit(question), engine.pid, 0
                progress = engine.poll(ticket, parts)
            except EngineGone:
                told = found_again(engine, told)
                ticket = ticket if engine.pid == pid else ""
                continue
            if progress.parts:  # what came with a part is its title
                parts, silent = parts + len(progress.parts), progress.words
            if progress.words not in ("", silent):
                tell(progress.words)
            if progress.done:
                ticket = ""
                break
            time.sleep(pause)
            pause = min(1.2 * pause, LONGEST)
    finally:
        if ticket:
            with suppress(EngineError):
                engine.cancel(ticket)
    if progress.error:
        raise (Failure if progress.unforeseen else EngineError)(progress.error)
    answer: A = progress.answer
    return answer


def found_again(engine: ClientEngine, told: str) -> str:
    """Join or start the engine anew; one that hangs is told and waited for. What was told last."""
    try:
        engine.ensure()
        return ""
    except EngineSilent as error:
        if not told.startswith("layerlab:"):
            told = Sentence("layerlab: {error}", error=error)
            say(told, file=sys.stderr)
        time.sleep(0.5)
        return told
