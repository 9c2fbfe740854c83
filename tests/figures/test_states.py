"""The pictures of a recurrent cell's memory."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.figures.scales import DIVERGING
from core.figures.states import CLASSES, PATH, Panel, Route, answers, number, panels, path, separation, ticks

STEPS = ["1", "2", "3", "4", "5"]


def made(*shown: Panel, order: tuple[int, ...] = (2, 0, 1)) -> go.Figure:
    return panels(shown, STEPS, order, x_title="row", y_title="unit")


def test_signed_panels_stand_above_gates_and_have_scales_of_their_own() -> None:
    values = np.linspace(-0.5, 0.5, 15).reshape(5, 3)
    figure = made(Panel("hidden", values), Panel("cell", values * 8), Panel("forget", abs(values), gate=True))
    hidden, cell, forget = figure.data
    assert (hidden.zmin, hidden.zmax) == (-1, 1), "what stays within ±1 is comparable"
    assert (cell.zmin, cell.zmax) == (-4, 4)
    assert (forget.zmin, forget.zmax) == (0, 1)
    assert [scale[1] for scale in hidden.colorscale] == [colour for _at, colour in DIVERGING]
    assert hidden.colorscale != forget.colorscale
    assert {annotation.text for annotation in figure.layout.annotations if annotation.text} == {
        "hidden",
        "cell (±4)",
        "forget",
    }
    top, bottom = (figure.layout[trace.yaxis.replace("y", "yaxis")].domain for trace in (hidden, forget))
    assert top[0] > bottom[1]
    assert [trace.showscale for trace in figure.data] == [True, False, True]


def test_units_are_rows_in_the_order_asked_for() -> None:
    values = np.arange(15).reshape(5, 3) / 15
    trace = made(Panel("hidden", values)).data[0]
    assert list(trace.y) == ["2", "0", "1"]
    np.testing.assert_allclose(trace.z, values.T[[2, 0, 1]], rtol=1e-6)
    assert list(trace.x) == [1, 2, 3, 4, 5]


def test_long_sequences_have_few_names_on_their_axis() -> None:
    places, names = ticks([str(i) for i in range(1, 101)])
    assert len(places) <= 14
    assert names[0] == "1"
    assert names[1] == str(places[1] + 1)
    assert ticks(["a", "b"]) == ([0, 1], ["a", "b"])


def test_the_path_lies_over_one_cloud_a_class() -> None:
    ends = np.random.default_rng(0).normal(size=(6, 2))
    targets, read = np.array([0, 1, 1, 0, 1, 0]), ["x", "y", "z", "x", "y"]
    route = Route(np.arange(10.0).reshape(5, 2), ends, targets, ("A", "B"), read)
    figure = path(route, titles=("one", "two"), step="step", start="start", end="end", sample="sample")
    first, second, line = figure.data[:3]
    assert list(first.customdata) == [0, 3, 5], "a click tells which sample it is"
    assert list(second.customdata) == [1, 2, 4]
    assert first.marker.symbol != second.marker.symbol
    assert line.line.color == PATH
    assert line.text[1] == "2 (y)"
    assert [a.text for a in figure.layout.annotations] == ["<b>A</b>", "<b>B</b>"]
    numbers = path(
        Route(route.trajectory, ends, np.linspace(0, 1, 6), (), route.steps),
        titles=("one", "two"),
        step="step",
        start="start",
        end="end",
        sample="sample",
    )
    np.testing.assert_allclose(numbers.data[0].marker.color, np.linspace(0, 1, 6))


def test_of_many_classes_the_likely_ones_are_drawn_and_the_right_one_is_marked() -> None:
    told = np.full((5, 40), 0.001)
    told[:, 33] = 0.9
    figure = answers(told, [f"c{i}" for i in range(40)], STEPS, right=33, x_title="row", y_title="class", value="p")
    assert len(figure.data[0].z) == CLASSES
    assert sum("<b>" in text for text in figure.layout.yaxis.ticktext) == 1
    assert "<b>▸ c33</b>" in figure.layout.yaxis.ticktext


def test_a_number_has_a_line_with_what_is_right() -> None:
    told = np.linspace(0, 1, 5)[:, None]
    assert len(number(told, 0.7, STEPS, x_title="step", y_title="answer").layout.shapes) == 1
    assert not number(told, None, STEPS, x_title="step", y_title="answer").layout.shapes


def test_the_best_units_come_first() -> None:
    figure = separation(np.array([0.1, 0.9, 0.5]), [1, 2, 0], x_title="share", unit="unit")
    assert list(figure.data[0].y) == ["unit 1", "unit 2", "unit 0"]
    assert list(figure.data[0].x) == [0.9, 0.5, 0.1]
    assert figure.layout.shapes[0].x0 == 0.5
