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
from tests.chromium import CHROMIUM, FLAGS, as_long_as_it_may

ROOT = Path(__file__).resolve().parent.parent
DEAR = ROOT / "tests/dear_cases.txt"  # cases of which the same test has a cheaper one; tests/bench/suite.py writes it


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked as slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of what is dear, `make test` runs a part and `make test-all` the whole: see the markers in pyproject.toml."""
    tests: dict[str, list[Any]] = {}
    dear_cases = set(DEAR.read_text().splitlines())
    for item in items:
        cases = getattr(item, "callspec", None)
        dear = item.get_closest_marker("slow_for")
        if item.nodeid in dear_cases or (dear and cases and set(dear.args) & set(cases.id.split("-"))):
            item.add_marker(pytest.mark.slow)
        elif cases and item.get_closest_marker("each_value") and not item.get_closest_marker("slow"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for test in tests.values():
        for item in _not_needed(test):
            item.add_marker(pytest.mark.slow)


def _not_needed(cases: list[Any]) -> Iterator[pytest.Item]:
    """Cases of one test whose parameters' values all come up in other cases, too."""
    ranks: dict[str, dict[int, int]] = {}  # parameter → which of its values, by identity, came first, second …
    for case in cases:
        for name, value in case.callspec.params.items():
            ranks.setdefault(name, {}).setdefault(id(value), len(ranks[name]))

    def places(case: Any) -> dict[str, int]:
        return {name: ranks[name][id(value)] for name, value in case.callspec.params.items()}

    def spread(case: Any) -> int:  # along the diagonal of the matrix few cases show every value
        return max(places(case).values()) - min(places(case).values())

    seen: set[tuple[str, int]] = set()
    for case in sorted(cases, key=spread):
        values = set(places(case).items())
        if values <= seen:
            yield case
        seen |= values


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
def answered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands ask this process and no engine of its own: it need not begin, and what a test has patched counts."""
    from tests.answered_here import EngineHere  # torch: as below

    monkeypatch.setattr("core.engine.client.connect", EngineHere)


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
    from core.worker.explain.scoreboard import score
    from tests.trained import TrainedOnce

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedOnce, "folder", shared_folder, raising=False)
        patch.setattr(score, "Training", TrainedOnce)
        yield


@pytest.fixture(scope=as_long_as_it_may)
def chromium() -> Iterator[Any]:
    """A browser, one for all tests that are run with it."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def small_splits():  # type: ignore[no-untyped-def]
    """The digits, loaded once."""
    from core.spec.specs import preset
    from core.worker.train.training import load_data

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
