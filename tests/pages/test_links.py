"""The address says everything: a link opened in another session asks the same questions and shows the same picture."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.catalog.entries import View
from core.spec import registry
from core.spec.options import Option, declared
from core.spec.question_base import Question
from core.spec.questions import Explain, Look
from core.store import Store
from tests.pages.conftest import Drawn, Made, Visit
from tests.pages.fake_engine import FakeEngine
from tests.pages.test_side_by_side import Why, kept

SUITED = (("cnn", "digits"), ("transformer", "order"), ("gpt", "characters"), ("lstm", "order"))


def link(at: AppTest) -> dict[str, str]:
    """The address's parameters, to be opened elsewhere."""
    return {name: "".join(value) for name, value in at.query_params.items()}


def asked(fake: FakeEngine) -> list[Question[Any]]:
    return [one for one in fake.asked if isinstance(one, Look | Explain)][-1:]


def another(kind: Any, default: Any, option: Option) -> Any:
    """A value that a widget may have and does not begin with."""
    if option.choices:
        return next(choice for choice in reversed(option.choices) if choice != default)
    if kind is bool:
        return not default
    if kind is str:
        return "2"
    if kind is int:
        return int(default + 1 if default < (option.high or 0) else default - 1)
    grid = [mark for mark in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if (option.low or 0) <= mark <= (option.high or 1)]
    return next(mark for mark in grid if mark != default)


@pytest.mark.parametrize(
    "view", [view for view in registry.VIEWS if declared(view.options)], ids=lambda view: view.name
)
def test_a_link_asks_the_same_of_every_view(visit: Visit, fake: FakeEngine, store: Store, view: View) -> None:
    page = f"{'look' if view.section == 'look_inside' else 'explain'}_{view.name}"
    for preset, data in SUITED:
        run = kept(store, fake, preset, data)
        changed = {
            f"look_{view.name}.{name}": another(kind, default, option)
            for name, (kind, default, option) in declared(view.options).items()
        }
        at = visit(page, run=run.id, fields=changed, sample="3")
        if question := asked(fake):
            break
    assert isinstance(question[0], Look) and question[0].options != view.options()
    fake.asked.clear()
    assert asked(fake) == []
    again = visit(page, **link(at))
    assert asked(fake) == question and not again.error
    assert {name for name in link(again) if name.startswith("look_")} == {n for n in link(at) if n.startswith("look_")}


def test_a_link_asks_the_same_methods_with_the_same_options(visit: Visit, fake: FakeEngine, store: Store) -> None:
    fake.why = Why()
    run = kept(store, fake, "mlp", "digits")
    fields: dict[str, Any] = {"why.methods": ["integrated_gradients"], "why.target": "3-5", "why.seed": 11}
    fields["why_integrated_gradients.steps"] = 24
    at = visit("explain_side_by_side", run=run.id, fields=fields)
    (question,) = asked(fake)
    assert isinstance(question, Explain) and (question.target, question.seed) == ("3-5", 11)
    assert question.methods[0].options.steps == 24  # type: ignore[attr-defined]
    st.cache_resource.clear()
    fake.asked.clear()
    visit("explain_side_by_side", **link(at))
    assert asked(fake) == [question]


def test_a_link_opens_the_same_picture_and_tab(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = made("mlp", "digits")
    at = visit("look_mistakes", run=run.id)
    assert not {name for name in link(at) if "." in name}  # what a page begins with is not said
    at.toggle(key="mistakes.only").set_value(False).run()
    at.segmented_control(key="mistakes.second").set_value("classes").run()
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert "mistakes.classes" in drawn
    drawn.clear()
    again = visit("look_mistakes", **link(at))
    assert "mistakes.classes" in drawn and "mistakes.calibration" not in drawn
    assert not again.toggle(key="mistakes.only").value
    assert again.segmented_control(key="look.beneath").value == "table"


@pytest.mark.parametrize("text", ["bogus", "-1", "1e999", "", "x" * 5000])
def test_what_a_link_asks_that_cannot_be_is_left_aside(visit: Visit, made: Made, text: str) -> None:
    at = visit("look_mistakes", run=made("mlp", "digits").id, **{"look_mistakes.count": text, "mistakes.second": text})
    assert not at.error and at.segmented_control(key="mistakes.second").value == "calibration"
    assert at.number_input(key="look_mistakes.count").value == 24
