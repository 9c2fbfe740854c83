"""The page of the faithfulness check, with a worker's real answers."""

from __future__ import annotations

import numpy as np
import pytest

from pages.explain import faithfulness
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.worker.look.conftest import ask


def test_the_curves_the_table_and_the_warning(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_faithfulness", run=made("cnn", "digits").id)
    at.selectbox(key="look_faithfulness.methods").set_value("none").run()
    assert "no method left to compare" in said(at).replace("\\", "")
    at.text_input(key="look_faithfulness.also").set_value("saliency, integrated_gradients").run()
    assert not at.exception
    figure = drawn["faithfulness.curves"]["fig"]
    assert {t.name for t in figure.data if t.name} == {"random order", "Saliency", "Integrated Gradients"}
    assert figure.layout.yaxis.title.text == "probability"
    assert "Saliency" in drawn["faithfulness.curves"]["alt"]
    rows = at.dataframe[0].value
    assert list(rows["order of"])[-1] == "random order, random map" and len(rows) == 3
    assert all("±" in text for text in rows["infidelity"]) and rows["sensitivity"].iloc[-1] == "–"
    assert "No single number is a judge" in said(at).replace("\\", "")
    assert "49 pieces" in said(at)


@pytest.mark.slow
def test_several_samples_and_logits(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = made("mlp", "points", **{"data.samples": 200}).id
    at = visit("explain_faithfulness", run=run)
    at.number_input(key="look_faithfulness.samples").set_value(3).run()
    at.selectbox(key="look_faithfulness.scale").set_value("logit").run()
    assert not at.exception and "Mean over 3 test samples" in said(at)
    assert drawn["faithfulness.curves"]["fig"].layout.yaxis.title.text == "logit"
    assert "Grad-CAM is left out" in said(at).replace("\\", "")


def test_an_unknown_name_is_told_with_those_that_are_known(visit: Visit, made: Made) -> None:
    at = visit("explain_faithfulness", run=made("mlp", "points", **{"data.samples": 200}).id)
    at.text_input(key="look_faithfulness.also").set_value("tea").run()
    assert "there is no method called “tea”" in said(at).replace("\\", "") and not at.exception


def test_the_methods_come_in_the_order_of_their_areas_and_means_leave_out_what_is_missing(made: Made) -> None:
    seen = ask(
        made("mlp", "digits"),
        "faithfulness",
        methods="none",
        also="saliency, random, integrated_gradients",
        seeds=2,
        side=7,
    )
    areas = [float(seen.arrays[f"deletion_area/{name}"][0]) for name in faithfulness.there(seen)]
    assert len(areas) == 3 and areas == sorted(areas)
    assert faithfulness.mean_of(np.array([[1.0, np.nan], [3.0, 4.0]])).tolist() == [2.0, 4.0]
    assert faithfulness._cell(seen, "sensitivity", "random order") == "–"
