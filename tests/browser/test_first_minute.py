"""The first minute of a learner: one button, and a network learns before their eyes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import (
    Site,
    browsing,
    press,
    record,
    serving,
    settled,
    status,
    until_begun,
    until_step,
)

pytestmark = pytest.mark.browser
FIRST = "Train your first network"
CLOCK = """
addEventListener('click', () => { window.__pressed ??= performance.now(); }, true);
window.__right = [];
new MutationObserver(() => {
  const score = document.querySelector('.ll-live')?.textContent.match(/(\\d+) of 12 right/);
  if (score && window.__pressed) window.__right.push(+score[1]);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


def test_one_click_and_a_network_learns(context: Any, site: Site) -> None:
    """How soon after the click is measured by tests/bench/first_minute.py."""
    page = context.new_page()
    page.add_init_script(CLOCK)
    page.goto("/?sample=3")
    page.locator(".ll-live").wait_for()
    page.evaluate("window.__layerlab.lastStep = -1")  # a finished run may be on the stage
    press(page, FIRST)
    page.wait_for_function("window.__layerlab.lastStep >= 1 && window.__layerlab.draws > 0")
    maps = page.get_by_text(re.compile(r"16 maps of 28×28"))
    maps.wait_for()
    until_step(page, 800, 240)
    status(page, "finished")
    right = page.evaluate("window.__right")
    assert min(right) < right[-1]  # answers have flipped
    assert right[-1] >= 10
    assert record(page)["mounts"] == 1  # no rerun of the page has made it anew
    assert site.newest().latest()["val/accuracy"] > 0.9
    assert "run=" in page.url


def test_on_a_server_that_has_just_begun_answers_and_maps_change_while_steps_go_on(
    chromium: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The wish to watch comes before the first worker is there; it must not be lost."""
    with serving(tmp_path) as cold, browsing(chromium, cold, request.node) as context:
        page = context.new_page()
        page.goto("/")
        press(page, FIRST)
        status(page, "finished", 120)
        until_step(page, 800)
        page.wait_for_function("window.__layerlab.frames.at(-1).step === 800")
        frames = record(page)["frames"]
    live = [frame for frame in frames if 0 < frame["step"] < 800]
    assert {frame["right"] for frame in live} - {frames[0]["right"]}, frames
    assert len({frame["maps"] for frame in live}) > 1
    steps = [frame["step"] for frame in frames]
    assert steps == sorted(steps)
    assert frames[-1]["right"] >= 10


def test_the_still_of_an_old_run_gives_way_to_the_new_one(page: Any, site: Site) -> None:
    page.goto("/train-live?model=mlp&data=digits&train.steps=100")
    press(page, "Start")
    status(page, "finished")
    page.goto("/")
    status(page, "a finished run")
    press(page, FIRST)
    until_step(page, 800, 240)
    status(page, "finished")


def test_pressing_twice_is_one_run(page: Any, site: Site) -> None:
    page.goto("/")
    before = len(site.store.runs())
    page.get_by_role("button", name=FIRST).dblclick()
    until_begun(page, site, before)
    settled(page)  # the second click has been answered, too
    assert len(site.store.runs()) == before + 1


def test_the_keyboard_alone_is_enough(page: Any, site: Site) -> None:
    page.goto("/")
    page.get_by_role("button", name=FIRST).wait_for()
    before = len(site.store.runs())
    for _press in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == FIRST:
            break
    assert page.evaluate("document.activeElement.innerText") == FIRST
    page.keyboard.press("Enter")
    until_begun(page, site, before)
    assert len(site.store.runs()) == before + 1


def test_the_next_steps_lead_on_and_the_run_goes_with_them(page: Any, site: Site) -> None:
    page.goto("/")
    before = len(site.store.runs())
    press(page, FIRST)
    until_begun(page, site, before)
    press(page, "Change it")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    page.wait_for_url(re.compile(r"train-live\?.*run=[0-9a-f]{32}"))
    page.wait_for_url(re.compile(r"[?&]model=cnn"))  # the form's own part comes with the page's next rerun
    page.locator("[data-testid=stTopNavSection]").filter(has_text="Train").click()
    page.get_by_text("Runs", exact=True).first.click()
    page.wait_for_url(re.compile(r"train-runs\?.*run=[0-9a-f]{32}"))
    page.locator("[data-testid=stDataFrame]").wait_for()
