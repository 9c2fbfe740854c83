"""The live stage in a real Chromium, on the harness's bare page and once in a real Streamlit."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.chromium import CHROMIUM

sync_api = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]


def serve(command: Callable[[int], list[str]]) -> Iterator[str]:
    """Run a server on a free port until the tests are done."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        command(port),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    yield from serve(lambda port: [sys.executable, "-m", "tests.web.harness", str(port)])


@pytest.fixture(scope="module")
def streamlit_door() -> Iterator[str]:
    options = ["--server.headless", "true", "--server.fileWatcherType", "none"]
    yield from serve(
        lambda port: [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "tests/web/app.py",
            "--server.port",
            str(port),
            *options,
        ]
    )


@pytest.fixture(scope="module")
def browser(chromium: Any, door: str) -> Iterator[Any]:
    browsing = chromium.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    browsing.new_page().goto(f"{door}/layerlab/charts.js")  # the page that stays
    yield browsing
    browsing.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page at a projector's size; anything that the browser complains of fails the test."""
    complaints: list[str] = []
    shown = browser.new_page()
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    shown.set_default_timeout(60_000)
    yield shown
    shown.close()
    assert complaints == []


def said(page: Any) -> dict[str, Any]:
    return dict(page.evaluate("({...window.__layerlab})"))


def wait(page: Any, script: str) -> None:
    page.wait_for_function(script, timeout=60_000)


RANGE = "document.querySelector('.ll-loss .ll-body').layout.xaxis.range"
BOXES = (
    "[...document.querySelectorAll('.ll-panel')].map(p => { const b = p.getBoundingClientRect(); "
    "return [b.x, b.y, b.width, b.height].map(Math.round).join() }).join(' ')"
)


