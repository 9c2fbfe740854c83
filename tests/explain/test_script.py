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
from core.explain import reproduction
from core.questions import Explain
from core.store import write_npz
from core.subject import CannotShow
from tests.explain.conftest import Trained, choice

RUNS = [
    ("cnn", "digits", "predicted"), ("vit", "digits", "3-5"), ("lstm", "digits", "true"), ("mlp", "points", "0"),
    ("transformer", "reviews", "predicted"), ("gru", "adding", "predicted"), ("gru", "copy", "predicted@4"),
]  # fmt: skip
QUIET = {"data.samples": 200}


def difference(said: str) -> float:
    """What the program prints."""
    found = re.search(r"largest difference from the stored map: (\S+) ", said)
    assert found, said
    return float(found[1])


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency"])
@pytest.mark.parametrize(("preset", "data", "target"), RUNS, ids=[f"{p}-{d}" for p, d, _t in RUNS])
def test_it_gives_the_very_map(
    preset: str, data: str, target: str, method: str, trained: Trained, tmp_path: Path
) -> None:
    changes = {} if data == "digits" else QUIET
    run = trained(preset, data, steps=8, **changes)
    asked = Explain(run.id, (choice(method),), 1, target, seed=5, runs=str(run.path.parent))
    made = reproduction(asked, lambda _fraction, _words, _part=None: None)
    write_npz(tmp_path / "attribution.npz", made.arrays)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(made.program, "program", "exec"), {"__file__": str(tmp_path / "program.py"), "__name__": "other"})
    assert difference(said.getvalue()) <= 2e-4 * float(np.abs(made.arrays["attribution"]).max())


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
    asked = Explain(run.id, (baseline,), 1, runs=str(run.path.parent))
    with pytest.raises(CannotShow, match="the test set has 0 to"):
        reproduction(asked, lambda _fraction, _words, _part=None: None)
