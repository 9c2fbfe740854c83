"""The figure of the sanity check: means, ranges and references as they were given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.figures import sanity
from core.figures.sanity import Cascade, Words

WORDS = Words("layers", "correlation", "mean", "range", "random", "given", "{mean} ({low} to {high})")
SHOWN = Cascade(
    [0, 1, 2],
    np.array([[1.0, 1.0], [0.6, 0.2], [0.1, np.nan]]),
    ["none", "+ head", "+ conv"],
    np.array([-0.1, 0.1]),
    0.3,
    1,
)


def traces(shown: Cascade) -> dict[str, object]:
    return {trace.name: trace for trace in sanity.curve(shown, WORDS).data if trace.name}


def test_the_mean_and_the_range_leave_out_what_is_no_number() -> None:
    mean, low, high = sanity.mean_and_range(SHOWN.correlation)
    np.testing.assert_allclose([mean, low, high], [[1, 0.4, 0.1], [1, 0.2, 0.1], [1, 0.6, 0.1]])
    assert all(np.isnan(one[0]) for one in sanity.mean_and_range(np.full((1, 2), np.nan)))


def test_the_curve_its_band_and_what_chance_and_the_input_have() -> None:
    found = traces(SHOWN)
    np.testing.assert_allclose(found["mean"].y, [1, 0.4, 0.1])
    assert found["mean"].text[1] == "0.40 (0.20 to 0.60)" and list(found["mean"].customdata) == [0, 1, 2]
    np.testing.assert_allclose(found["range"].y, [1, 0.6, 0.1])
    np.testing.assert_allclose(found["random"].y, [0.2, 0.2])  # two standard deviations of ±0.1
    assert list(found["given"].y) == [0.3, 0.3]
    assert "given" not in traces(replace(SHOWN, given=float("nan")))


def test_the_depth_that_is_looked_at_is_marked_and_layers_are_named_while_there_is_room() -> None:
    figure = sanity.curve(SHOWN, WORDS)
    marked = next(trace for trace in figure.data if trace.marker.symbol == "circle-open")
    assert (marked.x[0], round(marked.y[0], 2)) == (1, 0.4) and figure.layout.shapes[0].x0 == 1
    assert list(figure.layout.xaxis.ticktext) == ["none", "+ head", "+ conv"]
    assert figure.layout.xaxis.tickangle == 0
    long = replace(SHOWN, added=["none", "+ a_layer_of_a_long_name", "+ another_such_layer"])
    assert sanity.curve(long, WORDS).layout.xaxis.tickangle == -35
    many = replace(SHOWN, depths=list(range(12)), correlation=np.ones((12, 1)), added=["a"] * 12)
    assert sanity.curve(many, WORDS).layout.xaxis.ticktext is None


def test_a_map_that_is_the_same_everywhere_is_drawn_too() -> None:
    shown = replace(SHOWN, correlation=np.full((3, 2), np.nan), random=np.full(2, np.nan), given=float("nan"))
    figure = sanity.curve(shown, WORDS)
    assert list(figure.data[3].y) == [None] * 3 and figure.layout.yaxis.range[0] >= -1.05
