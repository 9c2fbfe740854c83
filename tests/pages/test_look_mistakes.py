"""The page of the mistakes, with a worker's real answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pages.look_inside import mistakes
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.pages.fake_engine import FakeEngine
from tests.worker.look.conftest import ask


def gallery(drawn: Drawn) -> Any:
    return next(drawn[key]["fig"] for key in reversed(list(drawn)) if key.startswith("mistakes.gallery"))


def test_the_matrix_the_confidence_and_the_gallery(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_mistakes", run=made("mlp", "digits").id)
    assert {"mistakes.confusion", "mistakes.calibration"} <= set(drawn)
    assert drawn["mistakes.confusion"]["alt"].startswith("Confusion matrix of 360 answers")
    assert len(gallery(drawn).data[0].customdata) == 24
    assert "All answers: 360, 24 shown" in said(at) and "calibration error" in said(at)
    at.segmented_control(key="mistakes.second").set_value("classes").run()
    assert "mistakes.classes" in drawn
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 10 and not at.exception


def test_a_class_is_chosen_and_all_come_back(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_mistakes", run=made("mlp", "digits").id)
    at.text_input(key="look_mistakes.target").set_value("8").run()
    assert "All that are **8**: 35" in said(at)
    next(one for one in at.button if one.label == "Show all").click().run()
    assert "All answers: 360" in said(at) and at.text_input(key="look_mistakes.target").value == ""


def test_a_clicked_cell_chooses_its_samples_and_clicked_again_all(
    visit: Visit, made: Made, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made("mlp", "digits")
    chosen: list[dict[str, str]] = []
    monkeypatch.setattr(mistakes.look, "choose", lambda _view, **values: chosen.append(values))
    seen = ask(run, "mistakes")
    mistakes._cell(seen, {"customdata": [3, 5], "x": 5, "y": 3})
    seen = replace(seen, facts=replace(seen.facts, chosen=(3, 5)))
    mistakes._cell(seen, {"customdata": [3, 5], "x": 5, "y": 3})
    mistakes._cell(seen, {"customdata": None})
    assert chosen == [{"target": "3", "predicted": "5"}, {"target": "", "predicted": ""}]


def test_every_form_of_data_has_its_gallery(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("look_mistakes", run=made("mlp", "points", **{"data.samples": 200}).id)
    assert sum(str(one.key).startswith("mistakes.item.") for one in at.button) == 24
    at = visit("look_mistakes", run=made("gru", "adding", **{"data.samples": 100, "model.hidden": 8}).id)
    assert "mistakes.numbers" in drawn and "mean squared error" in said(at)
    assert len(np.array(gallery(drawn).data[0].customdata)) == 20
    small = {"data.samples": 100, "model.hidden": 8, "data.items": 3, "data.gap": 4}
    at = visit("look_mistakes", run=made("gru", "copy", **small).id)
    at.segmented_control(key="mistakes.second").set_value("steps").run()
    assert "mistakes.steps" in drawn and not at.exception
    item = next(one for one in at.button if one.key == "mistakes.item.0")
    item.click().run()
    assert not at.exception and at.query_params["sample"]


def test_characters_that_cannot_be_seen_are_written() -> None:
    assert [mistakes.visible(name) for name in (" ", "\n", "\t", "a")] == ["␣", "↵", "⇥", "a"]
