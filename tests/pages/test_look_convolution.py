"""The page of one cell of a convolution, with a worker's real answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.kit import figure
from tests.pages.conftest import Drawn, Made, Visit, said


def html_of(at: AppTest) -> str:
    return "\n".join(str(one.proto.body) for one in at.get("html"))


def test_the_first_layer_shows_window_map_and_products(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_convolution", run=made("cnn").id, layer="conv1")
    assert list(drawn) == [f"convolution.{name}.conv1" for name in ("sample", "made", "products")]
    assert all(one["alt"] for one in drawn.values())
    assert "sum of all x · w" in html_of(at)
    assert "ReLU" in html_of(at)
    assert "x_{c,\\;i+u-1,\\;j+v-1}" in said(at)


@pytest.mark.slow
def test_arrows_and_numbers_move_the_cell(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_convolution", run=made("cnn").id, layer="conv2")
    assert "convolution.given.conv2" in drawn
    row = at.number_input(key="look_convolution.row")
    assert (row.value, row.placeholder) == (None, "of the largest")
    at.number_input(key="look_convolution.row").set_value(0)
    at.number_input(key="look_convolution.column").set_value(5)
    at.number_input(key="look_convolution.map").set_value(2).run()
    assert "y[2, 0, 5]" in html_of(at)
    assert "padding" in said(at)
    at.button(key="convolution.up").click().run()
    assert "y[2, 13, 5]" in html_of(at), "beyond the top it comes in again at the bottom"
    at.button(key="convolution.right").click().run()
    assert at.number_input(key="look_convolution.column").value == 6
    assert "y[2, 13, 6]" in html_of(at)


def test_a_field_that_is_emptied_goes_back_to_the_largest_cell(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_convolution", run=made("cnn").id, layer="conv2")
    first = html_of(at)
    for name, value in (("row", 0), ("column", 5)):
        at.number_input(key=f"look_convolution.{name}").set_value(value)
    assert html_of(at.run()) != first
    for name in ("row", "column"):
        at.number_input(key=f"look_convolution.{name}").set_value(None)
    assert html_of(at.run()) == first
    assert not at.exception


def test_a_click_on_the_map_chooses_the_cell(visit: Visit, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    # a button stands for the component, which AppTest cannot reach
    def show(_fig: go.Figure, *, key: str, alt: str, on_click: Callable[[dict[str, Any]], None] | None = None) -> None:
        if on_click:
            st.button(alt, key=f"click {key}", on_click=on_click, args=({"x": 3, "y": 4, "z": 0.5},))

    monkeypatch.setattr(figure, "show", show)
    at = visit("look_convolution", run=made("cnn").id, layer="conv2")
    at.button(key="click convolution.made.conv2").click().run()
    assert not at.exception
    assert "y[0, 4, 3]" in html_of(at)


@pytest.mark.slow
def test_inside_a_block_each_convolution_can_be_chosen(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = made("resnet8", **{"model.width": 4})
    at = visit("look_convolution", run=run.id, layer="stage2_block1")
    assert "Map 0 of stage2_block1.conv1" in said(at)
    at.segmented_control(key="convolution.inner").set_value("conv2").run()
    assert not at.exception
    assert "Map 0 of stage2_block1.conv2" in said(at)
    assert "goes on with this value" in said(at)


def test_a_model_without_a_convolution_says_what_has_one(visit: Visit, made: Made) -> None:
    at = visit("look_convolution", run=made("mlp").id)
    assert "no convolution" in said(at)
