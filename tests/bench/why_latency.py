"""How long the side-by-side page takes from another sample to the first map and to all eight, in a real browser.

python -m tests.bench.why_latency    trains a small CNN on digits; medians of twenty samples that nobody has asked about
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import pytest

from core.engine import client as engines
from core.spec.events import FINISHED
from core.spec.specs import assign, preset
from tests.browser import conftest as browser
from tests.chromium import CHROMIUM, FLAGS
from tests.engine.conftest import until

SAMPLES = 20
METHODS = 8
STOPWATCH = """
window.watchMaps = () => {
  const labels = () => [...document.querySelectorAll('.lf-figure')].map((one) => one.getAttribute('aria-label'));
  const old = new Set(labels()), started = performance.now();
  window.__first = window.__all = 0;
  const look = () => {
    const fresh = labels().filter((one) => !old.has(one)).length;
    if (fresh && !window.__first) window.__first = performance.now() - started;
    if (fresh >= METHODS) window.__all = performance.now() - started;
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};
""".replace("METHODS", str(METHODS))


def measure(page: Any, run: str) -> dict[str, list[float]]:
    """Milliseconds from the key to the first new map and to the last, by what was waited for."""
    page.goto(f"/explain-side_by_side?run={run}&sample=3")
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    found: dict[str, list[float]] = {"first": [], "all": []}
    sample = page.get_by_label("sample", exact=True)
    for i in range(SAMPLES):
        sample.focus()
        sample.fill(str(20 + i))
        page.evaluate("window.watchMaps()")
        page.keyboard.press("Enter")
        page.wait_for_function("window.__all > 0", timeout=30_000)
        found["first"].append(page.evaluate("window.__first"))
        found["all"].append(page.evaluate("window.__all"))
        page.wait_for_timeout(700)
    return found


def main() -> None:
    """Print both medians with the slowest of each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = pytest.TempPathFactory(Path(folder), 3, "all", trace=lambda *_: None, _ispytest=True)
        servers = browser.site.__wrapped__(paths)  # type: ignore[attr-defined]
        site = next(servers)
        engine = engines.connect(site.store.root, start=False)
        run = engine.start(assign(preset("cnn", "digits"), {"train.steps": 300}), threads=1)
        until(lambda: engine.state(run).status.state == FINISHED, 120)
        engine.close()
        with browser.sync_api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = chromium.new_context(viewport={"width": 1280, "height": 720}, base_url=site.url).new_page()
            page.add_init_script(STOPWATCH)
            for name, times in measure(page, run).items():
                print(f"{name:6} median {statistics.median(times):5.0f} ms   slowest {max(times):5.0f} ms")
            chromium.close()
        servers.close()


if __name__ == "__main__":
    main()
