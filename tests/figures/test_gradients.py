"""The gradient's pictures: what is drawn, on which scale, and what happens to zeros and overflows."""

from __future__ import annotations

import numpy as np

from core.figures import gradients
from core.figures.gradients import Bars

TITLES = {"x_title": "step", "y_title": "layer", "value": "norm", "now_title": "norm now"}
NOW = Bars(["conv1", "norm1", "head"], np.array([1e-3, 0.0, 1.0]), frozenset({"norm1"}), "conv1")


def test_the_strip_is_logarithmic_and_the_hover_has_the_number_itself() -> None:
    history = np.array([[1e-3, 1e-2], [0.0, 1.0], [np.inf, 10.0]])
    strip, bars = gradients.flow(np.array([1, 9]), history, NOW, **TITLES, shown=9).data
    np.testing.assert_allclose(strip.z, [[-3, -2], [-3, 0], [np.nan, 1]])
    np.testing.assert_array_equal(strip.customdata, history)
    assert (strip.zmin, strip.zmax) == (-3, 1)
    assert list(bars.marker.color) == [gradients.CHOSEN, gradients.ASIDE, gradients.BAR]
    np.testing.assert_allclose(bars.x, [1e-3, np.nan, 1])


def test_a_long_history_is_thinned_and_keeps_its_ends() -> None:
    steps = np.arange(1, 5001)
    strip = gradients.flow(steps, np.ones((3, 5000)), NOW, **TITLES).data[0]
    assert len(strip.x) <= gradients.COLUMNS
    assert (strip.x[0], strip.x[-1]) == (1, 5000)


def test_without_readings_the_bars_stand_alone() -> None:
    (bars,) = gradients.flow(np.zeros(0), np.zeros((3, 0)), NOW, **TITLES).data
    assert bars.type == "bar"


def test_a_scale_spans_at_most_its_decades() -> None:
    strip = gradients.flow(np.array([1]), np.array([[1e-30], [1e-2], [1.0]]), NOW, **TITLES).data[0]
    assert strip.zmax - strip.zmin == gradients.DECADES
    assert strip.z[0][0] == strip.zmin


def test_histograms_draw_the_counts_and_leave_empty_bins_out() -> None:
    edges = np.linspace(0, 2, 3)
    counts = [np.array([5, 0]), np.array([1, 4])]
    one, two = gradients.histograms(
        ["relu1", "head"], counts, [edges, edges], chosen="head", x_title="output", y_title="how many"
    ).data
    np.testing.assert_array_equal(one.y, [5, np.nan])
    assert (one.marker.color, two.marker.color) == (gradients.BAR, gradients.CHOSEN)
    np.testing.assert_allclose(one.x, [0.5, 1.5])


def test_shares_are_percent() -> None:
    bars = gradients.shares(Bars(["relu1"], np.array([0.25])), x_title="dead units (%)", limit=0.8).data[0]
    assert list(bars.x) == [25.0]


def test_a_share_of_nothing_is_said_where_no_bar_can_be() -> None:
    notes = gradients.shares(Bars(["relu1", "relu2"], np.array([0.0, 0.5])), x_title="%").layout.annotations
    assert [(note.text, note.y) for note in notes] == [("0 %", "relu1")]
