"""The window, the receptive field and the squares of the arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import convolution as figures
from core.figures.convolution import Products, Window
from core.figures.scales import DIVERGING, SEQUENTIAL

TITLES = ("column", "row")


def edges(x: list[float | None], y: list[float | None]) -> set[frozenset[tuple[float, float]]]:
    """A broken line as its unit segments."""
    pairs = [(x[i : i + 2], y[i : i + 2]) for i in range(0, len(x), 3)]
    return {frozenset(zip(xs, ys, strict=True)) for xs, ys in pairs}  # type: ignore[misc]


def test_an_outline_has_an_edge_wherever_inside_meets_outside() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((5, 6)) < 0.4
    wanted = set()
    around = np.pad(mask, 1)
    for r in range(mask.shape[0]):
        for c in range(mask.shape[1]):
            if mask[r, c]:
                corners = {
                    (-1, 0): ((c - 0.5, r - 0.5), (c + 0.5, r - 0.5)),
                    (1, 0): ((c - 0.5, r + 0.5), (c + 0.5, r + 0.5)),
                    (0, -1): ((c - 0.5, r - 0.5), (c - 0.5, r + 0.5)),
                    (0, 1): ((c + 0.5, r - 0.5), (c + 0.5, r + 0.5)),
                }
                wanted |= {frozenset(ends) for (dr, dc), ends in corners.items() if not around[r + 1 + dr, c + 1 + dc]}
    assert edges(*figures.outline(mask)) == wanted


def test_the_picture_has_space_for_the_padding_under_the_window() -> None:
    window = Window(np.array([-1, 0, 1]), np.array([3, 4, 5]), (2, 1, 1, 0))
    picture = figures.given(np.ones((5, 5)), window, titles=TITLES, value="value")
    assert list(picture.layout.yaxis.range) == [4.5, -1.5]
    assert list(picture.layout.xaxis.range) == [-2.5, 5.5]
    assert picture.layout.yaxis.scaleanchor == "x"
    assert (picture.layout.xaxis.title.text, picture.layout.yaxis.title.text) == TITLES
    outlined = picture.data[-1]
    assert (min(outlined.x), max(outlined.x), min(outlined.y), max(outlined.y)) == (2.5, 5.5, -1.5, 1.5)


def test_a_dilated_window_shows_each_of_its_places() -> None:
    window = Window(np.array([0, 2]), np.array([1, 4]))
    outlined = figures.given(np.ones((5, 5)), window, titles=TITLES, value="value").data[-1]
    assert sum(x is None for x in outlined.x) == 4


@pytest.mark.parametrize("shown", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint8)])
def test_what_the_cell_cannot_see_is_dimmed(shown: np.ndarray) -> None:
    field = np.zeros((4, 6), dtype=bool)
    field[1:3, 2:4] = True
    picture = figures.sample(shown, field, None, titles=TITLES)
    np.testing.assert_array_equal(np.isnan(np.array(picture.data[1].z, dtype=float)), field)
    assert edges(picture.data[-1].x, picture.data[-1].y) == edges(*figures.outline(field))


def test_signed_maps_have_a_neutral_zero_and_magnitudes_their_own_scale() -> None:
    signs = figures.made(np.array([[-1.0, 3.0]]), 0, 1, titles=TITLES, value="value").data[0]
    assert (signs.zmin, signs.zmax) == (-3.0, 3.0)
    plain = figures.made(np.array([[0.0, 3.0]]), 0, 1, titles=TITLES, value="value").data[0]
    assert (plain.zmin, plain.zmax) == (0.0, 3.0)
    assert signs.colorscale[-1][1] == DIVERGING[-1][1] != plain.colorscale[-1][1]
    assert SEQUENTIAL == "cividis"


def products(maps: int, side: int) -> Products:
    """Random ones, the first row of the window in the padding."""
    rng = np.random.default_rng(1)
    patch, kernel = rng.normal(size=(2, maps, side, side))
    padding = np.zeros((side, side), dtype=bool)
    padding[0] = True
    patch[:, 0] = 0
    return Products(patch, kernel, patch * kernel, padding)


@pytest.mark.parametrize("maps", [1, 2, 8])
def test_the_arithmetic_has_three_squares_for_each_input_map(maps: int) -> None:
    shown = products(maps, 3)
    picture = figures.arithmetic(
        shown, columns=[f"map {i}" for i in range(maps)], parts=["x", "w", "x · w"], patch_ends=(-2, 2), padding="pad"
    )
    squares = [one for one in picture.data if one.type == "heatmap" and one.zmin is not None]
    grey = [one for one in picture.data if one.type == "heatmap" and one.zmin is None]
    assert len(squares) == 3 * maps
    assert len(grey) == maps
    for index, values in enumerate(shown.parts()):
        for at in range(maps):
            np.testing.assert_array_equal(np.array(squares[index * maps + at].z), values[at])
    assert all(one.texttemplate for one in squares)
    kernels = squares[maps : 2 * maps]
    assert len({(one.zmin, one.zmax) for one in kernels}) == 1, "one scale for all kernels"
    said = [note.text for note in picture.layout.annotations]
    assert said == (["x", "w", "x · w", "×", "="] if maps == 1 else [f"map {i}" for i in range(maps)])


def test_a_large_kernel_has_no_numbers_in_its_cells() -> None:
    picture = figures.arithmetic(
        products(8, 7), columns=["m"] * 8, parts=["x", "w", "p"], patch_ends=(-2, 2), padding="padding"
    )
    assert not any(one.texttemplate for one in picture.data if one.type == "heatmap")
