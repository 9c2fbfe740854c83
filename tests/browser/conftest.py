"""A real server, a real engine and a real Chromium. A page that complains in any way fails its test."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from core.engine import client as engines
from core.spec.events import ENDED, FINISHED, Command, Status
from core.spec.specs import assign, preset
from core.store import Run, Store
from tests.chromium import CHROMIUM, as_long_as_it_may
from tests.trained import train

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
ROOT = Path(__file__).parents[2]
PARKED = "/_stcore/health"  # a page of the same site that stays, and with it the process that holds these scripts
STEPS = {"digits": 150, "points": 60, "order": 60, "reviews": 150}  # enough for pictures that say something
LIMIT = 60_000  # milliseconds for what should come at once: a busy machine is not a fault
FAILED = pytest.StashKey[bool]()
LEFT = "net::ERR_ABORTED"  # the page was left or reloaded while this was on its way; a server's failure is never this
PROBES = ("/_stcore/health", "/_stcore/host-config")  # Streamlit looks for itself beside a deep link first


@dataclass
class Site:
    """The server under test."""

    url: str
    store: Store

    def newest(self) -> Run:
        return self.store.runs()[0]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The app on a free port with a home of its own, for all tests."""
    with serving(tmp_path_factory.mktemp("home")) as made:
        yield made


Learned = Callable[[str, str], Run]


@pytest.fixture(scope="session")
def learned(site: Site) -> Learned:
    """learned(preset, data): a run of the site's that has ended, trained once in this process for all modules."""
    return lru_cache(None)(lambda name, data: _learn(site.store, name, data))


def _learn(store: Store, name: str, data: str) -> Run:
    experiment = assign(preset(name, data), {"train.steps": STEPS[data]})
    run = train(store, experiment)
    run.set_status(Status(FINISHED, experiment.train.steps, experiment.train.steps))
    return run


@contextmanager
def serving(home: Path) -> Iterator[Site]:
    """A server that has just begun; nothing in its output may look like a traceback."""
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
    ]
    environment = {**os.environ, "LAYERLAB_HOME": str(home), "LAYERLAB_RUNS": ""}
    with (home / "server.txt").open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            _wait(lambda: _healthy(port), 240)
            yield Site(f"http://127.0.0.1:{port}", Store(home / "runs"))
        finally:
            server.terminate()
            server.wait(10)
    logs = [home / "server.txt", *(home / "logs").glob("*")]
    assert [log.name for log in logs if "Traceback" in log.read_text(errors="replace")] == []


def _healthy(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A fixture can see how its test ended."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


def _tell(made: Any, site: Site) -> None:
    """Print what a failed test's pages and runs looked like, with a picture of each page."""
    for number, page in enumerate(_opened(made)):
        picture = Path(tempfile.mkdtemp(prefix="layerlab-failed-")) / f"{number}.png"
        page.screenshot(path=picture)
        words = " | ".join(page.locator(".ll-live .ll-status").all_inner_texts())
        print(f"{page.url}\n  {words}\n  {page.evaluate('window.__layerlab')}\n  {picture}")
    for run in site.store.runs():
        print(run.id, run.status())


@pytest.fixture(scope=as_long_as_it_may)
def cached(chromium: Any, site: Site) -> Iterator[Any]:
    """A window, 1280×720, for all tests: the pages’ scripts are fetched and compiled once."""
    made = _new(chromium, site)
    yield made
    made.close()


@pytest.fixture
def context(cached: Any, site: Site, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A browser that remembers nothing of the tests before; every page in it is watched for complaints."""
    with watched(cached, site, request.node):
        yield cached


@contextmanager
def browsing(chromium: Any, site: Site, test: pytest.Item) -> Iterator[Any]:
    """A browser of the test's own."""
    made = _new(chromium, site)
    with watched(made, site, test):
        yield made
    made.close()


def _new(chromium: Any, site: Site) -> Any:
    made = chromium.new_context(viewport={"width": 1280, "height": 720}, base_url=site.url)
    made.set_default_timeout(LIMIT)
    expect.set_options(timeout=LIMIT)
    made.new_page().goto(PARKED)
    return made


def _opened(context: Any) -> list[Any]:
    """A test's pages: all but the parked one."""
    return [page for page in context.pages if not page.url.endswith(PARKED)]


@contextmanager
def watched(context: Any, site: Site, test: pytest.Item) -> Iterator[None]:
    """Whatever a page complains of fails its test; afterwards the pages are closed and what they kept is forgotten."""
    complaints: list[str] = []

    def watch(page: Any) -> None:
        _watch(page, complaints)

    context.on("page", watch)
    yield
    context.remove_listener("page", watch)
    if test.stash.get(FAILED, False):
        _tell(context, site)
    shown = [page.url for page in _opened(context) if page.locator("[data-testid=stException]").count()]
    context.clear_cookies()
    for page in _opened(context):
        if page.url.startswith(site.url):
            page.evaluate("localStorage.clear()")
        page.close()
    assert complaints == []
    assert shown == []


def _watch(page: Any, complaints: list[str]) -> None:
    def said(message: Any) -> None:
        if message.type == "error" and not str(message.location.get("url", "")).endswith(PROBES):
            complaints.append(message.text)

    def failed(request: Any) -> None:
        if request.failure != LEFT:
            complaints.append(f"{request.url}: {request.failure}")

    page.on("pageerror", lambda error: complaints.append(str(getattr(error, "stack", "") or error)))
    page.on("console", said)
    page.on("requestfailed", failed)


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()


def press(page: Any, label: str) -> None:
    """Press the button with this label."""
    page.get_by_role("button", name=label, exact=True).click()


SETTLED = """() => {
  const app = document.querySelector("[data-testid=stApp]");
  return app?.dataset.testScriptState === "notRunning" && !document.querySelector("[data-stale=true]");
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def settled(page: Any) -> None:
    """Wait until no script of the page runs and what it has sent is painted."""
    page.wait_for_function(SETTLED)
    page.evaluate(FRAMES)


def until_begun(page: Any, site: Site, before: int) -> Run:
    """Wait until there are more runs than before and the page has gone to the newest of them.

    A finished run may have been on the stage: its steps are not the new one's.
    """
    _wait(lambda: len(site.store.runs()) > before, 240)
    run = site.newest()
    page.wait_for_url(re.compile(f"run={run.id}"))
    return run


def stop(site: Site, run: Run) -> None:
    """End a run that has shown what it was begun for: it would take the processor from the tests after it."""
    engine = engines.connect(site.store.root, start=False)
    engine.command(run.id, Command("stop"))
    _wait(lambda: engine.state(run.id).status.state in ENDED, 240)
    engine.close()


def until_step(page: Any, step: int, seconds: float = 240) -> None:
    """Wait until the live stage has drawn this step."""
    page.wait_for_function("step => window.__layerlab?.lastStep >= step", arg=step, timeout=1000 * seconds)


def record(page: Any) -> dict[str, Any]:
    """What the live stage counts of itself."""
    return dict(page.evaluate("window.__layerlab"))


def status(page: Any, word: str, seconds: float = 240) -> None:
    """Wait until the stage's status line says this."""
    page.locator(".layerlab-live, .ll-live").get_by_text(word, exact=True).first.wait_for(timeout=1000 * seconds)
