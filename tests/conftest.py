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


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked as slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of what is dear, `make test` runs a part and `make test-all` the whole: see the markers in pyproject.toml."""
    seen: dict[str, set[tuple[str, int]]] = {}  # test → the values of its parameters that have come up
    for item in items:
        cases = getattr(item, "callspec", None)
        dear = item.get_closest_marker("slow_for")
        if dear and cases and set(dear.args) & set(cases.id.split("-")):
            item.add_marker(pytest.mark.slow)
    for item in sorted(items, key=_diagonal):
        if item.get_closest_marker("each_value") and not item.get_closest_marker("slow"):
            known = seen.setdefault(item.nodeid.partition("[")[0], set())
            values = set(item.callspec.indices.items())  # type: ignore[attr-defined]
            if values <= known:
                item.add_marker(pytest.mark.slow)
            known |= values


def _diagonal(item: pytest.Item) -> tuple[int, ...]:
    """Cases whose parameters have all moved on come first: so few of them show every value."""
    places = list(item.callspec.indices.values()) if hasattr(item, "callspec") else [0]
    return (max(places) - min(places), *places)


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
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all pytest processes of this session have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def trained(shared_folder: Path) -> Any:
    """Small trained runs to look at, each trained once."""
    from tests.trained import TrainedRuns  # torch: as above

    return TrainedRuns(shared_folder)


@pytest.fixture(scope="module")
def trained_trials(shared_folder: Path) -> Iterator[None]:
    """The scoreboard's networks are trained once, however many scoreboards the tests make."""
    from core.explain.scoreboard import score
    from tests.trained import TrainedOnce

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedOnce, "folder", shared_folder, raising=False)
        patch.setattr(score, "Training", TrainedOnce)
        yield


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
