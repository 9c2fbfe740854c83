"""A run whose weights have grown beyond all numbers: a sentence, and no sentence about numbers that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.entries import CONTROL
from core.spec import registry, specs
from core.spec.events import Snapshot
from core.spec.specs import Choice
from core.store import Run, Store
from core.worker.answers import look
from core.worker.explain import attribute
from core.worker.look.subject import CannotShow
from tests.trained import train
from tests.worker.explain.conftest import case, choice, of_run
from tests.worker.look.conftest import ask, question

LAST = 8


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Its weights of step 8 are no numbers; those before it are."""
    experiment = specs.assign(specs.preset("cnn", "digits"), {"train.steps": LAST})
    run = train(Store(tmp_path_factory.mktemp("runs")), experiment)
    weights = run.weights(LAST)
    run.save_snapshot(Snapshot(LAST, {**weights, "head.weight": np.full_like(weights["head.weight"], np.nan)}))
    return run


@pytest.mark.parametrize("view", ["mistakes", "attack", "counter_example", "faithfulness", "sanity"])
def test_a_view_of_the_answers_says_that_they_are_no_numbers_and_has_an_earlier_moment(broken: Run, view: str) -> None:
    with pytest.raises(CannotShow, match=r"no number.*earlier"):
        ask(broken, view)
    assert look(replace(question(broken, view), step=2), lambda *_told: None).words


@pytest.mark.parametrize(
    ("view", "options"),
    [
        ("feature_maps", {"layer": "head"}),
        ("landscape", {"kind": "line", "resolution": 5, "samples": 32}),
        ("landscape", {"kind": "plane", "resolution": 5, "samples": 32}),
    ],
)
def test_a_view_of_the_network_makes_no_sentence_of_numbers_that_are_none(broken: Run, view: str, options: Any) -> None:
    said = " ".join(ask(broken, view, **options).words)
    assert "diverged" in said and "earlier moment" in said.replace("an earlier", "earlier")
    assert "nan" not in said and "The strongest" not in said and "No point" not in said


def test_states_of_a_diverged_network_say_so(tmp_path: Path) -> None:
    experiment = specs.assign(specs.preset("lstm", "adding"), {"train.steps": 2, "data.samples": 200})
    run = train(Store(tmp_path), experiment)
    weights = run.weights(2)
    run.save_snapshot(Snapshot(2, {**weights, "head.weight": np.full_like(weights["head.weight"], np.nan)}))
    said = " ".join(ask(run, "states").words)
    assert "diverged" in said and "nan" not in said


@pytest.mark.slow
def test_influence_is_not_summed_over_gradients_that_are_no_numbers(broken: Run) -> None:
    with pytest.raises(CannotShow, match=rf"kept moments {LAST} \(steps\).*beyond all numbers"):
        ask(broken, "influence")


def test_every_method_but_the_controls_is_withheld_with_the_reason(broken: Run) -> None:
    for method in registry.METHODS:
        found = attribute(of_run(broken, 0), Choice(method.name, method.options()))
        assert ("no number" in found.withheld) != (method.family == CONTROL), method.name


def test_lime_is_withheld_where_only_the_answers_without_some_pieces_are_no_numbers() -> None:
    class Logarithm(nn.Module):
        """Finite at the input alone."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(x.sum(1, keepdim=True) - x.shape[1] + 0.5).expand(-1, 2)

    found = attribute(case(Logarithm(), torch.ones(1, 4), classes=2, target="0"), choice("lime"))
    assert "pieces missing" in found.withheld
