"""Attribution maps as figures: one scale for each kind, zero neutral, nothing that breaks them, readable words."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import attribution
from core.figures.attribution import Scale

DARK_THEME = Scale(
    True, ("#a6d3f5", "#6fb0e6", "#3f86c4", "#275a8a", "#1b2f42", "#3b2a1c", "#82501f", "#bf7630", "#eda45c", "#ffd3a6")
)
SCALES = [Scale(True), Scale(False), DARK_THEME]


def test_a_signed_map_is_coloured_symmetrically_by_its_own_largest_size() -> None:
    values = np.array([[[0.5, -2.0], [0.0, 1.0]]], np.float32)
    heat = attribution.picture(values, Scale(), hover="%{z}").data[0]
    assert (heat.zmin, heat.zmax) == (-2.0, 2.0)
    np.testing.assert_array_equal(np.asarray(heat.z), values[0])  # hovering tells the values themselves


def test_a_map_of_sizes_begins_at_zero() -> None:
    heat = attribution.picture(np.full((1, 2, 2), 3.0), Scale(signed=False), hover="%{z}").data[0]
    assert (heat.zmin, heat.zmax) == (0.0, 3.0)


def test_two_maps_in_different_units_get_the_same_colours() -> None:
    values = np.random.default_rng(0).normal(size=20)
    assert attribution.tints(values, Scale()) == attribution.tints(1e6 * values, Scale())


def test_a_colour_picture_is_summed_over_its_channels() -> None:
    values = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_allclose(attribution.flat(values), [[12, 15], [18, 21]])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("filled", [0.0, 2.0, -2.0, 1e-30, 1e30])
def test_a_constant_map_breaks_no_figure(scale: Scale, filled: float) -> None:
    flat = np.full(6, filled)
    for fig in (
        attribution.picture(flat.reshape(1, 2, 3), scale, hover=""),
        attribution.table(flat.reshape(2, 3), scale, titles=("a", "b"), hover=""),
        attribution.series(flat.reshape(3, 2), np.zeros((3, 2)), scale, x_title="", y_title="{n}", hover=""),
        attribution.bars(flat, list("abcdef"), scale, hover=""),
    ):
        assert "NaN" not in fig.to_json()
    low, high = scale.ends(flat)
    assert low < high
    assert len(set(attribution.tints(flat, scale))) == 1


def test_zero_is_the_neutral_middle() -> None:
    (zero,) = attribution.tints(np.zeros(1), Scale())
    channels = [int(zero.ground[i : i + 2], 16) for i in (1, 3, 5)]
    assert max(channels) - min(channels) < 8  # a grey


def test_what_is_not_finite_counts_as_zero_and_sets_no_scale() -> None:
    values = np.array([np.nan, np.inf, 0.0, 1.0, -np.inf])
    assert attribution.largest(values) == 1.0
    tints = attribution.tints(values, Scale())
    assert tints[0] == tints[1] == tints[2] == tints[4] != tints[3]
    assert attribution.largest(np.array([np.nan])) == 0.0


@pytest.mark.parametrize("scale", SCALES)
def test_every_ink_can_be_read_on_its_ground(scale: Scale) -> None:
    tints = attribution.tints(np.linspace(-1, 1, 501), scale)
    assert min(attribution.contrast(tint.ink, tint.ground) for tint in tints) >= 4.5  # WCAG 2.2, level AA


def test_the_contrast_of_black_and_white_is_21() -> None:
    assert attribution.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert attribution.contrast("#777777", "#777777") == pytest.approx(1)


def test_over_a_picture_zero_is_clear_and_the_ends_are_not() -> None:
    fig = attribution.picture(np.eye(4)[None], Scale(), hover="", under="data:image/png;base64,")
    stops = fig.data[0].colorscale
    seen = {at: float(color.split(",")[-1].rstrip(")")) for at, color in stops}
    assert seen[0.5] == 0
    assert seen[0.0] == seen[1.0] == 1
    (image,) = fig.layout.images
    assert (image.sizex, image.sizey, image.layer) == (4, 4, "below")


@pytest.mark.parametrize("dark", [True, False])
def test_a_faint_picture_leaves_room_for_colours(dark: bool) -> None:
    shown = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = attribution.faint(shown, dark)
    assert made.dtype == np.uint8
    assert (made.max() < 128) if dark else (made.min() > 128)
    assert attribution.faint(np.repeat(shown[..., None], 3, -1), dark).shape == (16, 16)


def test_a_curve_stands_above_the_other_and_its_marks_have_the_contributions() -> None:
    shown = np.random.default_rng(0).random((7, 2))
    values = np.random.default_rng(1).normal(size=(7, 2))
    fig = attribution.series(values, shown, Scale(), x_title="step", y_title="feature {n}", hover="%{y}")
    for n, trace in enumerate(fig.data):
        np.testing.assert_array_equal(np.asarray(trace.y), shown[:, n])
        np.testing.assert_array_equal(np.asarray(trace.marker.color), values[:, n])
        assert (trace.marker.cmin, trace.marker.cmax) == (-np.abs(values).max(), np.abs(values).max())
    assert [fig.layout.yaxis.title.text, fig.layout.yaxis2.title.text] == ["feature 0", "feature 1"]
    assert fig.layout.xaxis2.title.text == "step"


def test_the_places_of_the_extremes() -> None:
    values = np.zeros((3, 4))
    values[2, 1], values[0, 3] = 5, -1
    assert attribution.extremes(values) == ((2, 1), (0, 3))
