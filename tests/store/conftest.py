"""Ways to hurt a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.walls import ROOT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB; where it may not be mounted, the tests with a faked short write stand alone."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def kill_writers() -> Callable[[str, Path, int], list[int]]:
    """kill_writers("log" | "checkpoint", folder, kills): see killed_writer.py."""

    def kill(what: str, folder: Path, kills: int) -> list[int]:
        script = Path(__file__).with_name("killed_writer.py")
        done = subprocess.run(
            [sys.executable, str(script), what, str(folder), str(kills)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        steps: list[int] = json.loads(done.stdout)
        return steps

    return kill
