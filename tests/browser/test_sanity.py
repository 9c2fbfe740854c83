"""The sanity check by mouse and keyboard: the slider moves, and the picture and the curve's mark follow."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.store import Run
from tests.browser.conftest import Learned

pytestmark = pytest.mark.browser
Z = (
    "() => [...document.querySelectorAll('.js-plotly-plot')].map(p => p.data[0]).filter(d => d.type === 'heatmap')"
    ".map(d => JSON.stringify(d.z))"
)
MARK = "() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(p => p.layout.shapes ?? [])[0]?.x0"


@pytest.fixture(scope="module")
def run(learned: Learned) -> Run:
    """A small trained network."""
    return learned("cnn", "digits")


def opened(page: Any, run: Run) -> None:
    """The page with its answer and its three figures."""
    page.goto(f"/explain-sanity?run={run.id}&sample=3")
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 3")


def test_the_slider_goes_down_the_layers_and_the_picture_and_the_curve_follow(page: Any, run: Run) -> None:
    opened(page, run)
    page.wait_for_function(f"({MARK})() === 5")
    before = page.evaluate(Z)
    slider = page.locator("[class*=st-key-sanity-depth] input")
    slider.focus()
    for depth, words in ((4, "Still as trained: conv1"), (3, "Still as trained: norm1, conv1")):
        page.keyboard.press("ArrowLeft")
        page.get_by_text(words).wait_for()
        page.wait_for_function(f"({MARK})() === {depth}")
    page.wait_for_function(f"before => ({Z})()[1] !== before[1] && ({Z})()[0] === before[0]", arg=before)
    for _depth in (2, 1, 0):
        page.keyboard.press("ArrowLeft")
    page.get_by_text("nothing randomised").wait_for()
    page.wait_for_function(f"({MARK})() === 0 && ({Z})()[0] === ({Z})()[1]")


@pytest.mark.slow
def test_a_clicked_point_of_the_curve_moves_the_slider(page: Any, run: Run) -> None:
    opened(page, run)
    page.wait_for_function(f"({MARK})() === 5")
    page.locator(".js-plotly-plot").nth(2).locator(".scatterlayer .point").nth(1).click(force=True)  # one layer
    page.get_by_text("Randomised: head.").wait_for()
    page.wait_for_function(f"({MARK})() === 1")


@pytest.mark.slow
def test_another_method_has_another_verdict(page: Any, run: Run) -> None:
    opened(page, run)
    badge = page.locator(".stMarkdownBadge")
    badge.filter(has_text=re.compile(r"(?<!not )depends on the model")).wait_for()
    method = page.get_by_role("combobox", name="method")
    method.fill("edge filter")
    page.get_by_role("option", name="edge filter", exact=True).click()
    badge.filter(has_text="does not depend on the model").wait_for()
    page.get_by_text("is not what was learned").wait_for()
