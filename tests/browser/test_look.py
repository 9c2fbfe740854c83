"""The pages that look inside, by mouse and keyboard: a click says what is looked at, and time is gone through."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.engine import client as engines
from core.spec.specs import assign, preset
from core.store import Run
from tests.browser.conftest import Learned, Site, expect, settled, stop
from tests.engine.conftest import until

pytestmark = pytest.mark.browser
PAGES = {  # view → the network it is looked at in
    "feature_maps": "cnn",
    "convolution": "cnn",
    "attention": "transformer",
    "states": "lstm",
    "gradients": "cnn",
    "through_time": "lstm",
    "embeddings": "cnn",
    "maximise": "cnn",
    "landscape": "mlp",
    "mistakes": "cnn",
}


@pytest.fixture(scope="module")
def runs(learned: Learned) -> dict[str, Run]:
    """One small trained network of each family."""
    data = {"cnn": "digits", "lstm": "digits", "transformer": "order", "mlp": "points"}
    return {name: learned(name, data[name]) for name in data}


def open_view(page: Any, runs: dict[str, Run], view: str, **link: str) -> None:
    """The page of a view, with its answer."""
    more = "".join(f"&{name}={value}" for name, value in link.items())
    page.goto(f"/look_inside-{view}?run={runs[PAGES[view]].id}&sample=3{more}")
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)


def drawn(page: Any) -> int:
    return int(page.evaluate("window.__layerlabFigures?.draws ?? 0"))


def number(page: Any, label: str) -> Any:
    return page.get_by_label(label, exact=True)


@pytest.mark.slow_for("convolution", "states", "through_time", "embeddings", "maximise", "landscape", "mistakes")
@pytest.mark.parametrize("view", PAGES)
def test_a_view_shows_its_picture_its_arrays_and_its_code(page: Any, runs: dict[str, Run], view: str) -> None:
    open_view(page, runs, view)
    page.locator(".js-plotly-plot, .lm-grid, .lt-token").first.wait_for()
    page.get_by_text("Arrays", exact=True).click()
    page.get_by_text("Download all (npz)").wait_for()
    page.get_by_text("PyTorch", exact=True).click()
    page.locator("[data-testid=stCode]").first.wait_for()


def test_a_clicked_map_is_the_large_one(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "feature_maps")
    grid = page.locator(".lm-grid")
    grid.wait_for()
    settled(page)
    grid.click(position={"x": 150, "y": 40})  # the second map of the first row
    page.get_by_text("map 1", exact=True).wait_for()
    expect(number(page, "large map")).to_have_value("1")
    grid.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("map 2", exact=True).wait_for()


def test_a_clicked_output_cell_is_computed(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "convolution")
    heat = page.locator(".js-plotly-plot").nth(1).locator(".nsewdrag").first
    heat.wait_for()
    settled(page)
    box = heat.bounding_box()
    page.mouse.click(box["x"] + box["width"] * (20.5 / 28), box["y"] + box["height"] * (4.5 / 28))
    page.get_by_text(re.compile(r"y\[0, 4, 20\]")).first.wait_for()
    expect(number(page, "row")).to_have_value("4")
    expect(number(page, "column")).to_have_value("20")


def test_a_clicked_head_and_token_are_followed(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "attention")
    page.locator(".lt-head").nth(2).click()  # the first one stands for all heads
    page.wait_for_function("document.querySelectorAll('.lt-head')[2].getAttribute('aria-pressed') === 'true'")
    page.locator(".lt-readers .lt-token").nth(1).click()
    expect(number(page, "head")).to_have_value("1")
    expect(number(page, "query token")).to_have_value("1")


@pytest.mark.slow
def test_a_clicked_confusion_cell_opens_its_samples(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "mistakes")
    heat = page.locator(".js-plotly-plot").first.locator(".nsewdrag").first
    heat.wait_for()
    settled(page)
    box = heat.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)  # it is 2, and it says 2
    values = "() => [...document.querySelectorAll('input')].filter((input) => input.value === '2').length >= 2"
    page.wait_for_function(values)


@pytest.mark.slow
def test_the_moment_goes_back_by_keyboard_and_is_played_to_the_end(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "convolution")
    steps = runs["cnn"].moments()
    page.locator("[data-testid=stSlider] input").first.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(rf"step={steps[-2]}\b"))
    page.reload()
    page.wait_for_url(re.compile(rf"step={steps[-2]}\b"))
    page.locator("[class*=st-key-look-play] button").first.click()
    page.wait_for_function("!location.search.includes('step=')", timeout=20_000)  # the newest again


@pytest.mark.slow
def test_the_view_follows_a_run_that_trains(page: Any, site: Site) -> None:
    engine = engines.connect(site.store.root, start=False)
    run = site.store.run(engine.start(assign(preset("mlp", "digits"), {"train.steps": 1_000_000}), threads=1))
    until(lambda: run.moments()[-1:] > [16], 240)
    page.goto(f"/look_inside-mistakes?run={run.id}")
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)
    shown = "document.querySelector('[data-testid=stSlider] input')?.getAttribute('aria-valuetext')"
    before, pictures = page.evaluate(shown), drawn(page)
    page.wait_for_function(f"before => {shown} !== before", arg=before, timeout=30_000)
    page.wait_for_function("before => window.__layerlabFigures.draws > before", arg=pictures)
    assert "step=" not in page.url
    engine.close()
    stop(site, run)


def test_the_sample_is_the_same_on_every_page(page: Any, runs: dict[str, Run]) -> None:
    open_view(page, runs, "feature_maps", layer="relu2")
    strongest = page.get_by_role("button", name=re.compile(r"^\d+$")).first
    sample = strongest.inner_text().strip()
    assert sample != "3"
    strongest.click()
    page.get_by_text(f"sample {sample}", exact=True).wait_for()
    page.locator("[data-testid=stTopNavSection]").filter(has_text="Look inside").click()
    page.get_by_text("Convolution up close", exact=True).first.click()
    page.get_by_text(f"sample {sample}", exact=True).wait_for()


def test_a_view_that_does_not_apply_says_which_network_has_it(page: Any, runs: dict[str, Run]) -> None:
    page.goto(f"/look_inside-attention?run={runs['cnn'].id}")
    page.get_by_text(re.compile("transformer, vit")).wait_for()


def test_a_deleted_run_is_told_and_the_page_stands(page: Any, site: Site) -> None:
    page.goto(f"/look_inside-feature_maps?run={'0' * 32}")
    page.get_by_text(re.compile("does not exist here")).wait_for()
    page.get_by_text("Train a network").wait_for()


@pytest.mark.slow
def test_signed_pictures_have_the_themes_scale_whose_zero_is_quiet(page: Any, runs: dict[str, Run]) -> None:
    heat = "[...document.querySelectorAll('.lf-plot')].flatMap((plot) => plot.data ?? []).map((one) => one.colorscale)"
    for theme, below in (("light", "#08306b"), ("dark", "#a6d3f5")):
        page.emulate_media(color_scheme=theme)
        open_view(page, runs, "convolution")
        page.wait_for_function(f"below => {heat}.some((scale) => scale?.[0]?.[1] === below)", arg=below)
