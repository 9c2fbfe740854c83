"""`explain` on the command line: the map in a file, its proof in one JSON object, or one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core import cli
from core.spec import registry
from core.store import Run
from tests.trained import Trained

pytestmark = pytest.mark.usefixtures("answered_here")


@pytest.fixture
def run(trained: Trained) -> Run:
    return trained("cnn", "digits", steps=40)


def called(capsys: pytest.CaptureFixture[str], run: Run, *words: str) -> tuple[int, str, str]:
    code = cli.main(["explain", run.id, "--runs", str(run.path.parent), *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_map_is_written_in_the_inputs_shape_with_its_proof(
    capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "a.npz"
    words = ["--method", "integrated_gradients", "--sample", "3", "--out", str(out), "--json"]
    code, said, _err = called(capsys, run, *words)
    told = json.loads(said)
    assert code == 0 and told["holds"] is True and told["gap"] <= 0.01
    assert {"method", "target", "delta", "gap", "cost", "seconds", "seed", "holds"} <= told.keys()
    with np.load(out) as found:
        assert found["attribution"].shape == found["x"].shape == found["baseline"].shape == (1, 28, 28)
        assert found["attribution"].sum() == pytest.approx(told["delta"] + told["expected"], abs=1e-4)


def test_of_tokens_there_is_one_value_each(
    capsys: pytest.CaptureFixture[str], trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "a.npz"
    code, _said, _err = called(
        capsys, trained("transformer", "order", steps=40), "--method", "saliency", "--out", str(out), "--json"
    )
    with np.load(out) as found:
        assert code == 0 and found["attribution"].shape == (16,) and found["x"].ndim == 2


def test_a_map_of_rounding_says_so_in_words_and_in_json(
    capsys: pytest.CaptureFixture[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, _err = called(capsys, run, "--method", "saliency", "--sample", "7", "--json")
    told = json.loads(said)
    assert code == 0 and told["rounding"] == "" and told["signed"] is False
    monkeypatch.setattr("core.worker.explain.rounding.rounding", lambda *_given: "This map is rounding.")
    code, said, _err = called(capsys, run, "--method", "saliency", "--sample", "8", "--json")
    told = json.loads(said)
    assert code == 0 and told["rounding"] == "This map is rounding." and told["rounding"] in told["words"]
    code, said, _err = called(capsys, run, "--method", "saliency", "--sample", "8")
    assert code == 0 and "this map is only rounding" in said and "This map is rounding." in said


def test_the_spread_over_seeds_is_told_and_written(
    capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "a.npz"
    words = ["--method", "smooth_grad", "--set", "samples=2", "--seeds", "3", "--out", str(out)]
    code, said, _err = called(capsys, run, *words, "--json")
    told = json.loads(said)["spread"]
    assert code == 0 and told["seeds"] == [0, 1, 2] and 0 < told["overlap"] <= 1 and told["deviation"] > 0
    with np.load(out) as found:
        assert found["deviation"].shape == found["attribution"].shape and found["deviation"].any()
    code, said, _err = called(capsys, run, *words)
    assert code == 0 and "mean over 3 seeds" in said
    code, _said, err = called(capsys, run, "--method", "smooth_grad", "--seeds", "0")
    assert code == 2 and "seeds = 0 is out of range: it must be between 1 and 50" in err


def test_the_list_says_of_every_method_whether_it_is_right_here(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    code, said, _err = called(capsys, run, "--method", "list", "--json")
    rows = json.loads(said)["methods"]
    assert code == 0 and [row["method"] for row in rows] == registry.METHODS.names()
    assert all(row["reason"] for row in rows if row["status"] != "ready")
    prices = {row["method"]: (row["cost"], row["cost_most"]) for row in rows}  # before anything is run
    assert prices["saliency"] == (1, 1) and prices["integrated_gradients"] == prices["untrained"] == (34, 2002)
    code, said, _err = called(capsys, run, "--method", "list")
    assert code == 0 and len(said.splitlines()) == len(rows) and "34 to 2,002 passes" in said


def test_the_layer_is_named_and_one_that_the_method_does_not_offer_is_not_replaced_in_silence(
    capsys: pytest.CaptureFixture[str], run: Run
) -> None:
    _code, said, _err = called(capsys, run, "--method", "list", "--json")
    offered = {row["method"]: row["layers"] for row in json.loads(said)["methods"]}
    assert "relu1" in offered["grad_cam"] and "head" not in offered["grad_cam"] and offered["saliency"] == []
    told = {}
    for method, layer in (("grad_cam", "relu1"), ("grad_cam", "head"), ("grad_cam", "nope"), ("saliency", "relu1")):
        code, said, _err = called(capsys, run, "--method", method, "--layer", layer, "--json")
        assert code == 0
        told[method, layer] = json.loads(said)
    assert told["grad_cam", "relu1"]["layer"] == "relu1" and "offer" not in told["grad_cam", "relu1"]["words"]
    for layer in ("head", "nope"):
        kept = told["grad_cam", layer]
        assert kept["layer"] == offered["grad_cam"][0]
        assert f"does not offer the layer {layer}" in kept["words"] and kept["layer"] in kept["words"]
    assert told["saliency", "relu1"]["layer"] == "" and "by no layer" in told["saliency", "relu1"]["words"]
    assert "layer pool2" in called(capsys, run, "--method", "grad_cam")[1]


def test_for_people(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    code, said, _err = called(capsys, run, "--method", "integrated_gradients", "--target", "3-5")
    assert code == 0 and "why “3” and not “5”: its own check holds" in said


def test_seeds_and_options_are_taken(capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path) -> None:
    maps = []
    for seed in ("1", "1", "2"):
        out = tmp_path / f"{len(maps)}.npz"
        code, _said, _err = called(capsys, run, "--method", "random", "--seed", seed, "--out", str(out))
        with np.load(out) as found:
            maps.append(found["attribution"])
        assert code == 0
    assert np.array_equal(maps[0], maps[1]) and not np.array_equal(maps[0], maps[2])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "salience"], "Did you mean “saliency”?"),
        (["--method", "integrated_gradients", "--set", "speed=1"], "There is no option"),
        (["--method", "integrated_gradients", "--set", "steps=10000"], "between 8 and 2,000"),
        (["--method", "integrated_gradients", "--set", "baseline=white"], "must be one of"),
        (["--method", "integrated_gradients", "--set", "baseline=sample", "baseline_sample=99999"], "has 0 to"),
        (["--method", "saliency", "--target", "10"], "there are 0 to 9"),
        (["--method", "saliency", "--target", "the best"], "predicted or true"),
        (["--method", "saliency", "--out", "a.png"], "should end with .npz"),
        (["--method", "smooth_grad", "--seed", "-1"], "seed = -1 is out of range"),
        (["--method", "integrated_gradients", "--set", "baseline=noise", "--seed", str(2**70)], "is out of range"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], run: Run, words: list[str], told: str) -> None:
    code, said, err = called(capsys, run, *words)
    assert (code, said) == (2, "")
    assert told in err and err.count("\n") == 1


def test_a_run_without_kept_weights_is_one_line(capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path) -> None:
    from core.store import Store

    empty = Store(tmp_path).create(run.experiment())
    code, said, err = called(capsys, empty, "--method", "saliency")
    assert (code, said) == (2, "") and "keeps no weights" in err and err.count("\n") == 1
