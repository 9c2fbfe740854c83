"""What every test may ask for."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.store import Store

ROOT = Path(__file__).resolve().parent.parent


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What needs a GPU is left out where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests compute on one thread: results do not depend on the machine, and tests may run side by side."""
    import torch  # here, after the options of the command line have been read

    torch.set_num_threads(1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty LayerLab home of the test's own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("LAYERLAB_HOME", str(folder))
    return folder


@pytest.fixture
def store(home: Path) -> Store:
    """An empty folder of runs."""
    return Store(home / "runs")


@pytest.fixture(scope="session")
def data_dir() -> Path | None:
    """The folder with the real data sets: $LAYERLAB_DATA, or shared/data beside the checkout; None without one."""
    for folder in (os.environ.get("LAYERLAB_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    return None


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Small trained runs to look at, shared with the other pytest processes of this session."""
    from tests.trained import TrainedRuns  # torch: as above

    own = tmp_path_factory.getbasetemp()
    return TrainedRuns((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "trained")


@pytest.fixture(scope="session")
def small_splits():  # type: ignore[no-untyped-def]
    """The digits, loaded once."""
    from core.specs import preset
    from core.training import load_data

    return load_data(preset("cnn", "digits"))


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
def free_port() -> int:
    """A port on this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
