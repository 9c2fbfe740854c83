"""Whatever is typed, whatever a runs folder holds: one line, exit code 2, no character that a terminal obeys."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import cli
from core.cli import runs
from core.engine.protocol import EngineError
from core.spec import specs
from core.spec.events import FINISHED, Event, Status
from core.store import Run, Store
from tests.hostile import ACTING, BROKEN, experiment

TYPED = [text for text in (*ACTING, *BROKEN) if "\x00" not in text and text[0] != "-"]  # no argument holds a NUL
PLACES = {  # every place of the command line that takes a text; {} is where it goes
    "command": ["{}"],
    "flag": ["runs", "--{}"],
    "preset": ["describe", "--preset", "{}"],
    "data": ["describe", "--preset", "cnn", "--data", "{}"],
    "set": ["describe", "--preset", "cnn", "--set", "{}"],
    "set a name": ["describe", "--preset", "cnn", "--set", "train.{}=1"],
    "set a number": ["describe", "--preset", "cnn", "--set", "train.lr={}"],
    "set a choice": ["describe", "--preset", "cnn", "--set", "train.optimizer={}"],
    "input": ["describe", "--preset", "cnn", "--input", "{}"],
    "classes": ["describe", "--preset", "cnn", "--classes", "{}"],
    "experiment": ["train", "--experiment", "{}"],
    "model": ["describe", "--model", "{}"],
    "resume": ["train", "--resume", "{}"],
    "steps": ["train", "--preset", "cnn", "--steps", "{}"],
    "run": ["control", "{}", "pause"],
    "verb": ["control", "RUN", "{}"],
    "value": ["control", "RUN", "set", "lr={}"],
    "view": ["look", "RUN", "--view", "{}"],
    "method": ["explain", "RUN", "--method", "{}"],
    "option": ["look", "RUN", "--view", "attention", "--set", "{}=1"],
    "delete": ["delete", "{}"],
    "out": ["look", "RUN", "--view", "attention", "--out", "{}.npz"],
    "score": ["score", "--run", "{}"],
}
ALLOWED = {  # what is no mistake there
    ("classes", "٣"),
    ("steps", "٣"),
    ("out", "x" * 5000),
    ("input", "٣"),
    ("input", "9" * 30),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered_here: None) -> Iterator[Run]:
    """A finished run in a home of its own; no engine is begun for a mistake."""
    monkeypatch.setenv("LAYERLAB_HOME", str(tmp_path))
    monkeypatch.delenv("LAYERLAB_RUNS", raising=False)

    def none(*_args: object, **_more: object) -> None:
        raise EngineError("no engine here")

    monkeypatch.setattr("core.cli.runs.connect", none)
    store = Store(tmp_path / "runs")
    made = store.create(specs.preset("cnn", "digits"), "mine")
    log = made.log()
    log.append([Event(1, "train/loss", 0.5, 1.0)])
    log.close()
    made.set_status(Status(FINISHED, 1, 1))
    yield made


def _obeyed(text: str) -> list[str]:
    """Characters that a terminal would obey, line ends aside."""
    return [c for c in text if c not in "\n\t\u200c\u200d" and not c.isprintable() and c != "\ufeff"]


@pytest.mark.parametrize("place", PLACES)
def test_every_mistake_is_one_line_with_exit_code_2(capsys, run: Run, place: str) -> None:
    for text in TYPED:
        code = cli.main([word.replace("RUN", run.id).replace("{}", text) for word in PLACES[place]])
        out, err = capsys.readouterr()
        told = (place, text[:60], err[:300])
        assert "Traceback" not in err and "our fault" not in err, told
        assert not _obeyed(out + err), told
        if (place, text) not in ALLOWED and not (place.startswith("set a") and code == 0):
            assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("layerlab: "), told
            assert len(err) < 2500, told


@pytest.mark.parametrize("text", [*ACTING, *BROKEN], ids=lambda text: ascii(text)[:24])
def test_a_file_is_answered_in_one_line(capsys, tmp_path: Path, run: Run, text: str) -> None:
    file = tmp_path / "experiment.json"
    for data in (experiment(text), text.encode("utf-8", "surrogatepass")):
        file.write_bytes(data)
        for words in (["train", "--experiment", str(file)], ["describe", "--model", str(file)]):
            code = cli.main(words)
            out, err = capsys.readouterr()
            assert (code, out, err.count("\n"), _obeyed(err)) == (2, "", 1, []), err[:300]


def test_names_of_runs_do_not_move_the_cursor(capsys, run: Run) -> None:
    about = run.about()
    for name in (*ACTING, *BROKEN):
        (run.path / "about.json").write_text(json.dumps(about | {"name": name}))
        (run.path / "status.json").write_text(
            json.dumps({"state": "failed", "step": 1, "steps": 2, "words": name, "layer": name})
        )
        assert cli.main(["runs"]) == 0
        out, _err = capsys.readouterr()
        assert not _obeyed(out) and out.count("\n") == 1, out
        assert cli.main(["runs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["runs"][0]["run"] == run.id


def test_a_terminal_that_knows_few_letters_gets_the_others_written_out(monkeypatch, run: Run) -> None:
    """Python would raise UnicodeEncodeError."""
    import io

    from core.cli.output import say

    out = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    say("é \udcff 日")
    assert out.buffer.getvalue() == b"\\xe9 \\udcff \\u65e5\n"


def test_a_damaged_run_is_listed_with_its_reason_and_deleted(capsys, run: Run) -> None:
    sound = Store(run.path.parent).create(specs.preset("cnn", "digits"), "sound")
    (run.path / "about.json").write_bytes(b"\xff")
    assert cli.main(["runs"]) == 0
    out, _err = capsys.readouterr()
    assert "damaged" in out and "about.json cannot be read" in out and "sound" in out
    assert cli.main(["delete", run.id]) == 0
    assert [one.id for one in Store(run.path.parent).runs()] == [sound.id]
    assert cli.main(["delete", run.id]) == 2


def test_an_error_that_nobody_expected_is_one_line_and_keeps_its_details(capsys, monkeypatch, run: Run) -> None:
    def fail(_asked: object) -> int:
        raise ZeroDivisionError("a\x1b[2J")

    monkeypatch.setattr(runs, "do_runs", fail)
    assert cli.main(["runs"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "our fault: ZeroDivisionError" in err and not _obeyed(err)
    kept = run.path.parents[1] / "logs" / "command-failure.txt"
    assert str(kept) in err and "ZeroDivisionError" in kept.read_text()
