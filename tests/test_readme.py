"""What the README promises can be run as it stands."""

from __future__ import annotations

import ast
import contextlib
import io
import re

import pytest

import core
from core import cli
from tests.walls import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_notebook_example_runs_and_is_about_ten_lines():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {})
    assert "val" not in said.getvalue().splitlines()[0]
    assert float(said.getvalue().splitlines()[0].split()[1]) >= 0.0
    assert "(conv1): Conv2d" in said.getvalue()


def test_every_command_of_the_readme_exists():
    named = set(re.findall(r"^layerlab (\w+)", README, re.MULTILINE))
    offered = set(cli.parser()._subparsers._group_actions[0].choices)
    assert named == offered


def test_every_file_the_readme_shows_is_there():
    for name in re.findall(r"\]\((assets/[^)]+)\)", README):
        assert (ROOT / name).is_file(), name


def test_what_core_offers_to_a_notebook_is_there():
    for name in core.__all__:
        assert getattr(core, name) is not None
    tree = ast.parse((ROOT / "core" / "__init__.py").read_text())
    assert not [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) and "torch" in ast.dump(n)]
