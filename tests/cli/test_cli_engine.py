"""How a command asks its engine: progress is told, Ctrl-C gives the question up, an engine that ends is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core.cli import engine as commands
from core.engine.protocol import EngineError, EngineGone, EngineSilent, Progress
from core.spec.questions import Doctor


class Scripted:
    """An engine that goes through a script: progress to give, or errors to raise."""

    owned = False

    def __init__(self, *script: Progress | BaseException) -> None:
        self.script, self.pid = iter(script), 1
        self.asked: list[Any] = []
        self.cancelled: list[str] = []
        self.closed = False

    def submit(self, question: Any) -> str:
        self.asked.append(question)
        return f"ticket {len(self.asked)}"

    def poll(self, _ticket: str, _since: int = 0) -> Progress:
        said = next(self.script)
        if isinstance(said, BaseException):
            raise said
        return said

    def ensure(self) -> bool:
        self.pid += 1
        return True

    def cancel(self, ticket: str) -> None:
        self.cancelled.append(ticket)

    def close(self) -> None:
        self.closed = True


def under_way(words: str, *parts: object) -> Progress:
    return Progress(False, 0.5, words, parts)


def done(answer: object = None, error: str = "", words: str = "") -> Progress:
    return Progress(True, 1.0, words, (), answer, error)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: None)
    yield


def test_progress_is_told_and_the_titles_of_parts_are_not() -> None:
    told: list[str] = []
    engine = Scripted(under_way(""), under_way("one"), under_way("Saliency", 1), under_way("Saliency"), done({"a": 1}))
    assert commands.ask(engine, Doctor(), told.append) == {"a": 1}  # type: ignore[arg-type]
    assert told == ["one"] and engine.cancelled == []


def test_a_question_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(EngineError, match="no such layer"):
        commands.ask(Scripted(done(error="no such layer")), Doctor(), print)  # type: ignore[arg-type]


def test_another_engine_is_asked_when_the_first_one_ends() -> None:
    engine = Scripted(under_way("one"), EngineGone("gone"), done({"a": 1}))
    assert commands.ask(engine, Doctor(), print) == {"a": 1}  # type: ignore[arg-type]
    assert engine.asked == [Doctor(), Doctor()] and engine.cancelled == []


def test_an_engine_that_hangs_is_told_once_and_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = EngineSilent(3, 7)
    engine = Scripted(hangs, hangs, done({"a": 1}))
    monkeypatch.setattr(engine, "ensure", lambda: (_ for _ in ()).throw(hangs))
    assert commands.ask(engine, Doctor(), print) == {"a": 1}  # type: ignore[arg-type]
    assert engine.asked == [Doctor()] and capsys.readouterr().err.count("process 7") == 1


def test_ctrl_c_gives_the_question_up_and_lets_the_engine_go(
    monkeypatch: pytest.MonkeyPatch, home: object, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Scripted(under_way("one"), KeyboardInterrupt())
    monkeypatch.setattr("core.engine.client.connect", lambda _runs, **_more: engine)
    assert cli.main(["describe", "--preset", "mlp"]) == 130
    assert engine.cancelled == ["ticket 1"] and engine.closed
    assert capsys.readouterr() == ("", "one\n")


def test_an_error_that_no_worker_expected_is_our_fault(
    monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Scripted(Progress(True, 1.0, "", (), None, "ZeroDivisionError: by zero", unforeseen=True))
    monkeypatch.setattr("core.engine.client.connect", lambda _runs, **_more: engine)
    assert cli.main(["describe", "--preset", "mlp"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "our fault: ZeroDivisionError: by zero. Details" in err
    assert "by zero" in (home / "logs" / "command-failure.txt").read_text()


def test_the_doctor_says_that_no_engine_begins(
    monkeypatch: pytest.MonkeyPatch, home: object, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_runs: object, **_more: object) -> None:
        raise EngineError("The engine could not begin: no torch.")

    monkeypatch.setattr("core.engine.client.connect", none)
    assert cli.main(["doctor"]) == 0
    assert "The engine could not begin: no torch." in capsys.readouterr().out
