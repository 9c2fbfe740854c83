"""In a real browser: whatever a foreign value says, the page shows its letters and makes nothing of them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from core.spec.quoting import visible
from tests.hostile import ACTING, BROKEN

pytestmark = pytest.mark.browser
ACTS = "a, img, b, em, code, del, h1, h2, h3, li, svg, sub, sup, .katex, span[style], span[role=img]"


@pytest.fixture(scope="module")
def page(chromium: Any) -> Iterator[Any]:
    """tests/browser/literal_page.py in Chromium; `asked` holds every address that it has asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("literal_page.py")
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(script),
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
        "--browser.gatherUsageStats",
        "false",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_answers(f"http://127.0.0.1:{port}/_stcore/health")
        seen = chromium.new_page()
        seen.asked = []
        seen.on("request", lambda request: seen.asked.append(request.url))
        seen.goto(f"http://127.0.0.1:{port}/")
        seen.get_by_text("drawn", exact=True).wait_for(timeout=60_000)
        seen.locator(".st-key-figure .legendtext").first.wait_for(timeout=60_000)
        yield seen
        seen.close()
    finally:
        server.terminate()
        server.wait(10)


def _until_it_answers(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urlopen(url, timeout=5)
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the server did not begin")


def _letters(text: str) -> str:
    """Without white space, of which a page shows less, and without what has no width."""
    return "".join(text.replace("\u2060", "").split())


@pytest.mark.parametrize("way", ["plain", "fill"])
def test_markdown_shows_the_letters_and_makes_nothing_of_them(page: Any, way: str) -> None:
    for i, text in enumerate((*ACTING, *BROKEN)):
        box = page.locator(f".st-key-{way}{i} [data-testid=stMarkdownContainer]")
        assert box.locator(ACTS).count() == 0, (text, box.inner_html())
        if text in ACTING:
            wanted = _letters(visible(text))
            assert _letters(box.text_content()) == (wanted if way == "plain" else f"{wanted}iswrong."), text


def test_a_legend_shows_the_letters_and_makes_nothing_of_them(page: Any) -> None:
    figure = page.locator(".st-key-figure")
    assert figure.locator("svg a, tspan[style*=bold], svg image").count() == 0
    shown = [_letters(text) for text in figure.locator(".legendtext").all_text_contents()]
    assert [_letters(visible(text)) for text in ACTING] == shown
    assert _letters(figure.locator(".xtitle").text_content()) == _letters(ACTING[9])


def test_nothing_foreign_was_asked_for(page: Any) -> None:
    assert [url for url in page.asked if "127.0.0.1" not in url and not url.startswith(("data:", "blob:"))] == []
