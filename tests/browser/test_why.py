"""Ask why, in a real browser: maps and coloured words appear with their badges, another target asks again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.store import Run
from tests.browser.conftest import Learned, expect, press, settled

pytestmark = pytest.mark.browser
THREE = "saliency,integrated_gradients,random"


@pytest.fixture(scope="module")
def runs(learned: Learned) -> dict[str, Run]:
    """A picture's network and a sentence's."""
    return {"digits": learned("cnn", "digits"), "reviews": learned("transformer", "reviews")}


def ask(page: Any, run: Run, **link: str) -> None:
    """The page with all its answers."""
    more = "".join(f"&{name}={value}" for name, value in {"sample": "3", "why": THREE, **link}.items())
    page.goto(f"/explain-side_by_side?run={run.id}{more}")
    whole(page)


def whole(page: Any) -> None:
    page.get_by_text("Arrays", exact=True).wait_for(timeout=60_000)


def maps(page: Any) -> Any:
    """The figures of the methods."""
    return page.locator(".lf-figure .js-plotly-plot .heatmaplayer image")


def alt(page: Any, method: str) -> str:
    return str(page.locator(f".lf-figure[aria-label^='{method}']").get_attribute("aria-label"))


def test_maps_of_a_picture_appear_with_their_badges(page: Any, runs: dict[str, Run]) -> None:
    ask(page, runs["digits"], target="predicted-1")
    page.wait_for_function("document.querySelectorAll('.lf-figure .heatmaplayer image').length === 3")
    page.get_by_text(re.compile(r"\bholds · gap")).first.wait_for()
    expect(page.get_by_text("no self-check")).to_have_count(2)
    assert "row" in alt(page, "Integrated Gradients")
    expect(maps(page)).to_have_count(3)
    page.get_by_text("Table", exact=True).click()
    page.locator("[data-testid=stDataFrame]").wait_for()
    page.wait_for_url(re.compile("target=predicted-1"))  # the classes' names have come meanwhile, and the target stands
    page.get_by_text("Table", exact=True).click()


@pytest.mark.slow
def test_another_target_asks_again(page: Any, runs: dict[str, Run]) -> None:
    ask(page, runs["digits"])
    page.get_by_text(re.compile("^Why “\\d”[?]")).wait_for()
    before = alt(page, "Integrated Gradients")
    page.get_by_role("combobox", name=re.compile("and not")).click()
    page.get_by_role("option", name="1", exact=True).click()
    page.get_by_text(re.compile("^Why “\\d” and not “1”")).wait_for()
    page.wait_for_url(re.compile("target=predicted-1"))
    page.locator(".lf-figure[aria-label^='Integrated Gradients'][aria-label*='and not “1”']").wait_for()
    assert alt(page, "Integrated Gradients") != before
    page.reload()
    page.get_by_text(re.compile("^Why “\\d” and not “1”")).wait_for()


def test_words_of_a_sentence_are_coloured_and_reached_by_keyboard(page: Any, runs: dict[str, Run]) -> None:
    ask(page, runs["reviews"])
    words = page.locator(".ll-why-words [tabindex]")
    words.first.wait_for()
    page.get_by_text(re.compile(r"\bholds · gap")).first.wait_for()
    many = words.count()
    assert many % 3 == 0
    grounds = words.evaluate_all("all => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(grounds)) > 5
    last = words.nth(many - 1)
    value = last.get_attribute("data-value")
    words.nth(many - 2).focus()
    page.keyboard.press("Tab")
    assert last.evaluate("one => one === document.activeElement")
    assert value in last.evaluate("one => getComputedStyle(one, '::after').content")
    assert last.get_attribute("aria-label") == last.get_attribute("title")


def test_methods_are_chosen_by_keyboard_and_by_the_switch(page: Any, runs: dict[str, Run]) -> None:
    ask(page, runs["digits"], why="saliency")
    page.get_by_role("button", name=re.compile("Methods: 1 of")).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Integrated Gradients", exact=True).focus()
    page.keyboard.press("Space")
    page.wait_for_url(re.compile("why=saliency%2Cintegrated_gradients$"))
    page.keyboard.press("Escape")
    page.get_by_text(re.compile(r"\bholds · gap")).first.wait_for()
    page.get_by_text("controls beside them").click()
    page.wait_for_url(re.compile("random"))
    page.locator(".lf-figure[aria-label^='Random']").wait_for()


@pytest.mark.slow
def test_no_card_jumps_while_maps_arrive(page: Any, runs: dict[str, Run]) -> None:
    page.goto(f"/explain-side_by_side?run={runs['digits'].id}&sample=8")
    whole(page)
    page.locator("[aria-label^='Integrated Gradients'] .heatmaplayer image").wait_for()
    settled(page)
    page.evaluate("""() => {
        const named = (title) => [...document.querySelectorAll("strong")].find((one) => one.textContent === title);
        const top = () => named("Integrated Gradients")?.getBoundingClientRect().top ?? -1;
        window.__places = [];
        setInterval(() => window.__places.push(Math.round(top())), 10);
    }""")
    page.locator("[data-testid=stNumberInputStepUp]").first.click()
    page.get_by_text("test sample 9", exact=True).wait_for()
    whole(page)
    settled(page)
    page.wait_for_function("n => window.__places.length > n", arg=page.evaluate("window.__places.length") + 50)
    places = page.evaluate("window.__places")
    assert len(places) > 50
    assert max(places) - min(places) <= 2  # pixels


@pytest.mark.slow
def test_from_home_one_asks_why(page: Any, runs: dict[str, Run]) -> None:
    page.goto(f"/?run={runs['digits'].id}&sample=2")
    press(page, "Ask why")
    page.get_by_text(re.compile("^Why “\\d”[?]")).wait_for(timeout=60_000)
    page.get_by_text("sample 2", exact=True).first.wait_for()
