"""Ways to hurt a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.walls import ROOT


@pytest.fixture
def kill_writers() -> Callable[[str, Path, int], list[int]]:
    """kill_writers("log" | "checkpoint", folder, kills): see killed_writer.py."""

    def kill(what: str, folder: Path, kills: int) -> list[int]:
        script = Path(__file__).with_name("killed_writer.py")
        done = subprocess.run(
            [sys.executable, str(script), what, str(folder), str(kills)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        steps: list[int] = json.loads(done.stdout)
        return steps

    return kill
