"""The pages "Memory" and "Through time", with a worker's real answers."""

from __future__ import annotations

from typing import Any

import pytest

from core.spec.questions import Look
from core.store import Run
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.pages.fake_engine import FakeEngine


def small(made: Made, preset: str, data: str = "digits", **changes: Any) -> Run:
    return made(preset, data, **{"model.hidden": 8, **({"data.size": 8} if data == "digits" else {}), **changes})


CASES = [
    ("rnn", "digits", {}),
    ("lstm", "order", {"model.bidirectional": True, "model.layers": 2}),
    ("gru", "copy", {}),
    ("lstm", "adding", {"data.length": 10, "data.samples": 100}),
]


@pytest.mark.parametrize(("preset", "data", "changes"), CASES)
def test_memory_shows_states_answers_path_and_units(
    visit: Visit, made: Made, drawn: Drawn, preset: str, data: str, changes: dict[str, Any]
) -> None:
    at = visit("look_states", run=small(made, preset, data, **changes).id)
    assert list(drawn) == ["states.panels", "states.answers", "states.path", "states.separation"]
    assert all(one["alt"] for one in drawn.values())
    assert len(drawn["states.panels"]["fig"].data) == {"rnn": 1, "lstm": 6, "gru": 4}[preset]
    assert "computed by hand" in said(at)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 8
    assert not at.exception


def test_a_click_on_an_end_state_follows_that_sample(visit: Visit, made: Made, drawn: Drawn, fake: FakeEngine) -> None:
    visit("look_states", run=made("rnn").id)
    on_click = drawn["states.path"]["on_click"]
    on_click({"customdata": None})  # a point of the path itself
    ends = drawn["states.path"]["fig"].data[0].customdata
    assert all(isinstance(sample, int) for sample in ends)


@pytest.mark.parametrize(("preset", "data", "changes"), CASES)
def test_through_time_shows_a_verdict_and_curves(
    visit: Visit, made: Made, drawn: Drawn, preset: str, data: str, changes: dict[str, Any]
) -> None:
    at = visit("look_through_time", run=small(made, preset, data, **changes).id)
    assert list(drawn) == ["through_time.curves"]
    names = [trace.name for trace in drawn["through_time.curves"]["fig"].data]
    assert ("bound" in " ".join(names)) == (preset == "rnn")
    assert ("cell state, mean" in names) == (preset == "lstm")
    assert "÷ last" in said(at)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == len(drawn["through_time.curves"]["fig"].data[-1].x)


@pytest.mark.parametrize(("preset", "option", "value"), [("rnn", "gain", 2.0), ("lstm", "forget_bias", 3.0)])
def test_the_slider_asks_what_if(
    visit: Visit, made: Made, drawn: Drawn, fake: FakeEngine, preset: str, option: str, value: float
) -> None:
    at = visit("look_through_time", run=small(made, preset).id)
    assert "as learned" not in [trace.name for trace in drawn["through_time.curves"]["fig"].data]
    at.slider(key=f"look_through_time.{option}").set_value(value).run()
    asked = [question for question in fake.asked if isinstance(question, Look)][-1]
    assert getattr(asked.options, option) == value
    assert at.slider(key=f"look_through_time.{option}").value == value
    assert len(at.slider) == 1  # the other what-if cannot matter for this cell
    assert "as learned" in [trace.name for trace in drawn["through_time.curves"]["fig"].data]
    assert "what-if" in said(at)
    assert not at.exception


def test_a_network_without_a_state_is_told_what_has_one(visit: Visit, made: Made) -> None:
    run = made("mlp", **{"model.hidden": (8,)})
    for page in ("look_states", "look_through_time"):
        assert "rnn, irnn, lstm and gru" in " ".join(str(info.value) for info in visit(page, run=run.id).info)
