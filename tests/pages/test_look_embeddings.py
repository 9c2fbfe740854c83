"""The page of the points, with a worker's real answers."""

from __future__ import annotations

from typing import Any

import pytest

from pages.look_inside import embeddings
from tests.pages.conftest import Drawn, Made, Visit, said


def test_the_points_the_number_and_the_sentences(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_embeddings", run=made("mlp", "digits").id, sample="7")
    assert list(drawn) == ["embeddings.points2"]
    points = drawn["embeddings.points2"]["fig"].data
    assert sum(len(trace.x) for trace in points[:-1]) == 360 and points[-1].name == "sample 7"
    assert "against the bare input" in at.metric[0].delta
    assert "The 5 nearest neighbours" in said(at) and "of the variance" in said(at)
    assert drawn["embeddings.points2"]["alt"].startswith("360 points at relu")
    at.segmented_control(key="embeddings.colour").set_value("answer").run()
    assert [trace.name for trace in drawn["embeddings.points2"]["fig"].data] == ["right", "wrong", "sample 7"]
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert not at.exception and len(at.dataframe[0].value) == 360


def test_three_axes_and_all_layers(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_embeddings", run=made("mlp", "digits").id)
    at.number_input(key="look_embeddings.dimensions").set_value(3)
    at.toggle(key="look_embeddings.every_layer").set_value(True).run()
    assert not at.exception
    assert {"embeddings.points3", "embeddings.layers"} <= set(drawn)


def test_points_in_the_plane_have_their_boundary(visit: Visit, made: Made, drawn: Drawn) -> None:
    visit("look_embeddings", run=made("mlp", "points", **{"data.samples": 200}).id)
    assert {"embeddings.points2", "embeddings.boundary"} <= set(drawn)


def test_numbers_and_asked_steps(visit: Visit, made: Made, drawn: Drawn) -> None:
    small = {"data.samples": 100, "model.hidden": 8}
    at = visit("look_embeddings", run=made("gru", "adding", **small, **{"data.length": 8}).id)
    assert at.metric[0].label.startswith("variance explained")
    at.segmented_control(key="embeddings.colour").set_value("answer").run()
    assert not at.exception
    at = visit("look_embeddings", run=made("gru", "copy", **small, **{"data.items": 3, "data.gap": 4}).id)
    assert "one asked step" in said(at)


def test_a_click_chooses_the_sample_and_a_layers_bar_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(embeddings.location, "look_at", lambda **where: kept.update(where))
    embeddings._clicked({"curve": 0, "x": 1.0, "customdata": 12})
    assert kept == {"sample": 12}
    embeddings._clicked({"curve": 9, "customdata": None})  # the ring around the current sample
    assert kept == {"sample": 12}
