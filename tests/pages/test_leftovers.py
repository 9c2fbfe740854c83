"""What was chosen for one run, and what is left of it when the next is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.spec import drawings, registry
from core.spec.options import declared
from core.spec.question_base import Question
from core.spec.questions import Explain, Look
from core.store import Run, Store
from tests.pages.addresses import PAGES
from tests.pages.conftest import Made, Visit, said
from tests.pages.fake_engine import FakeEngine
from tests.pages.test_side_by_side import Why, kept

DRAWN = drawings.encode(np.eye(28, dtype=np.uint8) * 255)
RUNS = {
    "pictures": ("cnn", "digits", {}),
    "tokens": ("transformer", "order", {}),
    "characters": ("gpt", "characters", {}),
    "points": ("mlp", "points", {}),
}
ASKING = [page for page in PAGES if page not in ("home", "build", "data", "train", "runs", "explain_scoreboard")]


def leftovers() -> dict[str, Any]:
    """A choice that no other network and no other data have, for everything that names a place in one of them."""
    forms = [(f"look_{view.name}", view.options) for view in registry.VIEWS]
    forms += [(f"why_{method.name}", method.options) for method in registry.METHODS]
    fields: dict[str, Any] = {"layer": "conv9", "drawn": DRAWN, "why.target": "8-7"}
    for part, options in forms:
        for name, (kind, _default, option) in declared(options).items():
            if option.place_in:
                fields[f"{part}.{name}"] = "zebra" if kind is str and not option.choices else _last(kind, option)
    return fields


def _last(kind: Any, option: Any) -> Any:
    return option.choices[-1] if option.choices else int(option.high) if kind is int else "7, 7"


def asked(_at: AppTest, fake: FakeEngine) -> list[Question[Any]]:
    """What the page has asked last: a look, or why."""
    return [one for one in fake.asked if isinstance(one, Look | Explain)][-1:]


def choose(at: AppTest, run: Run) -> AppTest:
    """Choose this run in the bar."""
    return at.selectbox(key="run_bar.run").set_value(run.id).run()


@pytest.mark.each_value
@pytest.mark.parametrize("before, then", [(a, b) for a in RUNS for b in RUNS if a != b])
@pytest.mark.parametrize("page", ASKING)
def test_the_next_run_is_asked_about_as_if_it_were_the_first(
    visit: Visit, fake: FakeEngine, store: Store, page: str, before: str, then: str
) -> None:
    fake.why = Why()
    first, second = (kept(store, fake, *RUNS[name][:2], **RUNS[name][2]) for name in (before, then))
    at = visit(page, fields=leftovers() | {"kept.of": first.id}, run=first.id)
    fake.asked.clear()
    after = asked(choose(at, second), fake)
    st.cache_resource.clear()  # what is known already is not asked again
    assert not at.exception and not at.error and not at.warning
    fake.asked.clear()
    assert after == asked(visit(page, run=second.id), fake)


def test_every_option_that_names_a_place_says_so() -> None:
    """Whoever adds an option called like one of these says whether it names a place in the network or in the data."""
    names = {"map", "row", "column", "head", "unit", "inner", "place", "stack"}
    names |= {"query", "target", "predicted", "toward"}
    forms = [entry.options for entry in (*registry.VIEWS, *registry.METHODS)]
    silent = [
        f"{options.__name__}.{name}"
        for options in forms
        for name, (_kind, _default, option) in declared(options).items()
        if name in names and not option.place_in
    ]
    assert silent == []


def test_what_fits_the_next_run_stays(visit: Visit, fake: FakeEngine, store: Store) -> None:
    """Two networks on the same data: the layer of that name, the drawing, the class and the sample mean the same."""
    one, two = kept(store, fake, "cnn", "digits"), kept(store, fake, "cnn", "digits", **{"model.channels": (8, 8)})
    link = {"run": one.id, "sample": "7", "layer": "conv2", "drawn": DRAWN}
    at = visit("look_mistakes", fields={"look_mistakes.target": "8"}, **link)
    (question,) = asked(choose(at, two), fake)
    assert isinstance(question, Look) and question.options.target == "8"  # type: ignore[attr-defined]
    assert {name: "".join(at.query_params[name]) for name in ("sample", "layer", "drawn")} == {
        "sample": "7",
        "layer": "conv2",
        "drawn": DRAWN,
    }


def test_a_drawing_is_no_sample_of_a_transformer(visit: Visit, made: Made) -> None:
    """The fault that was met: its attention failed in red, and “Try again” repeated it."""
    small = {"train.steps": 2, "model.width": 8, "model.heads": 2, "model.layers": 2}
    first, run = made("mlp", "digits"), made("transformer", "reviews", **small, **{"data.samples": 200})
    at = visit("look_feature_maps", run=first.id, drawn=DRAWN)
    assert "your drawing" in said(at)
    choose(at, run)
    assert not at.error and "sample 0" in said(at)
    assert not visit("look_attention", run=run.id, drawn=DRAWN).error


def test_a_sample_past_the_last_one_gives_way_to_the_last(visit: Visit, fake: FakeEngine, made: Made) -> None:
    at = visit("look_feature_maps", run=made("mlp", "digits").id, sample="9000")
    assert at.number_input(key="sample").value == at.number_input(key="sample").max == 359
    assert "".join(at.query_params["sample"]) == "359"
    looks = [question for question in fake.asked if isinstance(question, Look)]
    assert [replace(look, sample=0) for look in looks] == [replace(looks[0], sample=0)] * 2
    assert "sample 359" in said(at) and "9,000" not in said(at) and not at.warning
