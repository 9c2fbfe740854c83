"""Maps made ready to be painted, and the figures of sequences, vectors and climbs."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import feature_maps as figures
from core.figures.maximise import climb


def test_bytes_give_the_values_back_to_half_a_level():
    values = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32) * np.float32([[[1]], [[100]], [[0]]])
    made = figures.painted(values)
    back = made.low[:, None, None] + made.data / 255 * (made.high - made.low)[:, None, None]
    assert np.all(np.abs(back - values) <= (made.high - made.low)[:, None, None] / 510 + 1e-6)
    assert figures.painted(np.full((1, 2, 2), np.nan)).data.tolist() == [[[0, 0], [0, 0]]]


@pytest.mark.parametrize(("height", "width", "side"), [(7, 5, 3), (130, 64, 64), (64, 64, 64), (65, 2, 64)])
def test_a_coarse_map_is_the_mean_of_squares(height, width, side):
    maps = np.random.default_rng(1).normal(size=(2, height, width)).astype(np.float32)
    made = figures.coarse(maps, side)
    k = -(-height // made.shape[1])
    for i in range(made.shape[1]):
        for j in range(made.shape[2]):
            square = maps[:, i * k : (i + 1) * k, j * k : (j + 1) * k]
            np.testing.assert_allclose(made[:, i, j], square.mean((1, 2)), atol=1e-5)
    assert max(made.shape[1:]) <= side


def test_pages_hold_every_map_once():
    order = np.random.default_rng(2).permutation(4096).tolist()
    parts = [figures.on_page(order, page) for page in range(1, figures.pages(4096) + 1)]
    assert [one for part in parts for one in part] == order and max(map(len, parts)) == figures.PER_PAGE
    assert figures.on_page(order, 999) == parts[-1] and figures.pages(0) == 1


def test_a_long_sequence_is_thinned_and_says_by_how_much():
    values = np.arange(1000 * 200, dtype=np.float32).reshape(1000, 200)
    fig, every = figures.sequence(values, 3, x_title="step", y_title="feature", z_title="activation")
    assert every == 4 and np.asarray(fig.data[0].z).shape == (200, 250)
    assert fig.data[0].zmin == 0 and fig.layout.xaxis.title.text == "step"
    signed, _every = figures.sequence(values - 5, 3, x_title="step", y_title="feature", z_title="activation")
    assert signed.data[0].zmin == -signed.data[0].zmax


def test_bars_stand_in_the_order_that_was_asked_for():
    values = np.array([1.0, -3.0, 2.0])
    fig = figures.vector(values, [1, 2, 0], ["1", "2", "0"], 2, x_title="unit", y_title="activation")
    assert list(fig.data[0].y) == [-3.0, 2.0, 1.0] and list(fig.data[0].customdata) == [1, 2, 0]
    assert list(fig.data[0].marker.line.width) == [0.0, 2.0, 0.0]


def test_a_climb_has_the_real_pictures_as_levels():
    fig = climb(
        np.array([0, 5, 10]),
        np.array([0.0, 2.0, 9.0]),
        np.array([1.0, 3.0]),
        x_title="steps",
        y_title="activation",
        made_name="made",
        best_name="best",
        mean_name="mean",
    )
    assert [list(trace.y) for trace in fig.data] == [[0.0, 2.0, 9.0], [3.0, 3.0], [2.0, 2.0]]
