"""The program that makes an attribution again: it runs as it stands, without LayerLab, and gives the very map."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from core import cli
from core.spec import registry
from core.spec.questions import Explain, Reproduction
from core.spec.specs import Choice
from core.store import write_npz
from core.worker.explain import explain, reproduction
from core.worker.look.subject import CannotShow
from tests.trained import Trained
from tests.worker.explain.conftest import choice

RUNS = [
    ("cnn", "digits", "predicted"),
    ("vit", "digits", "3-5"),
    ("lstm", "digits", "true"),
    ("mlp", "points", "0"),
    ("transformer", "reviews", "predicted"),
    ("gru", "adding", "predicted"),
    ("gru", "copy", "predicted@4"),
]
QUIET = {"data.samples": 200}


def difference(said: str) -> float:
    """What the program prints."""
    found = re.search(r"largest difference from the stored map: (\S+) ", said)
    assert found, said
    return float(found[1])


def ran(made: Reproduction, folder: Path) -> float:
    """Run the program in this process; how far its map is from the stored one."""
    write_npz(folder / "attribution.npz", made.arrays)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(made.program, "program", "exec"), {"__file__": str(folder / "program.py"), "__name__": "other"})
    return difference(said.getvalue())


def quiet(_fraction: float, _words: str, _part: object = None) -> None:
    """Nobody waits."""


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency"])
@pytest.mark.parametrize(("preset", "data", "target"), RUNS, ids=[f"{p}-{d}" for p, d, _t in RUNS])
@pytest.mark.slow_for("vit", "gru")
def test_it_gives_the_very_map(
    preset: str, data: str, target: str, method: str, trained: Trained, tmp_path: Path
) -> None:
    changes = {} if data == "digits" else QUIET
    run = trained(preset, data, steps=8, **changes)
    asked = Explain(run=run.id, methods=(choice(method),), sample=1, target=target, seed=5, runs=str(run.path.parent))
    made = reproduction(asked, quiet)
    assert ran(made, tmp_path) <= 2e-4 * float(np.abs(made.arrays["attribution"]).max())


@pytest.mark.each_value
@pytest.mark.parametrize(("preset", "data"), [("transformer", "order"), ("cnn", "digits")])
@pytest.mark.parametrize("method", registry.METHODS.names())
def test_so_it_does_for_every_method_of_tokens_and_of_a_picture(
    preset: str, data: str, method: str, trained: Trained, tmp_path: Path
) -> None:
    run = trained(preset, data, steps=40)
    entry = registry.METHODS.get(method)
    for layer in ("", "embedding") if entry.family in ("layer", "neuron") and data == "order" else ("",):
        chosen = Choice(method, entry.examples[0])
        asked = Explain(run=run.id, methods=(chosen,), sample=1, layer=layer, seed=5, runs=str(run.path.parent))
        if explain(asked, quiet)[0].withheld:
            continue
        made = reproduction(asked, quiet)
        largest = float(np.abs(made.arrays["attribution"]).max())
        assert ran(made, tmp_path) <= max(2e-4 * largest, 1e-7), (method, layer)


@pytest.mark.slow
@pytest.mark.usefixtures("answered_here")
def test_the_command_line_writes_one_that_runs_by_itself(trained: Trained, tmp_path: Path) -> None:
    run = trained("transformer", "order", steps=8)
    program = tmp_path / "why.py"
    words = ["--runs", str(run.path.parent), "--method", "integrated_gradients", "--script", str(program), "--json"]
    assert cli.main(["explain", run.id, *words]) == 0
    assert "core" not in re.findall(r"^(?:from|import) (\w+)", program.read_text(), re.M)
    said = subprocess.run([sys.executable, "-I", "why.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert difference(said.stdout) < 1e-4


def test_what_cannot_be_had_has_no_program(trained: Trained) -> None:
    run = trained("mlp", "points", steps=8)
    baseline = choice("integrated_gradients", baseline="sample", baseline_sample=999_999)
    asked = Explain(run=run.id, methods=(baseline,), sample=1, runs=str(run.path.parent))
    with pytest.raises(CannotShow, match="the test set has 0 to"):
        reproduction(asked, quiet)