def test_a_run_is_followed_from_start_to_end_without_a_jump(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=fast-follow-marks")
    wait(page, "window.__layerlab?.lastStep > 20 && document.querySelector('.ll-grid button')")
    before = page.evaluate(BOXES)
    wait(page, "window.__layerlab.lastStep === 599 && document.body.innerText.includes('finished')")
    assert page.evaluate(BOXES) == before
    about = said(page)
    assert (about["mounts"], about["rows"], about["gaps"], about["reconnects"]) == (1, 600, 0, 0)
    assert 1 < about["draws"] < 120  # how late a draw comes is measured by tests/bench/latency.py
    assert page.locator(".ll-live").bounding_box()["height"] <= 560
    page.wait_for_selector("text=learning rate 0.001")
    wait(page, "/train 0\\.\\d+, validation 0\\.\\d+/.test(document.querySelector('.ll-loss .ll-body').ariaLabel)")


def test_a_cut_connection_loses_nothing_and_doubles_nothing(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=fast-cut")
    wait(page, "window.__layerlab?.lastStep === 599 && window.__layerlab.reconnects === 2")
    about = said(page)
    assert (about["rows"], about["gaps"], about["mounts"]) == (600, 0, 1)


@pytest.mark.slow
def test_rows_that_were_taken_back_are_drawn_anew(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=fast-back-nan")  # no number from step 300 on, until the rows from 100 on are taken back
    marked = page.get_by_text("loss is no longer a number")
    marked.first.wait_for()
    wait(page, "window.__layerlab.lastStep < 250")
    marked.first.wait_for(state="detached")
    wait(page, "window.__layerlab.lastStep === 599")
    about = said(page)
    assert (about["rows"], about["gaps"], about["mounts"]) == (600, 0, 1)


@pytest.mark.slow
def test_zoom_and_hover_outlive_the_updates(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=zoom")
    wait(page, "window.__layerlab?.lastStep > 60")
    box = page.locator(".ll-loss .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] - 10, steps=4)
    page.mouse.up()
    wait(page, f"{RANGE}[1] < 200")
    zoomed = page.evaluate(RANGE)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.wait_for_selector(".ll-loss .hoverlayer text")
    step = said(page)["lastStep"]
    wait(page, f"window.__layerlab.lastStep > {step + 40}")
    assert page.evaluate(RANGE) == zoomed
    assert page.locator(".ll-loss .hoverlayer text").count() > 0
    page.locator(".ll-loss .ll-body").focus()
    page.keyboard.press("0")
    wait(page, f"{RANGE}[1] > 599")
    page.keyboard.press("+")
    wait(page, f"{RANGE}[1] < 599")


def test_choices_reach_the_run_and_python_once_and_old_echoes_do_not_undo_them(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=half-choose")
    page.wait_for_selector(".ll-grid button")
    page.locator(".ll-grid button").nth(2).click()
    page.locator(".ll-grid button").nth(5).focus()
    page.keyboard.press("Enter")
    page.select_option(".ll-view select", "conv2")
    page.wait_for_selector("text=64 maps of 14×14")
    assert page.evaluate("window.told") == [["sample", 2], ["sample", 5], ["layer", "conv2"]]
    page.evaluate("window.again({sample: 2})")  # the first click's rerun arrives late
    page.evaluate("window.again({sample: 5, layer: 'conv2'})")
    wait(page, "document.querySelector('.ll-current').getAttribute('aria-label').startsWith('Sample 5')")
    page.evaluate("window.again({sample: 9})")  # chosen elsewhere: that is news
    wait(page, "document.querySelector('.ll-current').getAttribute('aria-label').startsWith('Sample 9')")
    assert page.evaluate("window.told.length") == 3
    wishes = page.evaluate("fetch('/watched?run=half-choose').then(a => a.json())")
    assert wishes[-3:] == [{"sample": 5}, {"sample": 5, "layer": "conv2"}, {"sample": 9, "layer": "conv2"}]
    assert said(page)["mounts"] == 1


def test_every_picture_has_its_numbers_as_a_table_and_a_file(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=half-numbers")
    page.wait_for_selector(".ll-grid button")
    lines = {"loss": 341, "accuracy": 341, "heat": 341, "view": 1 + 16 * 28 * 28, "pictures": 13}
    for name, count in lines.items():
        panel = page.locator(f".ll-{name}.ll-panel")
        with page.expect_download() as got:
            panel.get_by_role("button", name="CSV").click()
        assert len(Path(got.value.path()).read_text().splitlines()) == count, name
        panel.get_by_role("button", name="table").press("Enter")
        assert panel.locator("tbody tr").count() == min(count - 1, 16 if name == "view" else 200), name
        assert panel.locator("th").count() == len(panel.locator("tbody tr").first.locator("td").all())
    assert re.fullmatch(r"339\s+0\.\d+.*", page.locator(".ll-loss tbody tr").first.inner_text())
    page.get_by_role("tab", name="Update").click()
    assert page.get_by_role("tab", name="Update").get_attribute("aria-selected") == "true"


@pytest.mark.slow
def test_the_view_tells_its_values_to_the_pointer_and_the_arrow_keys(page: Any, door: str) -> None:
    for kind, words in [
        ("maps", r"map 1, row 0, column 0: "),
        ("attention", r"head 1, query 0, key 0: "),
        ("vector", r"unit 0: "),
        ("states", r"time 0, unit 0: "),
    ]:
        page.goto(f"{door}/?run=half-{kind}-signed")
        page.wait_for_selector(".ll-grid button")
        page.locator(".ll-canvas canvas").focus()
        page.keyboard.press("PageDown")
        tip = page.locator(".ll-tip")
        assert re.match(words, tip.inner_text()), kind
        page.mouse.move(0, 0)
        page.locator(".ll-canvas canvas").hover(position={"x": 20, "y": 20})
        assert re.search(r": -?[\d.]+$", tip.inner_text()), kind


def test_wrong_answers_are_told_by_more_than_colour(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=half-tokens")
    page.wait_for_selector(".ll-wrong")
    wrong = page.locator(".ll-wrong").first
    assert wrong.inner_text().find("✗") >= 0
    assert "it is" in wrong.get_attribute("aria-label")
    assert wrong.evaluate("node => getComputedStyle(node).borderTopStyle") == "dashed"


@pytest.mark.slow
def test_points_numbers_and_answers_at_every_step_are_shown(page: Any, door: str) -> None:
    dark = (
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
        "return d.filter((v, i) => i % 4 === 3 && v > 0).length }"
    )
    page.goto(f"{door}/?run=half-points")
    page.wait_for_selector(".ll-grid button")
    assert 100 < page.locator(".ll-grid canvas").first.evaluate(dark) < 1000  # a dot and two thin lines
    page.goto(f"{door}/?run=half-sums")
    page.wait_for_selector(".ll-grid button")
    tile = page.locator(".ll-grid button").first
    assert tile.get_attribute("aria-label") == "Sample 0: predicted 0.75; it is 0.5"
    assert page.locator(".ll-grid canvas").first.evaluate(dark) > 200
    assert page.locator(".ll-wrong").count() == 0
    page.goto(f"{door}/?run=half-tokens-each")
    page.wait_for_selector(".ll-grid button")
    assert page.locator(".ll-grid button").first.locator("b").inner_text() == "3/4"


def test_states_are_said_in_words(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=queue")
    page.wait_for_selector("text=waiting, place 2")
    page.evaluate("window.again({run: 'fast-fail'})")  # another run: the old one is put away
    wait(page, "document.querySelector('[role=alert]').textContent.startsWith('The loss is not a number')")
    page.evaluate("window.again({run: 'fast-nan'})")
    page.wait_for_selector("text=loss is no longer a number")
    page.evaluate("window.again({run: 'unknown'})")
    page.wait_for_selector("text=This run is not known here")
    page.evaluate("window.again({run: null, caption: 'Press the button.'})")
    page.wait_for_selector("text=Press the button.")
    assert said(page)["rows"] == 0
    assert page.locator(".ll-grid button").count() == 0
    assert said(page)["mounts"] == 1


@pytest.mark.slow
def test_a_long_run_is_drawn_with_few_points_and_the_theme_is_read_again(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=long-names")
    wait(page, "window.__layerlab?.lastStep === 19999 && document.querySelector('.ll-loss .main-svg')")
    counts = page.evaluate("document.querySelector('.ll-loss .ll-body').data.map(t => t.x.length)")
    assert max(counts) <= 1600
    page.evaluate("document.body.style.setProperty('--st-text-color', 'rgb(1, 2, 3)')")
    wait(page, "document.querySelector('.ll-loss .ll-body').layout.font.color === '#010203'")
    assert page.evaluate(
        "Math.max(...[...document.querySelectorAll('.ll-live *')].map(n => n.scrollWidth && "
        "n.getBoundingClientRect().right)) <= innerWidth"
    )


def test_streamlit_mounts_it_once_and_keeps_what_was_chosen(page: Any, streamlit_door: str) -> None:
    page.goto(f"{streamlit_door}/?run=slow")
    page.wait_for_selector(".ll-grid button", timeout=20_000)
    page.locator(".ll-grid button").nth(3).click()
    page.wait_for_selector("text=chosen 3 conv1")
    page.select_option(".ll-view select", "conv2")
    page.wait_for_selector("text=chosen 3 conv2")
    page.locator("[data-testid=stSlider] input").focus()
    page.keyboard.press("ArrowRight")
    step = said(page)["lastStep"]
    wait(page, f"window.__layerlab.lastStep > {step + 30}")
    about = said(page)
    assert (about["mounts"], about["gaps"], about["reconnects"]) == (1, 0, 0)
    assert page.locator(".ll-current").get_attribute("aria-label").startswith("Sample 3")
    with urlopen(f"{streamlit_door}/watched?run=slow") as answer:
        assert b'{"sample": 3, "layer": "conv2"}' in answer.read()


def test_a_measure_that_is_read_seldom_is_smoothed_over_as_many_steps_as_one_read_always(page: Any, door: str) -> None:
    page.goto(f"{door}/?run=slow")
    seldom, always = page.evaluate(
        """async () => {
          const { smooth } = await import("/layerlab/charts.js");
          const steps = (every) => Array.from({ length: 1 + 200 / every }, (_, i) => i * every);
          return [10, 1].map((every) => smooth(steps(every), steps(every).map((s) => s / 200), 12).at(-1));
        }"""
    )
    assert abs(seldom - always) < 0.04  # by points, the one read every tenth step would be half a run behind


def test_a_smoothed_curve_goes_on_from_what_the_server_has_smoothed(page: Any, door: str) -> None:
    page.goto(door)
    whole, parts = page.evaluate("""async () => {
          const { smooth, smoothed } = await import("/layerlab/charts.js");
          const steps = Array.from({ length: 400 }, (_, i) => i + 1), values = steps.map((s) => Math.sin(s) + s / 50);
          const keep = 1 - 1 / 50;
          let sum = 0, weight = 0;
          for (let i = 0; i < 300; i++) [sum, weight] = [keep * sum + values[i], keep * weight + 1];
          const past = { steps: [150, 300], values: [1, 2], sum, weight, last: 300 };
          const thinned = [1, 150, 299, 300].concat(steps.slice(300));
          const series = { steps: thinned, values: thinned.map((s) => values[s - 1]), past };
          const found = smoothed(series, 50);
          const [begin, rest] = [found.values.slice(0, 2), found.values.slice(2)];
          return [smooth(steps, values, 50).slice(300), [found.steps.slice(0, 3), begin, rest]];
    }""")
    assert parts[0] == [150, 300, 301] and parts[1] == [1, 2]
    assert parts[2] == pytest.approx(whole)
