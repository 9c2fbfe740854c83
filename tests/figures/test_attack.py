"""The figures of a sample before and after a change."""

from __future__ import annotations

import numpy as np

from core.figures import attack
from core.figures.attack import Line, Panel

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_signed_panels_share_one_scale_with_zero_in_its_middle() -> None:
    change, map_ = np.array([[1.0, -3.0]]), np.array([[0.5, 2.0]])
    figure = attack.beside([Panel("a", GREY), Panel("b", change, True), Panel("c", map_, True)], scale_title="grey")
    assert [trace.type for trace in figure.data] == ["image", "heatmap", "heatmap"]
    assert {(trace.zmin, trace.zmax) for trace in figure.data[1:]} == {(-3.0, 3.0)}
    assert [bool(trace.showscale) for trace in figure.data[1:]] == [False, True]
    assert np.array_equal(np.array(figure.data[0].z)[..., 1], GREY)
    colour = np.zeros((3, 4, 3), np.uint8)
    assert np.array(attack.beside([Panel("a", colour)], scale_title="").data[0].z).shape == (3, 4, 3)


def test_no_change_at_all_is_drawn_too() -> None:
    figure = attack.beside([Panel("b", np.zeros((2, 2)), True)], scale_title="grey")
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-1.0, 1.0)


def test_of_many_classes_the_likeliest_are_drawn_in_their_order() -> None:
    values = np.full((2, 40), 0.001)
    values[0, 30], values[1, 7] = 0.9, 0.8
    figure = attack.probabilities([f"c{k}" for k in range(40)], values, ["before", "after"], titles=("class", "p"))
    names = list(figure.layout.xaxis.ticktext)
    assert len(names) == attack.CLASSES and {"c7", "c30"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:]))
    assert figure.data[0].y[names.index("c30")] == 0.9 and figure.data[1].y[names.index("c7")] == 0.8


def test_a_logarithmic_axis_leaves_out_nothing_but_zero() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 100.0]), np.array([1.0, 0.9, 0.4, 0.0])
    band = Line("random", x, y, y - 0.1, y + 0.1)
    for log, count in ((True, 3), (False, 4)):
        figure = attack.against(
            [Line("attacked", x, y), band], titles=("size", "p"), marked=2.0, marked_name="turned", log=log
        )
        curve, ring, _mean, mark = figure.data
        assert len(curve.x) == count and len(ring.x) == 2 * count and tuple(mark.x) == (2.0, 2.0)
    none = attack.against([Line("attacked", x, y)], titles=("size", "p"), marked=None, marked_name="", log=False)
    assert len(none.data) == 1
    counts = attack.against([Line("a", np.arange(3), y[:3])], titles=("n", "p"), marked=None, marked_name="", log=False)
    assert counts.layout.xaxis.dtick == 1


def test_rows_and_groups_have_every_value() -> None:
    values = np.array([[1.0, -2.0, 0.0], [0.5, 0.0, 4.0]])
    figure = attack.rows(values, ["a", "b→c", "d"], ["before", "after"], scale_title="attribution")
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-4.0, 4.0)
    assert figure.layout.xaxis.ticktext == ("a", "b→c", "d")
    bars = attack.grouped(values, ["0", "1", "2"], ["original", "attacked"], titles=("feature", "value"))
    assert [tuple(trace.y) for trace in bars.data] == [(1.0, -2.0, 0.0), (0.5, 0.0, 4.0)]
