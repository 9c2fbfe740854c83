"""A run is steered, watched from several tabs, left and met again; nothing is missed and nothing doubled."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest

from core.store import Run
from core.store.addresses import read_address
from tests.browser.conftest import Site, expect, press, record, status, stop, until_begun, until_step
from tests.engine.conftest import until

pytestmark = pytest.mark.browser
LINK = "/train-live?model=mlp&data=digits&train.steps={steps}"
ENDLESS = 1_000_000  # a quarter of an hour and the most there may be: this run ends because somebody stops it


def begin(page: Any, site: Site, steps: int) -> Run:
    """Start a run from a link's form."""
    page.goto(LINK.format(steps=steps))
    before = len(site.store.runs())
    button = page.get_by_role("button", name="Start", exact=True)
    button.wait_for()
    page.wait_for_function("window.__layerlab?.mounts > 0")
    assert len(site.store.runs()) == before  # a link trains nothing
    button.click()
    run = until_begun(page, site, before)
    until_step(page, 1)
    return run


def rows(run: Run) -> int:
    """Rows of numbers in the run's file."""
    return sum("values" in json.loads(line) for line in run.events_path.read_text().splitlines())


def ended(page: Any, run: Run) -> None:
    """See more of the run, stop it, and wait until its last row is drawn."""
    until_step(page, run.status().step + 300)
    press(page, "Stop")
    status(page, "stopped")
    until_step(page, run.status().step)


def engine_pid(site: Site) -> int:
    """The process of the engine that holds the site's runs; 0 when nobody says."""
    address = read_address(site.store.root)
    return address.pid if address else 0


def test_pause_change_the_learning_rate_resume_stop(page: Any, site: Site) -> None:
    run = begin(page, site, ENDLESS)
    press(page, "Pause")
    status(page, "paused")
    held = run.status().step
    until_step(page, held)
    press(page, "Step")
    page.wait_for_function("held => window.__layerlab.lastStep > held", arg=held)
    slider = page.locator("[class*='st-key-steer-lr'] [data-testid=stSlider] input")
    slider.focus()
    page.keyboard.press("ArrowRight")
    press(page, "Resume")
    page.wait_for_function("held => window.__layerlab.lastStep > held + 50", arg=held)
    until(lambda: "set/lr" in run.latest(), 240)
    press(page, "Stop")
    status(page, "stopped")
    assert run.latest()["set/lr"] != run.experiment().train.lr
    expect(page.get_by_role("button", name="Pause", exact=True)).to_have_count(0)  # it says Resume now


def test_a_reload_in_the_middle_misses_nothing_and_doubles_nothing(page: Any, site: Site) -> None:
    run = begin(page, site, ENDLESS)
    until_step(page, 300)
    page.reload()
    ended(page, run)
    assert run.id in page.url
    assert record(page)["rows"] == rows(run)


def test_a_cut_stream_is_taken_up_where_it_broke(page: Any, site: Site) -> None:
    cuts: list[Any] = []

    def between(socket: Any) -> None:
        server = socket.connect_to_server()
        cuts.append((socket, server))

    page.route_web_socket(re.compile(r"/live\?"), between)
    run = begin(page, site, ENDLESS)
    socket, server = cuts[-1]
    server.close()
    socket.close(code=1011)
    page.wait_for_function("window.__layerlab.reconnects >= 1")
    ended(page, run)
    assert record(page)["reconnects"] >= 1
    assert record(page)["rows"] == rows(run)


@pytest.mark.slow
def test_the_stages_choices_are_the_addresss_and_stand_after_a_reload(page: Any, site: Site) -> None:
    begin(page, site, 200)
    status(page, "finished", 240)
    page.locator(".ll-live select").select_option("head")
    page.wait_for_url(re.compile("layer=head"))
    page.get_by_label("sample", exact=True).fill("4")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("sample=4"))
    page.reload()
    page.get_by_text(re.compile("10 values")).wait_for()
    expect(page.locator(".ll-live select")).to_have_value("head")
    expect(page.get_by_label("sample", exact=True)).to_have_value("4")


def test_an_engine_that_dies_is_replaced_and_the_run_goes_on(page: Any, site: Site) -> None:
    run = begin(page, site, ENDLESS)
    until_step(page, 300)
    killed = engine_pid(site)
    os.kill(killed, signal.SIGKILL)
    until(lambda: engine_pid(site) not in (0, killed), 240)
    press(page, "Pause")
    status(page, "paused", 240)
    press(page, "Stop")
    status(page, "stopped")
    assert run.status().step >= 300


@pytest.mark.parametrize("others", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_all_tabs_are_live(page: Any, context: Any, site: Site, others: int) -> None:
    run = begin(page, site, ENDLESS)
    press(page, "Pause")  # while the tabs open: two processors have enough to do with the pages
    status(page, "paused")
    tabs = [page, *(context.new_page() for _ in range(others))]
    for tab in tabs[1:]:
        tab.goto(f"/train-live?run={run.id}")
    held = run.status().step
    for tab in tabs:
        until_step(tab, held)
    press(page, "Resume")
    for tab in tabs:
        until_step(tab, held + 20)
    stop(site, run)
    for tab in tabs:
        tab.bring_to_front()
        status(tab, "stopped")
