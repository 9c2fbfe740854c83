"""Curves of several runs in one picture."""

from __future__ import annotations

import math

from core.figures import curves
from core.figures.curves import Curve

ONE = Curve("one", [1, 2, 3], [2.0, math.nan, 0.5])
LONG = Curve("long", range(1, 10_001), [1 / step for step in range(1, 10_001)])


def test_every_curve_has_its_own_dash_and_gaps_where_it_is_not_finite() -> None:
    figure = curves.overlay([ONE, LONG], x_title="step", y_title="loss (nats)", log=True)
    assert list(figure.data[0].y) == [2.0, None, 0.5]
    assert figure.data[0].line.dash != figure.data[1].line.dash
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.title.text == "loss (nats)"


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    points = curves.thinned(LONG)
    assert len(points) <= curves.POINTS + 1
    assert points[0] == (1, 1.0)
    assert points[-1] == (10_000, 1e-4)


def test_the_table_and_the_words_say_the_same() -> None:
    (row,) = curves.table([ONE])
    assert row == {"name": "one", "points": 2, "first": 2.0, "lowest": 0.5, "highest": 2.0, "last": 0.5, "last_step": 3}
    assert curves.alt([ONE], "{name}: {first} to {last} at {step}.") == "one: 2 to 0.5 at 3."


def test_an_empty_curve_is_drawn_and_said() -> None:
    empty = Curve("none", [], [])
    assert len(curves.overlay([empty], x_title="step", y_title="loss").data) == 1
    assert curves.table([empty])[0]["last"] is None
    assert curves.alt([empty], "{name}") == ""
