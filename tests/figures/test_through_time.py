"""The curves of the gradient through time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from core.figures.through_time import ROOM, Line, back_in_time, frame, positive

NONE = np.zeros((0, 0))


def made(lines: list[Line], samples: np.ndarray = NONE) -> go.Figure:
    return back_in_time(lines, samples, x_title="steps back", y_title="norm", each="samples", step="steps back")


def test_lines_start_at_the_end_and_the_axis_is_logarithmic() -> None:
    figure = made([Line("mean", np.array([1.0, 0.1, 0.01]), "main")])
    assert list(figure.data[0].x) == [0, 1, 2]
    assert figure.layout.yaxis.type == "log"
    assert "%{y:.3g}" in figure.data[0].hovertemplate


def test_samples_are_one_trace_with_gaps() -> None:
    figure = made([Line("mean", np.ones(3), "main")], np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]]))
    drawn = figure.data[0].y
    assert len(drawn) == 8
    assert np.isnan(drawn[[2, 3, 7]]).all()
    assert list(drawn[4:7]) == [3, 4, 5]


def test_nothing_and_what_is_no_number_are_gaps() -> None:
    kept = positive(np.array([1.0, 0.0, np.nan, np.inf]))
    assert kept[0] == 1
    assert np.isnan(kept[1:]).all()
    made([Line("dead", np.zeros(4), "main")])


def test_a_bound_does_not_squeeze_what_it_bounds() -> None:
    gradient = Line("mean", np.array([1.0, 1e-2, 1e-4]), "main")
    bound = Line("bound", np.array([1.0, 1e10, 1e20]), "limit", frames=False)
    low, high = frame([gradient, bound], NONE)
    assert low == pytest.approx(-4, abs=0.4)
    assert high == pytest.approx(ROOM, abs=0.4)
    small = Line("bound", np.array([1.0, 0.5, 0.25]), "limit", frames=False)
    assert frame([gradient, small], NONE)[1] == pytest.approx(0, abs=0.4)
