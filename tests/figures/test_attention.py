"""The pictures of attention show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import attention as figures


def some(heads: int = 2, steps: int = 5) -> np.ndarray:
    weights = np.random.default_rng(0).random((heads, steps, steps))
    return weights / weights.sum(-1, keepdims=True)


def test_each_head_is_a_map_on_one_scale_from_zero() -> None:
    weights = some()
    fig = figures.heads(
        weights, list("abcab"), titles=["head 0", "head 1"], x_title="key", y_title="query", bar_title="weight", query=2
    )
    assert len(fig.data) == 2
    for trace, one in zip(fig.data, weights, strict=True):
        np.testing.assert_array_equal(trace.z, one)
        assert trace.y[4] == "4 · b"  # equal words stay apart
    assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (0, weights.max())
    assert {shape.y0 for shape in fig.layout.shapes} == {1.5}


def test_a_masked_key_is_empty_and_its_short_rows_do_not_set_the_scale() -> None:
    steps = 20
    read = np.tril(np.ones((steps, steps)))
    weights = np.where(read, 1.0, 0.0) / read.sum(1, keepdims=True)
    shown = figures.masked_out(weights[None], read)
    assert np.isnan(shown).sum() == steps * (steps - 1) / 2
    fig = figures.heads(shown, ["x"] * steps, titles=[""], x_title="k", y_title="q", bar_title="w")
    assert fig.layout.coloraxis.cmax == pytest.approx(1 / figures.FEW)


@pytest.mark.parametrize("steps", [96, 97, 512])
def test_long_rows_come_in_blocks_whose_rows_sum_to_one(steps: int) -> None:
    weights = some(3, steps)
    blocks, names, size = figures.in_blocks(weights, [str(i) for i in range(steps)])
    assert blocks.shape[1] == blocks.shape[2] == len(names) <= figures.MOST
    assert (size == 1) == (steps <= figures.MOST)
    np.testing.assert_allclose(blocks.sum(-1), 1, atol=1e-9)
    expected = weights[1, size : 2 * size, :size].sum(1).mean()
    assert blocks[1, 1, 0] == pytest.approx(expected)


def test_blocks_that_are_masked_stay_empty() -> None:
    read = np.tril(np.ones((300, 300)))
    blocks, _names, _size = figures.in_blocks(figures.masked_out(some(1, 300), read), ["x"] * 300)
    later = np.triu_indices(blocks.shape[1], 1)
    assert np.isnan(blocks[0][later]).all()
    assert np.isfinite(blocks[0][np.tril_indices(blocks.shape[1])]).all()


def test_weights_lie_over_the_patches_they_belong_to() -> None:
    picture = np.zeros((28, 28), np.uint8)
    weights = np.arange(32.0).reshape(2, 4, 4)
    fig = figures.on_picture(picture, weights, titles=["a", "b"], bar_title="weight", first=1, query=6)
    over = [trace for trace in fig.data if trace.type == "heatmap"]
    np.testing.assert_array_equal(over[1].z, weights[1])
    assert (over[0].x0, over[0].dx) == (3.0, 7.0)  # the first patch's middle: pixels 0 to 6
    assert over[0].customdata[1][2] == 7  # row 1, column 2, after the class token
    shape = fig.layout.shapes[0]  # token 6 is the patch in row 1, column 1
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (6.5, 13.5, 6.5, 13.5)
    assert not figures.on_picture(picture, weights, titles=["a", "b"], bar_title="w", first=1, query=0).layout.shapes
    coloured = figures.on_picture(np.zeros((32, 32, 3), np.uint8), weights, titles=["a", "b"], bar_title="w")
    assert np.array(coloured.data[0].z).shape == (32, 32, 3)


def test_a_row_shows_scores_weights_and_what_they_add_up_to() -> None:
    rng = np.random.default_rng(1)
    scores, values = rng.normal(size=4), rng.normal(size=(4, 3))
    masked = np.array([*scores[:3], -np.inf])
    weights = np.array([0.2, 0.3, 0.5, 0.0])
    one = figures.Row(list("abcd"), scores, masked, weights, values, ["", "", "", "padding"])
    fig = figures.row(
        one,
        x_title="key",
        score_title="score",
        weight_title="weight",
        feature_title="feature",
        value_title="part",
        result_title="sum",
    )
    bars, crosses, shares, parts, result = fig.data
    assert np.isnan(bars.y[3])
    assert list(bars.marker.color)[:3] == [figures.POSITIVE if s > 0 else figures.NEGATIVE for s in scores[:3]]
    assert (list(crosses.x), list(crosses.text)) == (["3 · d"], ["padding"])
    np.testing.assert_array_equal(shares.y, weights)
    np.testing.assert_allclose(np.nansum(np.array(parts.z), 1), weights @ values)
    assert np.isnan(np.array(parts.z)[:, 3]).all()  # masked
    np.testing.assert_allclose(np.array(result.z)[:, 0], weights @ values)
    assert parts.zmin == -parts.zmax == result.zmin


def test_entropy_and_worth_stand_beside_each_other() -> None:
    entropy = np.array([[1.0, 2.0], [1.5, np.nan]])
    rise = np.array([[0.5, -0.1], [0.002, np.nan]])
    titles = {"x_title": "head", "entropy_title": "entropy", "rise_title": "rise"}
    both = figures.measured(["block1", "block2"], entropy, rise, **titles)
    assert [trace.zmin for trace in both.data] == [0, -0.5]
    assert both.data[1].customdata[1][0] == ["block2", 0] or list(both.data[1].customdata[1][0]) == ["block2", 0]
    assert both.data[1].texttemplate == "%{z:+.3f}"
    assert len(figures.measured(["block1", "block2"], entropy, None, **titles).data) == 1
    figures.measured(["b"], np.zeros((1, 2)), np.zeros((1, 2)), **titles)
