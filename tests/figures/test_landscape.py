"""The figures of the loss landscape: what is drawn is what was given."""

from __future__ import annotations

import numpy as np

from core.figures import landscape
from core.figures.landscape import Path

XS = np.linspace(-1, 1, 5)
BOWL = 0.1 + np.add.outer(XS**2, XS**2)


def a_path() -> Path:
    place = np.array([[-0.9, -0.9], [-0.88, -0.9], [0.0, 0.5], [0.6, 0.2]])
    return Path(np.array([0, 1, 1200, 3000]), place, np.array([2.3, 2.2, 0.4, 0.1]), 2, ("step", "its own loss"))


def test_lines_are_the_losses_with_gaps_where_there_is_none() -> None:
    loss = np.array([[4.0, 1.0, 0.5, 1.0, 4.0], [np.inf, 2.0, 0.5, 2.0, np.nan]])
    figure = landscape.lines(XS, loss, names=["one", "two"], centre="the model", x_title="distance", y_title="loss")
    assert [trace.name for trace in figure.data] == ["one", "two", "the model"]
    assert list(figure.data[0].y) == loss[0].tolist()
    assert list(figure.data[1].y) == [None, 2.0, 0.5, 2.0, None]
    assert (figure.data[2].x[0], figure.data[2].y[0]) == (0.0, 0.5)
    assert figure.data[0].line.dash != figure.data[1].line.dash
    assert figure.layout.xaxis.title.text == "distance" and figure.layout.yaxis.title.text == "loss"
    logged = landscape.lines(XS, loss, names=["one", "two"], centre="m", x_title="", y_title="", log=True)
    assert logged.layout.yaxis.type == "log"


def test_a_plane_is_clipped_where_that_is_said_but_its_hover_is_not() -> None:
    loss = BOWL.copy()
    loss[0, 0], loss[4, 4] = 500.0, np.nan
    figure = landscape.plane(XS, XS, loss, titles=("x", "y"), value="loss", top=2.5)
    drawn = figure.data[0]
    assert drawn.z[0][0] == 2.5 and drawn.customdata[0][0] == 500.0
    assert drawn.z[4][4] is None and drawn.z[2][2] == loss[2, 2]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.data[1].marker.symbol == "star"


def test_a_logarithmic_plane_has_losses_on_its_colour_bar() -> None:
    loss = np.where(BOWL > 0.2, BOWL * 100, 0.01)
    figure = landscape.plane(XS, XS, loss, titles=("x", "y"), value="loss", log=True)
    np.testing.assert_allclose(np.array(figure.data[0].z, float), np.log10(loss))
    bar = figure.data[0].colorbar
    np.testing.assert_allclose(10.0 ** np.array(bar.tickvals), [float(text) for text in bar.ticktext])
    assert {"0.01", "0.1", "1", "10", "100"} <= set(bar.ticktext)
    assert np.isfinite(
        np.array(landscape.plane(XS, XS, BOWL * 0, titles=("x", "y"), value="loss", log=True).data[0].z, float)
    ).all()


def test_a_path_is_drawn_with_its_steps_where_there_is_room() -> None:
    path = a_path()
    figure = landscape.plane(XS, XS, BOWL, titles=("x", "y"), value="loss", path=path)
    dots = figure.data[2]
    np.testing.assert_array_equal(np.stack([dots.x, dots.y], 1), path.place)
    assert [row[0] for row in dots.customdata] == [0, 1, 1200, 3000]
    assert (figure.data[3].x[0], figure.data[3].y[0]) == (0.0, 0.5)
    assert [note.text for note in figure.layout.annotations] == ["0", "1,200", "3,000"]
    assert figure.layout.yaxis.scaleanchor is None
    hidden = landscape.plane(XS, XS, BOWL, titles=("x", "y"), value="", path=Path(path.step, path.place, path.own))
    assert len(hidden.data) == 3


def test_labels_keep_apart_and_the_ends_have_one() -> None:
    place = np.stack([np.linspace(0, 1, 200), np.zeros(200)], 1)
    chosen = landscape.labelled(place, (1.0, 1.0))
    assert chosen[0] == 0 and chosen[-1] == 199
    assert np.diff(place[chosen, 0]).min() > landscape.APART
    assert landscape.labelled(np.zeros((4, 2)), (0.0, 0.0)) == [3]


def test_a_ceiling_is_set_only_where_few_points_tower_over_the_rest() -> None:
    assert landscape.ceiling(BOWL) is None
    loss = np.full(100, 1.0)
    loss[:3] = 50
    assert landscape.ceiling(loss) == 1.0
    assert landscape.ceiling(loss, [2.5, np.nan]) == 2.5
    assert landscape.ceiling(loss, [49.0]) is None
    assert landscape.ceiling(np.full(4, np.nan)) is None


def test_rings_show_every_point_at_its_distance() -> None:
    figure = landscape.rings(XS, XS, BOWL, x_title="distance", y_title="loss")
    np.testing.assert_allclose(np.array(figure.data[0].x) ** 2, np.array(figure.data[0].y) - 0.1, atol=1e-12)


def test_moments_stand_beside_each_other() -> None:
    path = a_path()
    figure = landscape.moments(path.step, path.own, path.own * 2, names=("own", "drawn"), x_title="step", y_title="")
    assert list(figure.data[0].x) == ["0", "1", "1,200", "3,000"]
    assert list(figure.data[1].y) == (path.own * 2).tolist()
    assert figure.layout.xaxis.type == "category"
