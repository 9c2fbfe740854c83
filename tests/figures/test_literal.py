"""Names in figures are drawn letter by letter; what Plotly would read of them is nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pytest

from core.figures import curves, samples
from core.figures.curves import Curve
from core.figures.literal import Markup, escaped, literal, unescaped
from tests.hostile import ACTING, BROKEN

BOLD = "<b>x</b>"


@dataclass(frozen=True)
class Named:
    name: str
    values: np.ndarray
    width: int = 3


@literal
def drawn(*given: object, **more: object) -> tuple[object, ...]:
    return (*given, *more.values())


def test_texts_are_escaped_however_deep_they_stand() -> None:
    (named,) = drawn(Named(BOLD, np.arange(3)))
    assert isinstance(named, Named) and named.name == "&lt;b&gt;x&lt;/b&gt;" and named.width == 3
    assert drawn([(BOLD, 1)], names={BOLD: [BOLD]}) == ([(escaped(BOLD), 1)], {escaped(BOLD): [escaped(BOLD)]})
    assert drawn(np.array([BOLD, "a"]))[0].tolist() == [escaped(BOLD), "a"]
    assert drawn(Markup(BOLD)) == (BOLD,)
    assert drawn("data:image/png;base64,ab&") == ("data:image/png;base64,ab&",)
    figure, numbers = go.Figure(), np.ones(3)
    assert drawn(figure)[0] is figure and drawn(numbers)[0] is numbers


@pytest.mark.parametrize("text", [*ACTING, *BROKEN], ids=lambda text: ascii(text)[:24])
def test_a_click_gives_the_name_back(text: str) -> None:
    made = escaped(text)
    assert "<" not in made and "%{" not in made and "\x1b" not in made
    if text.isprintable():
        assert unescaped([made, 1, None]) == [text, 1, None]


def test_a_name_in_a_legend_a_tick_or_a_hover_does_nothing() -> None:
    made = [
        curves.overlay([Curve(BOLD, [1], [1.0])], x_title=BOLD, y_title=BOLD, log=False, colors=["#000"]),
        samples.counts({BOLD: {BOLD: 3}}, x_title="a", y_title="b", colors=["#000"], height=200),
    ]
    for figure in made:
        assert "<b>" not in figure.to_json() and "\\u003cb" not in figure.to_json()
