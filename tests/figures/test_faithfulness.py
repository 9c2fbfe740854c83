"""The figure of the faithfulness check: what is drawn is what was given."""

from __future__ import annotations

import numpy as np

from core.figures import faithfulness
from core.figures.faithfulness import Lines

SHARE = np.array([0.0, 0.5, 1.0])
RANDOM = np.array([[1.0, 0.6, 0.0], [1.0, 0.2, 0.0]])
METHODS = [np.array([1.0, 0.1, 0.0]), np.array([1.0, 0.9, 0.0])]


def drawn(**more: object) -> object:
    shown = [Lines("Deletion", "deleted", METHODS, RANDOM), Lines("Insertion", "inserted", METHODS[::-1], 1 - RANDOM)]
    return faithfulness.panels(SHARE, shown, ["one", "two"], y_title="probability", random="random", **more)


def test_every_method_has_a_line_in_both_panels_and_one_entry_in_the_legend() -> None:
    figure = drawn()
    lines = {(trace.name, trace.xaxis): trace for trace in figure.data if trace.name}
    assert len(lines) == 6
    assert list(lines["one", "x"].y) == [1.0, 0.1, 0.0] and list(lines["one", "x2"].y) == [1.0, 0.9, 0.0]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["random", "one", "two"]
    assert list(lines["one", "x"].x) == [0, 50, 100]
    assert lines["one", "x"].line.dash != lines["two", "x"].line.dash
    assert lines["one", "x"].line.dash == lines["one", "x2"].line.dash


def test_the_band_is_the_range_of_the_random_orders_and_the_dotted_line_their_mean() -> None:
    figure = drawn()
    low, high, mean = figure.data[:3]
    assert list(low.y) == [1.0, 0.2, 0.0] and list(high.y) == [1.0, 0.6, 0.0] and high.fill == "tonexty"
    np.testing.assert_allclose(mean.y, [1.0, 0.4, 0.0])
    assert mean.line.dash == "dot"


def test_no_method_is_drawn_in_the_grey_of_the_random_orders() -> None:
    lines = {trace.name: trace for trace in drawn(colors=["#5a5f6b", "#0072b2"]).data if trace.name}
    assert lines["random"].line.color == faithfulness.GREY and lines["one"].line.color == "#0072b2"


def test_axes_have_titles_and_a_probability_its_ends() -> None:
    figure = drawn(ends=(0.0, 1.0), colors=["#d55e00"])
    assert figure.layout.xaxis.title.text == "deleted" and figure.layout.xaxis2.title.text == "inserted"
    assert figure.layout.yaxis.title.text == "probability" and tuple(figure.layout.yaxis2.range) == (0.0, 1.0)
    assert drawn().layout.yaxis.range is None
