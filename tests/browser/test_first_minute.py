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
    stop,
    until_begun,
    until_step,
)

pytestmark = pytest.mark.browser
FIRST = "Train your first network"


def test_on_a_server_that_has_just_begun_one_click_and_a_network_learns_before_your_eyes(
    chromium: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The wish to watch comes before the first worker is there; it must not be lost.

    How soon after the click the first step comes is measured by tests/bench/first_minute.py.
    """
    with serving(tmp_path) as cold, browsing(chromium, cold, request.node) as context:
        page = context.new_page()
        page.goto("/?sample=3")
        press(page, FIRST)
        page.get_by_text(re.compile(r"16 maps of 28×28")).wait_for()
        status(page, "finished", 120)
        until_step(page, 800)
        page.wait_for_function("window.__layerlab.frames.at(-1).step === 800")
        about = record(page)
        assert "run=" in page.url
        assert cold.newest().latest()["val/accuracy"] > 0.9
    frames = about["frames"]
    live = [frame for frame in frames if 0 < frame["step"] < 800]
    assert {frame["right"] for frame in live} - {frames[0]["right"]}, frames  # answers flip while steps go on
    assert len({frame["maps"] for frame in live}) > 1
    steps = [frame["step"] for frame in frames]
    assert steps == sorted(steps)
    assert frames[-1]["right"] >= 10
    assert about["mounts"] == 1  # no rerun of the page has made it anew


@pytest.mark.slow
def test_the_still_of_an_old_run_gives_way_to_the_new_one(page: Any, site: Site) -> None:
    page.goto("/train-live?model=mlp&data=digits&train.steps=100")
    press(page, "Start")
    status(page, "finished")
    page.goto("/")
    status(page, "a finished run")
    before = len(site.store.runs())
    press(page, FIRST)
    run = until_begun(page, site, before)
    until_step(page, 1)
    stop(site, run)
    status(page, "stopped")


def test_pressing_twice_is_one_run(page: Any, site: Site) -> None:
    page.goto("/")
    before = len(site.store.runs())
    page.get_by_role("button", name=FIRST).dblclick()
    until_begun(page, site, before)
    settled(page)  # the second click has been answered, too
    assert len(site.store.runs()) == before + 1
    stop(site, site.newest())


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
    run = until_begun(page, site, before)
    assert len(site.store.runs()) == before + 1
    stop(site, run)


@pytest.mark.slow
def test_the_next_steps_lead_on_and_the_run_goes_with_them(page: Any, site: Site) -> None:
    page.goto("/")
    before = len(site.store.runs())
    press(page, FIRST)
    run = until_begun(page, site, before)
    stop(site, run)  # where it leads does not hang on how far it came
    press(page, "Change it")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    page.wait_for_url(re.compile(r"train-live\?.*run=[0-9a-f]{32}"))
    page.wait_for_url(re.compile(r"[?&]model=cnn"))  # the form's own part comes with the page's next rerun
    page.locator("[data-testid=stTopNavSection]").filter(has_text="Train").click()
    page.get_by_text("Runs", exact=True).first.click()
    page.wait_for_url(re.compile(r"train-runs\?.*run=[0-9a-f]{32}"))
    page.locator("[data-testid=stDataFrame]").wait_for()
