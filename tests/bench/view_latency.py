"""How long it takes from another layer, sample or moment to the new picture, in a real browser.

python -m tests.bench.view_latency [RUNS_FOLDER]    trains what it needs; medians of ten switches each
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from core.engine import client as engines
from core.spec.events import FINISHED
from core.spec.specs import assign, preset
from tests.browser import conftest as browser
from tests.chromium import CHROMIUM, FLAGS
from tests.engine.conftest import until

SWITCHES = 10
CASES = (
    ("feature_maps", "cnn", "digits"),
    ("convolution", "cnn", "digits"),
    ("attention", "transformer", "order"),
    ("states", "lstm", "digits"),
    ("gradients", "cnn", "digits"),
    ("embeddings", "cnn", "digits"),
    ("mistakes", "cnn", "digits"),
)


def settled(page: Any) -> float:
    """Wait until the page has run and the main thread is quiet; seconds since the epoch when it had."""
    page.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter()


def switched(page: Any, press: Any, marker: str) -> float:
    """Seconds from a key to the end of the rerun that it causes, its pictures drawn."""
    before = page.evaluate(marker)
    started = time.perf_counter()
    press()
    page.wait_for_function("([marker, before]) => eval(marker) !== before", arg=[marker, before])
    return settled(page) - started


def measure(page: Any, run: str, view: str) -> dict[str, float]:
    """Medians in ms, by what was switched."""
    page.goto(f"/look_inside-{view}?run={run}&sample=3")
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    found: dict[str, list[float]] = {"moment": [], "sample": []}
    slider, sample = page.locator("[data-testid=stSlider] input").first, page.get_by_label("sample", exact=True)
    for i in range(SWITCHES):
        slider.focus()
        key = "ArrowLeft" if i < SWITCHES // 2 else "ArrowRight"
        found["moment"].append(switched(page, lambda key=key: page.keyboard.press(key), "location.search"))
        page.wait_for_timeout(300)
    for i in range(SWITCHES):
        sample.focus()
        sample.fill(str(10 + i))
        found["sample"].append(switched(page, lambda: page.keyboard.press("Enter"), "location.search"))
        page.wait_for_timeout(300)
    return {name: 1000 * statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Print a line a view."""
    with tempfile.TemporaryDirectory() as folder:
        paths = pytest.TempPathFactory(Path(folder), 3, "all", trace=lambda *_: None, _ispytest=True)
        servers = browser.site.__wrapped__(paths)  # type: ignore[attr-defined]
        site = next(servers)
        engine = engines.connect(site.store.root, start=False)
        runs = {}
        for name, data in {(name, data) for _view, name, data in CASES}:
            runs[name] = engine.start(assign(preset(name, data), {"train.steps": 100}), threads=1)
        until(lambda: all(engine.state(run).status.state == FINISHED for run in runs.values()), 120)
        engine.close()
        with browser.sync_api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = chromium.new_context(viewport={"width": 1280, "height": 720}, base_url=site.url).new_page()
            for view, name, _data in CASES:
                found = measure(page, runs[name], view)
                print(view, "  ".join(f"{what} {value:.0f} ms" for what, value in found.items()), flush=True)
            chromium.close()
        servers.close()


if __name__ == "__main__":
    main()
