"""The page of the influence, with a worker's real answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pages.conftest import Drawn, Made, Visit, said


def pieces(at: Any) -> list[str]:
    """The galleries' HTML."""
    return [str(one.proto.body) for one in at.get("html") if str(one.proto.body).startswith('<div class="ll-samples')]


def test_helpful_and_harmful_samples_are_shown_with_label_and_score(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_influence", run=made("cnn", "digits").id, sample="3")
    galleries = pieces(at)
    assert len(galleries) == 2 and all(one.count("<img") == 8 for one in galleries)
    assert "training sample" in galleries[0] and "+" in galleries[0] and "-" in galleries[1]
    assert {"influence.when2", "influence.spread2"} <= set(drawn)
    assert "has lowered the loss of this sample most" in said(at) and "TracIn" in said(at)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 16 and not at.exception
    at.selectbox(key="look_influence.measure").set_value("similarity").run()
    assert "Being alike is not having an influence" in said(at)
    assert not any(one.key == "look_influence.moments" for one in at.number_input)


def test_suspects_with_a_wrong_label_say_so(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_influence", run=made("mlp", "digits", **{"train.label_noise": 0.3, "train.steps": 60}).id)
    at.selectbox(key="look_influence.measure").set_value("suspects").run()
    (gallery,) = pieces(at)
    assert ", truly " in gallery and gallery.count("<img") == 16
    assert "labels were replaced on purpose" in said(at) and "influence.when1" in drawn


@pytest.mark.slow
def test_every_form_of_data_has_its_gallery(visit: Visit, made: Made, drawn: Drawn) -> None:
    small = {"data.samples": 100, "model.hidden": 8}
    for preset, data, changes, part in (
        ("transformer", "order", {}, "<span>"),
        ("gru", "adding", small, "<img"),
        ("mlp", "points", {}, "<code>"),
        ("gru", "copy", {**small, "data.items": 3, "data.gap": 4}, "<span>"),
    ):
        at = visit("explain_influence", run=made(preset, data, **changes).id)
        galleries = pieces(at)
        assert galleries and part in galleries[0], (preset, data, galleries, said(at))
