"""The scoreboard's pictures: what is drawn, where chance stands, and where a mask ends."""

from __future__ import annotations

import numpy as np

from core.figures import attribution, scoreboard
from core.figures.scoreboard import Panel, Series

SHAPE = Series("shape", [0.6, 0.2, None], [0.1, 0.05, None], 0.2, 0)
CUE = Series("patch", [0.1, 0.4, 0.01], [0.02, 0.1, 0.0], 0.01, 1)


def drawn(**changes: object):  # type: ignore[no-untyped-def]
    given = {
        "controls": 1,
        "x_title": "share",
        "hover": "{method}, {panel}: {mean} ± {spread} in the {measure}",
        "random": "random map",
        "colors": ["#111111", "#222222"],
        **changes,
    }
    return scoreboard.bars(["a", "b", "random"], [Panel("honest", (SHAPE, CUE)), Panel("cheats", (SHAPE,))], **given)


def test_bars_have_their_spread_and_controls_are_faint_below_a_line() -> None:
    figure = drawn()
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.name for bar in bars] == ["shape", "patch", "shape"]
    assert [bar.marker.color for bar in bars] == ["#111111", "#222222", "#111111"]
    assert list(bars[0].error_x.array) == [0.1, 0.05, None] and list(bars[0].marker.opacity) == [1, 1, scoreboard.FAINT]
    assert bars[0].hovertext[0] == "a, honest: 60.0% ± 10.0% in the shape" and bars[0].hovertext[2] == ""
    assert list(bars[0].customdata) == [0, 1, 2] and figure.layout.xaxis.range[1] > 0.7
    assert {shape.y0 for shape in figure.layout.shapes} == {1.5}
    assert not drawn(controls=0).layout.shapes


def test_the_random_maps_level_is_a_line_and_every_name_is_once_in_the_legend() -> None:
    figure = drawn()
    lines = [trace for trace in figure.data if trace.type == "scatter"]
    assert sorted({trace.x[0] for trace in lines}) == [0.01, 0.2]
    named = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert sorted(named) == ["patch", "random map", "shape"]


def test_the_chosen_method_is_bold_and_every_method_has_room() -> None:
    figure = drawn(chosen=1)
    assert list(figure.layout.yaxis.ticktext) == ["a", "<b>b</b>", "random"]
    one = Series("shape", [0.5] * 30, [0.1] * 30, None)
    many = scoreboard.bars(["m"] * 30, [Panel("", (one,))], controls=0, x_title="", hover="", random="")
    assert many.layout.height > figure.layout.height and many.layout.height >= 30 * 15


def test_an_outline_runs_between_the_mask_and_the_rest() -> None:
    mask = np.zeros((4, 5), bool)
    mask[0, 1:3] = True
    x, y = scoreboard.outline(mask)
    edges = {((x[i], y[i]), (x[i + 1], y[i + 1])) for i in range(0, len(x), 3)}
    assert edges == {
        ((0.5, -0.5), (1.5, -0.5)),
        ((1.5, -0.5), (2.5, -0.5)),
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (2.5, 0.5)),
        ((0.5, -0.5), (0.5, 0.5)),
        ((2.5, -0.5), (2.5, 0.5)),
    }
    assert scoreboard.outline(np.zeros((2, 2), bool)) == ([], [])
    figure = attribution.picture(np.zeros((4, 5)), attribution.Scale(), hover="")
    assert scoreboard.outlined(figure, mask, "#ff0000", "shape").data[-1].name == "shape"
