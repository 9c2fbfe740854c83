"""The page of attention, with a worker's real answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.store import Run
from pages.kit import figure
from tests.pages.conftest import Drawn, Made, Visit, button, said

SMALL = {"train.steps": 2, "model.width": 8, "model.heads": 2, "model.layers": 2}


def trained(made: Made, preset: str, data: str, **changes: Any) -> Run:
    return made(preset, data, **{**SMALL, **changes})


def lines(at: AppTest) -> dict[str, Any]:
    """What the tokens with lines were given."""
    found = [json.loads(one.proto.json) for one in at.get("bidi_component")]
    return next(data for data in found if "heads" in data and "padding" in data)


def pick(at: AppTest, kind: str) -> AppTest:
    at.segmented_control(key="attention.kind").set_value(kind).run()
    assert not at.exception
    return at


def test_words_stand_twice_with_the_weights_between_them(visit: Visit, made: Made) -> None:
    run = trained(made, "transformer", "reviews", **{"data.samples": 200})
    data = lines(visit("look_attention", run=run.id, sample="3"))
    count = len(data["tokens"])
    assert "padding" not in data["tokens"]
    assert data["padding"].endswith("× padding")
    assert data["query"] == count - 1
    for head in data["heads"]:
        weights = np.array(head["weights"])
        assert weights.shape == (count, count)
        np.testing.assert_allclose(weights.sum(1), 1000, atol=count)


def test_a_causal_model_marks_later_tokens_as_masked(visit: Visit, made: Made) -> None:
    run = trained(made, "gpt", "copy")
    weights = np.array(lines(visit("look_attention", run=run.id))["heads"][0]["weights"])
    assert (weights[np.triu_indices(len(weights), 1)] == -1).all()
    assert (weights[np.tril_indices(len(weights))] >= 0).all()


def test_every_picture_of_words_is_drawn(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = trained(made, "transformer", "reviews", **{"data.samples": 200})
    at = visit("look_attention", run=run.id, sample="3")
    for kind in ("maps", "row", "rollout", "worth"):
        pick(at, kind)
        assert drawn[f"attention.{kind}"]["alt"]
    assert "gives a **score** for each token" in said(pick(at, "row"))


def test_a_patch_that_is_pressed_becomes_the_query(visit: Visit, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    # a button stands for the component, which AppTest cannot reach
    def show(_fig: go.Figure, *, key: str, alt: str, on_click: Callable[[dict[str, Any]], None] | None = None) -> None:
        if on_click:
            point = {"customdata": ["block2", 1] if key == "attention.worth" else 6, "x": 1, "y": "3 · row", "z": 0.1}
            st.button(alt, key=f"click {key}", on_click=on_click, args=(point,))

    monkeypatch.setattr(figure, "show", show)
    run = trained(made, "vit", "digits", **{"model.patch": 7})
    at = visit("look_attention", run=run.id)
    assert "the class token" in said(at)
    at.button(key="click attention.picture").click().run()
    assert at.number_input(key="look_attention.query").value == 6
    assert "row 1, column 1" in said(at)
    button(at, "Back to the class token").click().run()
    assert at.number_input(key="look_attention.query").value == 0
    pick(at, "maps").button(key="click attention.maps").click().run()
    assert at.number_input(key="look_attention.query").value == 3
    pick(at, "rollout").button(key="click attention.rollout").click().run()
    assert at.number_input(key="look_attention.query").value == 6
    pick(at, "worth").button(key="click attention.worth").click().run()
    assert at.number_input(key="look_attention.head").value == 1
    assert at.query_params["layer"] in ("block2", ["block2"])


def test_the_heads_are_measured_on_request(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = trained(made, "vit", "digits", **{"model.patch": 7})
    at = pick(visit("look_attention", run=run.id), "worth")
    assert len(drawn["attention.worth"]["fig"].data) == 1
    at.button(key="attention.measure").click().run()
    assert not at.exception
    assert len(drawn["attention.worth"]["fig"].data) == 2
    assert at.toggle(key="look_attention.ablation").value is True
    assert "Loss with all heads" in said(at)


def test_what_changes_only_the_picture_says_so(visit: Visit, made: Made) -> None:
    run = trained(made, "transformer", "reviews", **{"data.samples": 200})
    at = visit("look_attention", run=run.id)
    at.number_input(key="look_attention.temperature").set_value(0.5)
    at.toggle(key="look_attention.causal").set_value(True).run()
    assert "changes only what is shown" in said(at)
    assert "As if causal" in said(at)


@pytest.mark.slow
def test_long_rows_are_paged_and_drawn_in_blocks(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = trained(made, "gpt", "characters", **{"data.length": 256, "train.batch_size": 4})
    at = visit("look_attention", run=run.id)
    data = lines(at)
    assert len(data["tokens"]) == 64
    assert data["numbers"] == list(range(192, 256))
    assert "Tokens 192 to 255 of 256 are drawn" in said(at)
    at.number_input(key="look_attention.query").set_value(70).run()
    assert lines(at)["numbers"] == list(range(64, 128))
    assert "in blocks of 3" in said(pick(at, "maps"))
    assert len(drawn["attention.maps"]["fig"].data[0].z) == 86


def test_a_model_without_attention_says_which_have_it(visit: Visit, made: Made) -> None:
    assert "transformer, vit and gpt" in said(visit("look_attention", run=made("cnn").id)).replace("\\", "")
