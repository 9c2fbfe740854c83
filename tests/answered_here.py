"""An engine that answers in this process, for commands whose engine is not what is tested: nothing has to begin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine import wire
from core.engine.protocol import EngineError, Progress
from core.spec.question_base import Question
from core.worker import answers


class EngineHere:
    """What core.engine.client.connect gives. Questions and answers cross the wire; every progress is seen once."""

    pid, owned = 1, False

    def __init__(self, runs: Path | str, **_options: object) -> None:
        self._runs = str(Path(runs).resolve())
        self._tickets: dict[str, Iterator[Progress]] = {}
        self.asked: list[Question[Any]] = []
        self.cancelled: list[str] = []

    def submit(self, question: Question[Any]) -> str:
        """Answer it at once, and keep what was told meanwhile."""
        self.asked.append(question)
        heard = wire.loads(wire.dumps(question.placed(self._runs)))
        told: list[Progress] = []

        def send(fraction: float, words: str, part: Any = None) -> None:
            told.append(Progress(False, fraction, words, () if part is None else (part,)))

        try:
            answer, error, unforeseen = wire.loads(wire.dumps(answers.answer(heard, send))), "", False
        except Exception as caught:  # noqa: BLE001 (as a worker tells it)
            unforeseen = not type(caught).__module__.startswith("core.")
            answer, error = None, wire.words(caught)
        last = told[-1].words if told else ""
        self._tickets[str(len(self.asked))] = iter([*told, Progress(True, 1.0, last, (), answer, error, unforeseen)])
        return str(len(self.asked))

    def poll(self, ticket: str, _since: int = 0) -> Progress:
        """The next thing that was told."""
        return next(self._tickets[ticket])

    def cancel(self, ticket: str) -> None:
        """Give it up."""
        self.cancelled.append(ticket)

    def start(self, *_asked: object, **_more: object) -> str:
        """Nobody trains here."""
        raise EngineError("no engine here")

    def command(self, *_asked: object) -> None:
        """Nobody trains here."""
        raise EngineError("no engine here")

    def close(self) -> None:
        """Nothing was begun."""
        self._tickets.clear()
