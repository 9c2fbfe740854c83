"""From a number's making in the worker to its pixels on the page, in a real Chromium.

    python tests/bench/latency.py [--seconds 20]

The stage notes, for every row it draws, the milliseconds between the row's time and the end of the animation frame
in which it was drawn (window.__layerlab.latencies). Goal: median at most 150 ms.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import sync_playwright

from core.engine.client import connect
from core.spec.specs import assign, preset
from tests.load.protocol import Server, machine, served

MOST = 150.0
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> int:
    """Print the median; exit code 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, served(Path(home)) as server:
        engine = connect(Path(home) / "runs", start=False)
        run = engine.start(assign(preset("cnn", "digits"), {"train.steps": 1_000_000}), threads=1)
        while engine.state(run).status.step == 0:
            time.sleep(0.1)
        good = told("cnn on digits, one thread", latencies(server, run, asked.seconds))
        engine.close()
    return 0 if good else 1


def latencies(server: Server, run: str, seconds: float) -> list[float]:
    """Milliseconds of every drawing, after the first two seconds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"http://127.0.0.1:{server.port}/train-live?run={run}")
        page.wait_for_function("window.__layerlab?.draws > 0", timeout=60_000)
        page.wait_for_timeout(2000)
        page.evaluate("window.__layerlab.latencies.length = 0")
        found: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:  # the stage keeps only the newest ones
            page.wait_for_timeout(500)
            found += page.evaluate("window.__layerlab.latencies.splice(0)")
        browser.close()
    return found


def told(what: str, found: list[float]) -> bool:
    """One line; is the goal reached?"""
    if len(found) < 20:
        print(f"{what}: only {len(found)} drawings")
        return False
    median, late = statistics.median(found), statistics.quantiles(found, n=20)[-1]
    reached = "reached" if median <= MOST else "MISSED"
    print(f"{what}: {len(found)} drawings, median {median:.0f} ms (goal: {MOST:.0f}), p95 {late:.0f} ms, {reached}")
    return median <= MOST


if __name__ == "__main__":
    sys.exit(main())
