"""What a stroke costs: from its end to its answer's pixels in a real Chromium, and the question in forward passes.

    python tests/bench/draw_latency.py [--strokes 20] [--training]

The pad notes, for every stroke, the milliseconds between the pen's lifting and the end of the animation frame after
the one in which the answer was painted (window.__layerlabDraw.strokes). --training: a run trains meanwhile.
Goals: median at most 300 ms; the forward and backward pass of a question at most 2.5 bare forward passes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from playwright.sync_api import sync_playwright

from core.engine.client import connect
from core.spec.drawings import SIDE, encode
from core.spec.questions import Look
from core.spec.specs import assign, preset
from core.worker.answers import look
from core.worker.look.draw import passes
from core.worker.look.subject import subject_of
from tests.bench.latency import FLAGS
from tests.load.protocol import Server, machine, served

MOST, PASSES = 300.0, 2.5
PAIRS = 200


def main() -> int:
    """Print the medians; exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--training", action="store_true")
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, served(Path(home)) as server:
        engine = connect(Path(home) / "runs", start=False)
        run = engine.start(assign(preset("cnn", "digits"), {"train.steps": 300}), threads=1)
        while engine.state(run).status.state != "finished":
            time.sleep(0.1)
        good = told_cost(run, Path(home) / "runs")
        other = engine.start(assign(preset("cnn", "digits"), {"train.steps": 1_000_000})) if asked.training else ""
        while other and engine.state(other).status.step == 0:
            time.sleep(0.1)
        good &= told(strokes(server, run, asked.strokes), "while a run trains" if other else "nothing else runs")
        engine.close()
    return 0 if good else 1


def told_cost(run: str, runs: Path) -> bool:
    """One line on the compute: CPU time of interleaved turns, one thread."""
    torch.set_num_threads(1)
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[5:24, 12:16] = 255
    question = Look(run, "draw", layer="conv1", drawing=encode(picture), runs=str(runs))
    subject = subject_of(question)

    def forward() -> None:
        with torch.no_grad():
            subject.network(subject.x)

    turns: list[Callable[[], object]] = [
        forward,
        forward,
        lambda: passes(subject),
        lambda: look(question, lambda *_about: None),
    ]
    times: list[list[float]] = [[] for _ in turns]
    order = list(range(len(turns)))
    for _ in range(PAIRS):
        random.shuffle(order)  # what came before decides how warm the caches are
        for which in order:
            started = time.process_time()
            turns[which]()
            times[which].append(1000 * (time.process_time() - started))
    bare, again, both, whole = (statistics.median(found[20:]) for found in times)
    ratio = both / statistics.mean((bare, again))
    print(
        f"forward {bare:.3f} ms, once more {again:.3f} · forward and backward {both:.3f} ms = {ratio:.2f} forwards "
        f"(goal: {PASSES}) · the whole question in the worker {whole:.2f} ms"
    )
    return ratio <= PASSES


def strokes(server: Server, run: str, count: int) -> list[float]:
    """Milliseconds of each stroke; every third one begins on an empty pad."""
    chance = random.Random(0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"http://127.0.0.1:{server.port}/look_inside-draw?run={run}")
        page.wait_for_function("window.__layerlabDraw?.answered > 0", timeout=60_000)
        page.wait_for_timeout(1500)
        box = page.locator(".ld-pad").bounding_box()
        assert box is not None
        for number in range(count):
            if number % 3 == 0:
                page.get_by_role("button", name="Clear", exact=True).click()
            page.wait_for_timeout(chance.randrange(100, 900))  # before, in and after the rerun of the stroke before
            spots = [(box["x"] + 336 * chance.uniform(0.2, 0.8), box["y"] + 336 * chance.uniform(0.2, 0.8))] * 4
            page.mouse.move(*spots[0])
            page.mouse.down()
            for _ in spots[1:]:
                page.mouse.move(box["x"] + 336 * chance.random(), box["y"] + 336 * chance.random(), steps=10)
            page.mouse.up()
            page.wait_for_function("n => window.__layerlabDraw.strokes.length > n", arg=number, timeout=10_000)
        found = page.evaluate("window.__layerlabDraw")
        browser.close()
    print(f"{found['asked']} questions for {count} strokes, at most {found['mostInFlight']} under way")
    return list(found["strokes"])


def told(found: list[float], when: str) -> bool:
    """One line; is the goal reached?"""
    median, late = statistics.median(found), statistics.quantiles(found, n=20)[-1]
    reached = "reached" if median <= MOST else "MISSED"
    print(
        f"end of a stroke to pixels, {when}: {len(found)} strokes, median {median:.0f} ms (goal: {MOST:.0f}), "
        f"p95 {late:.0f} ms, {reached}"
    )
    return median <= MOST


if __name__ == "__main__":
    sys.exit(main())
