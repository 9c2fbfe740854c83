"""The chart of the loss says where training and validation have not the same footing."""

from __future__ import annotations

from typing import Any

import pytest

from core.catalog import loss_floor
from pages.kit import live, stage
from tests.pages.conftest import Made, Visit


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"train.label_smoothing": 0.2}, "smoothed labels"),
        ({"train.augmentation": "mixup"}, "mixed labels"),
        ({"train.augmentation": "cutmix", "train.label_smoothing": 0.1}, "smoothed and mixed labels"),
        ({}, ""),
    ],
    ids=["smoothing", "mixup", "both", "plain"],
)
def test_the_live_chart_has_a_floor_where_the_labels_are_not_plain(
    monkeypatch: pytest.MonkeyPatch, visit: Visit, made: Made, changes: dict[str, Any], name: str
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(live, "_mount", lambda *, data, **_more: given.update(data))
    run = made("cnn", **changes)
    at = visit("train", run=run.id)
    assert not at.exception
    floor = given["floor"]
    if not name:
        assert floor is None and stage.loss_floor(run)[0] == 0.0
        return
    assert floor["value"] == pytest.approx(loss_floor.floor(run.experiment().train, 10)) and floor["value"] > 0
    assert name in floor["name"] and f"{floor['value']:.2g} at least" in floor["text"]


def test_curves_of_several_runs_name_the_one_whose_labels_are_smoothed(visit: Visit, made: Made) -> None:
    plain, smoothed = made("mlp"), made("mlp", **{"train.label_smoothing": 0.2})
    from pages.kit import cards

    names = [cards._curve.__wrapped__(run.id, run, "train/loss", 0).name for run in (plain, smoothed)]
    assert "smoothed labels" in names[1] and "labels" not in names[0]
    assert "labels" not in cards._curve.__wrapped__(smoothed.id, smoothed, "val/loss", 0).name
