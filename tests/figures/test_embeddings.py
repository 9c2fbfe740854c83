"""The figures of the points: every point once, with its sample; the plane; the layers."""

from __future__ import annotations

import numpy as np

from core.figures import embeddings

PLACES = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
COMMON = {
    "samples": np.array([3, 5, 8, 9]),
    "hover": ["a", "b", "c", "d"],
    "titles": ("across", "up", "deep"),
    "marked": PLACES[:1],
    "marked_name": "sample 3",
}


def test_every_point_is_drawn_once_with_its_sample() -> None:
    groups = embeddings.by_class(np.array([1, 0, 1, 1]), ["A", "B", "never"])
    assert [group.name for group in groups] == ["A", "B"]
    figure = embeddings.cloud(PLACES, groups, **COMMON, colors=["#000000", "#ffffff"])
    drawn = {c: (x, y) for t in figure.data[:2] for c, x, y in zip(t.customdata, t.x, t.y, strict=True)}
    assert drawn == {3: (0, 1), 5: (2, 3), 8: (4, 5), 9: (6, 7)}
    assert figure.data[0].marker.symbol != figure.data[1].marker.symbol  # told apart without colour
    assert figure.data[2].name == "sample 3" and figure.layout.yaxis.scaleanchor == "x"


def test_many_classes_with_short_names_are_their_names() -> None:
    names = [chr(65 + i) for i in range(47)]
    groups = embeddings.by_class(np.arange(47), names)
    assert [group.letter for group in groups] == names
    points = np.random.default_rng(0).standard_normal((47, 2))
    more = {**COMMON, "samples": np.arange(47), "hover": names, "marked": points[:0]}
    figure = embeddings.cloud(points, groups, **more, colors=["#000000"])
    assert all(trace.mode == "text" for trace in figure.data)
    assert not any(group.letter for group in embeddings.by_class(np.arange(20), [f"class {i}" for i in range(20)]))


def test_three_axes_make_a_scene() -> None:
    deep = np.c_[PLACES, PLACES[:, 0]]
    figure = embeddings.shaded(deep, np.arange(4.0), scale_title="target", **{**COMMON, "marked": deep[:1]})
    assert [trace.type for trace in figure.data] == ["scatter3d", "scatter3d"]
    assert figure.layout.scene.zaxis.title.text == "deep"


def test_each_place_of_the_plane_has_one_class() -> None:
    named, sure = np.array([[0, 1], [1, 1]]), np.array([[0.6, 0.7], [0.8, 0.9]])
    figure = embeddings.boundary(
        named,
        sure,
        (np.array([0.0, 1.0]), np.array([5.0, 6.0])),
        names=["A", "B"],
        points=PLACES,
        target=np.array([0, 0, 1, 1]),
        colors=["#112233", "#445566"],
        **COMMON,
    )
    maps = [np.array(trace.z) for trace in figure.data if trace.type == "heatmap"]
    assert (sum(np.isfinite(z) for z in maps) == 1).all()
    np.testing.assert_allclose(np.nansum(maps, axis=0), sure)
    assert "rgba(17,34,51" in figure.data[0].colorscale[1][1]


def test_the_chosen_layer_stands_out_and_chance_is_a_line() -> None:
    figure = embeddings.by_layer(
        ["conv", "head"],
        np.array([0.5, 0.9]),
        chosen="head",
        chance=0.1,
        titles=("layer", "accuracy"),
        chance_name="by chance",
        colors=["#123456"],
    )
    assert figure.data[0].marker.color == (embeddings.GREY, "#123456")
    assert figure.layout.shapes[0].y0 == 0.1
