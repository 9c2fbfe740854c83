"""`score` on the command line: one JSON object, a table in a file, or one clear line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core.catalog.trials import CHEAT, CLEAN
from core.spec.questions import Score
from core.store.scores import kept_scores
from core.worker import answers

SMALL: dict[str, Any] = {"samples": 2, "seeds": 2, "methods": ("random", "occlusion", "saliency", "input_x_gradient")}


pytestmark = pytest.mark.usefixtures("trained_trials", "answered_here")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command with fewer methods and samples."""
    whole = answers.score
    monkeypatch.setattr(answers, "score", lambda asked, send: whole(Score(True, data=asked.data, **SMALL), send))


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["score", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.slow
def test_one_object_and_the_table(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, small: None) -> None:
    out = tmp_path / "marks.csv"
    code, said, _err = called(capsys, "--quick", "--data", CHEAT, CLEAN, "--out", str(out), "--json")
    told = json.loads(said)
    assert code == 0 and told["quick"] and told["seeds"] == 2 and {g["data"] for g in told["gates"]} == {CLEAN, CHEAT}
    assert {row["data"] for row in told["rows"]} == {CLEAN, CHEAT}
    for row in told["rows"]:
        for measure in ("hit", "mass", "auroc", "cue_hit", "cue_mass", "cue_auroc", "cost", "seconds"):
            assert set(row[measure]) == {"mean", "spread"}
    chance = {row["data"]: row for row in told["rows"] if row["method"] == "random"}
    assert chance[CLEAN]["control"] and abs(chance[CLEAN]["mass"]["mean"] - chance[CLEAN]["chance"]) < 0.06
    with out.open() as file:
        assert len(list(csv.DictReader(file))) == sum(row["samples"] for row in told["rows"])
    assert set(told["reveal"]) <= {"occlusion", "saliency", "input_x_gradient"} and "a look" in told["words"]
    assert kept_scores() == {}, "a part of the scoreboard is not kept for the page"


@pytest.mark.slow
def test_for_people(capsys: pytest.CaptureFixture[str], home: Path, small: None) -> None:
    code, said, err = called(capsys, "--quick", "--data", "planted")
    assert code == 0 and "planted" in said and "mass" in said and "control" in said and "seed 0" in said
    assert "LSTM, seed 1 of 2" in err and err.count("\n") < 10, "not a line for every step"


def test_a_table_that_cannot_be_written_is_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "score", lambda *_asked: pytest.fail("it began"))
    (folder := tmp_path / "marks.csv").mkdir()
    for out in (tmp_path / "nowhere" / "a.csv", tmp_path / "a" / ".." / "nowhere.csv", folder):
        code, said, err = called(capsys, "--out", str(out))
        assert (code, said) == (2, "") and "could not be written" in err and err.count("\n") == 1


def test_the_whole_scoreboard_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.catalog import trials
    from core.worker.explain.scoreboard import score as room

    monkeypatch.setattr(room, "trials_of", lambda _names: trials.TRIALS[2:3])
    monkeypatch.setattr(room, "_methods", lambda _names: [room.registry.METHODS.get("random")])
    made = answers.answer(Score(quick=True, samples=2), lambda _fraction, _words, _part=None: None)
    assert kept_scores()["quick"].rows == made.rows  # type: ignore[union-attr]
