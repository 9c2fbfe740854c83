"""The figures of the influence: sums by moment, and counts by value."""

from __future__ import annotations

import numpy as np

from core.figures import influence


def test_helpful_and_harmful_stand_above_and_below_each_moment() -> None:
    groups = {"helpful": np.array([0.1, 0.2]), "harmful": np.array([-0.1, 0.0])}
    figure = influence.when([0, 8], groups, titles=("step", "influence"))
    up, down = figure.data
    assert tuple(up.x) == ("0", "8") and tuple(down.y) == (-0.1, 0.0)
    assert up.marker.color != down.marker.color and up.marker.pattern.shape != down.marker.pattern.shape
    assert figure.layout.barmode == "relative" and figure.layout.showlegend
    assert not influence.when([0], {"suspects": np.ones(1)}, titles=("step", "influence")).layout.showlegend


def test_every_sample_is_counted_once_on_bins_that_both_share() -> None:
    values = np.random.default_rng(0).normal(size=500)
    same = values > 0.5
    figure = influence.spread(values, {"same": same, "other": ~same}, titles=("value", "samples"))
    counts = [np.nansum(np.array(bars.y, dtype=float)) for bars in figure.data]
    assert counts == [same.sum(), (~same).sum()] and tuple(figure.data[0].x) == tuple(figure.data[1].x)
    assert figure.layout.yaxis.type == "log"


def test_values_that_are_all_the_same_are_drawn_too() -> None:
    bars = influence.spread(np.zeros(5), {"all": np.ones(5, bool)}, titles=("value", "samples")).data[0]
    assert np.nansum(np.array(bars.y, dtype=float)) == 5
