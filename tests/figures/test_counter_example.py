"""The outline of chosen pixels."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import attack
from core.figures.attack import Panel
from core.figures.counter_example import outline, outlined


def edges(chosen: np.ndarray) -> set[tuple[float, float, float, float]]:
    """Every unit edge of the outline: x, y of its ends."""
    x, y = outline(chosen)
    found = set()
    for i in range(0, len(x), 3):
        x0, x1, y0, y1 = x[i], x[i + 1], y[i], y[i + 1]
        assert x0 is not None and x1 is not None and y0 is not None and y1 is not None and x[i + 2] is y[i + 2] is None
        for k in range(int(abs(x1 - x0) + abs(y1 - y0))):
            found.add((x0 + k, y0, x0 + k + 1, y0) if y0 == y1 else (x0, y0 + k, x0, y0 + k + 1))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_every_edge_between_chosen_and_other_pixels_is_drawn_and_no_other(seed: int) -> None:
    chosen = np.random.default_rng(seed).random((5, 7)) < 0.4
    framed = np.pad(chosen, 1)
    expected = set()
    for row in range(-1, 6):
        for column in range(-1, 8):
            here = framed[row + 1, column + 1]
            if row < 5 and here != framed[row + 2, column + 1]:
                expected.add((column - 0.5, row + 0.5, column + 0.5, row + 0.5))
            if column < 7 and here != framed[row + 1, column + 2]:
                expected.add((column + 0.5, row - 0.5, column + 0.5, row + 0.5))
    assert edges(chosen) == expected


def test_one_square_has_four_lines_and_nothing_has_none() -> None:
    square = np.zeros((6, 6), bool)
    square[2:4, 1:5] = True
    assert len(outline(square)[0]) == 4 * 3
    assert outline(np.zeros((3, 3), bool)) == ([], [])


def test_the_outline_is_in_its_panel() -> None:
    figure = attack.beside([Panel("a", np.zeros((4, 4), np.uint8))] * 2, scale_title="")
    figure = outlined(figure, np.eye(4, dtype=bool), 2)
    assert figure.data[2].xaxis == "x2" and figure.data[2].yaxis == "y2"
