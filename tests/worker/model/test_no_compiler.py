"""A worker never loads torch's compiler; whoever wants it has it all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.walls import ROOT

TRAINED = """
import sys
from core.spec.specs import assign, preset
from core.worker import answers, session
from core.worker.train.training import Training
for name in ("adam", "muon"):
    for _happened in Training(assign(preset("mlp", "points"), {"train.steps": 2, "train.optimizer": name})): pass
assert not any(name.startswith(("torch._dynamo.", "torch._inductor")) for name in sys.modules)
"""
WANTED = """
import torch._dynamo
assert torch._dynamo.is_compiling() is False  # by the real module
import torch._dynamo.config
assert torch._dynamo.explain and sys.modules["torch._dynamo"] is torch._dynamo
for _happened in Training(assign(preset("mlp", "points"), {"train.steps": 2})): pass
"""


@pytest.mark.parametrize(
    "program", [TRAINED, pytest.param(TRAINED + WANTED, marks=pytest.mark.slow)], ids=["not", "had"]
)
def test_the_compiler_is_left_out_until_it_is_wanted(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
