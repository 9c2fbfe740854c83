"""`look` on the command line: arrays in a file, one JSON object, or one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import cli
from core.spec.questions import Look, Seen
from core.store import Run
from core.worker import answers
from tests.trained import Trained

pytestmark = pytest.mark.usefixtures("answered_here")


@pytest.fixture
def run(trained: Trained) -> Run:
    return trained()


def called(capsys: pytest.CaptureFixture[str], run: Run, *words: str) -> tuple[int, str, str]:
    code = cli.main(["look", run.id, "--runs", str(run.path.parent), *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_arrays_are_written_by_layer_address(capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path) -> None:
    out = tmp_path / "f.npz"
    code, said, _err = called(capsys, run, "--view", "feature_maps", "--sample", "3", "--out", str(out), "--json")
    told = json.loads(said)
    assert code == 0 and told["view"] == "feature_maps" and told["step"] == 20
    with np.load(out) as found:
        assert found["conv1"].shape == (16, 28, 28)
        assert {name: list(found[name].shape) for name in found.files} == told["arrays"]


def test_for_people(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    code, said, _err = called(capsys, run, "--view", "feature_maps", "--step", "0")
    assert code == 0
    assert "Feature maps, step 0, sample 0" in said and "[16, 28, 28]" in said


def test_progress_is_not_repeated(
    capsys: pytest.CaptureFixture[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answers.look

    def told(question: Look, send: Callable[..., None]) -> Seen:
        for fraction, words in ((0.1, "row 1 of 2"), (0.4, "row 1 of 2"), (0.5, "row 2 of 2")):
            send(fraction, words)
        return whole(question, lambda *_told: None)

    monkeypatch.setattr(answers, "look", told)
    code, _said, err = called(capsys, run, "--view", "feature_maps")
    assert code == 0 and err == "row 1 of 2\nrow 2 of 2\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--view", "feature_map"], "Did you mean “feature_maps”?"),
        (["--view", "feature_maps", "--set", "speed=1"], "There is no option"),
        (["--view", "feature_maps", "--set", "by_strength=perhaps"], "by_strength must be"),
        (["--view", "feature_maps", "--out", "f.txt"], "should end with .npz"),
        (["--view", "feature_maps", "--out", "/nowhere/f.npz"], "/nowhere/f.npz"),
        (["--view", "feature_maps", "--out", f"{'long' * 99}/f.npz"], "could not be written"),
        (["--view", "attention"], "transformer"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], run: Run, words: list[str], told: str) -> None:
    code, said, err = called(capsys, run, *words)
    assert (code, said) == (2, "")
    assert told in err and err.count("\n") == 1


def test_an_unknown_run_is_one_line(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    code = cli.main(["look", "0123abcd", "--view", "feature_maps", "--runs", str(run.path.parent)])
    assert code == 2 and "There is no run" in capsys.readouterr().err
