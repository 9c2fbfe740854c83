"""The page of the gradient flow: the verdict first, its mend, the thresholds, and what a click does."""

from __future__ import annotations

from core import diagnosis
from core.spec.questions import Look
from pages.look_inside import gradients
from tests.pages.conftest import Made, Visit, said
from tests.pages.fake_engine import FakeEngine


def test_a_healthy_run_is_called_so_with_its_numbers(visit: Visit, made: Made) -> None:
    at = visit("look_gradients", run=made("mlp").id)
    (box,) = at.success
    assert "Healthy" in box.value and "It learns" in box.value and box.value.count(". ") <= 3
    (rest,) = (one for one in at.expander if one.label == "What else was checked")
    assert "times as large" in rest.markdown[0].value and rest.markdown[0].value.count("\n- ") >= 3
    assert box.icon == gradients.ICONS["healthy"]
    assert not at.warning and not at.error
    assert len(at.get("bidi_component")) >= 3  # the flow, the histograms, the dead units


def test_an_ill_run_says_what_would_mend_it(visit: Visit, made: Made) -> None:
    run = made("mlp", **{"model.hidden": (16,) * 12, "model.activation": "sigmoid"})
    at = visit("look_gradients", run=run.id)
    (box,) = at.warning
    assert "Vanishing gradient" in box.value and "To mend it" in box.value
    assert "vanishes" not in said(at).replace(box.value, "")  # said once


def test_every_threshold_stands_on_the_page_with_its_source(visit: Visit, made: Made) -> None:
    at = visit("look_gradients", run=made("mlp").id)
    shown = at.table[0].value.to_string()
    assert all(threshold.limit in shown for threshold in diagnosis.THRESHOLDS)


def test_the_moment_and_the_layer_are_asked_for(visit: Visit, fake: FakeEngine, made: Made) -> None:
    visit("look_gradients", run=made("cnn").id, step="2", layer="conv2")
    asked = [question for question in fake.asked if isinstance(question, Look)][-1]
    assert (asked.view, asked.step, asked.layer) == ("gradients", 2, "conv2")


def test_a_few_layers_stand_for_many_and_the_chosen_one_is_among_them() -> None:
    names = [f"layer{i}" for i in range(40)]
    found = gradients.spread(names, "layer7")
    assert (found[0], found[-1], len(found)) == ("layer0", "layer39", gradients.MULTIPLES)
    assert "layer7" in found
    assert gradients.spread(names[:3], "") == names[:3]


def test_every_verdict_has_an_icon() -> None:
    assert set(gradients.ICONS) == set(diagnosis.TITLES)
