"""Shares of layers, class counts and points."""

from __future__ import annotations

import numpy as np

from core.figures import layers, samples
from core.figures.layers import Measure


def test_shares_are_percent_of_the_sum_and_nothing_is_nothing() -> None:
    assert Measure("a", [1, 3]).shares() == [25, 75]
    assert Measure("a", [0, 0]).shares() == [0, 0]


def test_each_measure_has_its_column_over_the_same_layers() -> None:
    figure = layers.shares(["one", "two"], [Measure("p", [1, 3]), Measure("m", [2, 2])], y_title="layer", x_title="%")
    assert [list(bar.x) for bar in figure.data] == [[25, 75], [50, 50]]
    assert figure.layout.xaxis.title.text == "%"
    assert figure.layout.yaxis.title.text == "layer"


def test_the_words_name_the_layer_with_most() -> None:
    said = layers.alt(["one", "two"], [Measure("p", [1, 3]), Measure("m", [0, 0])], "{title}: {name} {share}")
    assert said == "p: two 75 %"
    assert layers.alt([], [Measure("p", [])], "{name}") == ""


def test_counts_are_bars_of_each_part() -> None:
    parts = {"training": {"a": 3, "b": 4}, "test": {"a": 1, "b": 0}}
    figure = samples.counts(parts, x_title="class", y_title="samples")
    assert [bar.name for bar in figure.data] == ["training", "test"]
    assert list(figure.data[0].y) == [3, 4]
    assert samples.alt(parts, "{part} {n} {classes} {low}–{high}") == "training 7 2 3–4 test 1 2 0–1"


def test_points_keep_their_class() -> None:
    places, labels = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), np.array([0, 1, 0])
    figure = samples.points(places, labels, ("in", "out"), titles=("x", "y"))
    assert list(figure.data[0].x) == [0.0, 4.0]
    assert figure.data[1].marker.symbol != figure.data[0].marker.symbol
