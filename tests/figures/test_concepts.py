"""The figure of the concepts: a row each, chance behind them all."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures import concepts
from core.figures.concepts import Row

ROWS = [
    Row("loop", ["data:,a", "data:,b"], np.array([0.9, 1.0]), "for", "p", "loop said"),
    Row("dot", ["data:,c"], np.array([0.1, 0.2]), "against", "p", "dot said"),
    Row("line", [], np.array([0.5, 0.5]), "unseen", "p", "line said"),
    Row("random", ["data:,d"], np.array([0.2, 0.6]), "random", "chance", "random said"),
]


def test_every_row_has_its_pictures_its_name_its_mean_and_its_spread() -> None:
    figure = concepts.scores(ROWS, x_title="score")
    assert len(figure.layout.images) == 4 and len(figure.data) == 2 * len(ROWS)
    dots, mean = figure.data[0], figure.data[1]
    assert tuple(dots.x) == (0.9, 1.0) and np.abs(np.array(dots.y)).max() < 0.5
    assert mean.x[0] == pytest.approx(0.95) and mean.error_x.array[0] == pytest.approx(0.05)
    assert [note.text for note in figure.layout.annotations][:4] == ["loop", "dot", "line", "random"]
    assert [figure.data[2 * i + 1].y[0] for i in range(4)] == [0, -1, -2, -3]
    assert figure.data[3].hovertext == ("dot said",)


def test_verdicts_are_told_apart_by_colour_and_by_mark() -> None:
    figure = concepts.scores(ROWS, x_title="score")
    looks = [(figure.data[2 * i + 1].marker.color, figure.data[2 * i + 1].marker.symbol) for i in range(4)]
    assert len({symbol for _color, symbol in looks}) == 4 and looks[0][0] != looks[1][0]


def test_the_band_is_the_spread_of_chance() -> None:
    band, line = concepts.scores(ROWS, x_title="score").layout.shapes
    assert (band.x0, band.x1) == (pytest.approx(0.2), pytest.approx(0.6)) and line.x0 == pytest.approx(0.4)
