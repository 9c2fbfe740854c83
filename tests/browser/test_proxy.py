"""The app where it is not at the root of its own address: under a base path, and behind proxies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.spec.events import FINISHED, Event, Status
from core.spec.specs import preset
from core.store import Store
from tests.browser.conftest import ROOT, _wait, expect, until_step
from tests.chromium import CHROMIUM
from tests.web.proxy import proxy

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]
STEPS = 30
HUB = "/user/ada/proxy/8501"


@dataclass
class Served:
    """A server with a finished run."""

    port: int
    run: str


@contextmanager
def served(home: Path, *options: str) -> Iterator[Served]:
    store = Store(home / "runs")
    run = store.create(preset("mlp", "digits"), "one that has ended")
    rows = run.log()
    rows.append([Event(step, "train/loss", 2 / step, time.time()) for step in range(1, STEPS + 1)])
    status = Status(FINISHED, STEPS, STEPS, "Finished.")
    rows.status(status)
    rows.close()
    run.set_status(status)
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
        *options,
    ]
    environment = {**os.environ, "LAYERLAB_HOME": str(home), "LAYERLAB_RUNS": ""}
    with (home / "server.txt").open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        _wait(lambda: _listens(port), 60)
        yield Served(port, run.id)
    finally:
        server.terminate()
        server.wait(20)
    assert "Traceback" not in (home / "server.txt").read_text(errors="replace")


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def named() -> int:
    """The port of the proxy whose address the server is told."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, named: int) -> Iterator[Served]:
    """A server at the root of its address that knows one page beside its own."""
    origin = f"http://127.0.0.1:{named}"
    with served(tmp_path_factory.mktemp("home"), "--server.corsAllowedOrigins", origin) as one:
        yield one


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A page; scripts of the app's own that do not come fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(30_000)
    missing: list[str] = []
    page = context.new_page()
    page.on("response", lambda answer: missing.append(answer.url) if _ours_missing(answer) else None)
    yield page
    context.close()
    assert missing == []


def _ours_missing(answer: Any) -> bool:
    return "/layerlab/" in answer.url and answer.status >= 400


@pytest.mark.slow
def test_the_stage_comes_under_a_base_path(tab: Any, tmp_path: Path) -> None:
    with served(tmp_path, "--server.baseUrlPath", "lab") as one:
        tab.goto(f"http://127.0.0.1:{one.port}/lab/train-live?run={one.run}")
        until_step(tab, STEPS, 240)


def test_the_stage_comes_behind_a_proxy_that_strips_a_prefix(tab: Any, plain: Served) -> None:
    with proxy(plain.port, prefix=HUB) as port:
        tab.goto(f"http://127.0.0.1:{port}{HUB}/train-live?run={plain.run}")
        until_step(tab, STEPS, 240)


@pytest.mark.slow
def test_the_stage_comes_behind_a_proxy_that_rewrites_the_host_and_was_named(
    tab: Any, plain: Served, named: int
) -> None:
    with proxy(plain.port, prefix=HUB, rewrite_host=True, port=named):
        tab.goto(f"http://127.0.0.1:{named}{HUB}/train-live?run={plain.run}")
        until_step(tab, STEPS, 240)


def test_a_page_that_is_refused_says_why_and_what_to_do(tab: Any, plain: Served) -> None:
    with proxy(plain.port, rewrite_host=True) as port:
        tab.goto(f"http://127.0.0.1:{port}/train-live?run={plain.run}")
        told = tab.locator(".ll-live").get_by_text("The server does not accept connections from pages at")
        expect(told).to_contain_text(f"--server.corsAllowedOrigins http://127.0.0.1:{port}", timeout=60_000)
        expect(tab.locator(".ll-live").get_by_text("not connected", exact=True)).to_be_visible()
        assert not tab.get_by_text("This run is not known here").count()


@pytest.mark.slow
def test_a_script_that_does_not_come_is_told_where_it_was_to_be(tab: Any, plain: Served) -> None:
    with ExitStack() as after:
        tab.route("**/layerlab/live.js", lambda route: route.abort())
        after.callback(tab.unroute, "**/layerlab/live.js")
        tab.goto(f"http://127.0.0.1:{plain.port}/train-live?run={plain.run}")
        told = tab.get_by_text("This part of the page could not be loaded from")
        expect(told).to_contain_text(f"http://127.0.0.1:{plain.port}/layerlab/live.js", timeout=60_000)
