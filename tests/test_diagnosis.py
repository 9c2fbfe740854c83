"""Verdicts from numbers alone: each begins where its threshold says, and a cause hides its consequences."""

from __future__ import annotations

import math
import string
from dataclasses import replace

import pytest

from core import diagnosis
from core.diagnosis import Ended, Evidence, Limited, diagnose

FALLING = tuple(2.3 * 0.97**step for step in range(100))
FLAT = (2.3,) * 100
HEALTHY = Evidence(
    norms={"conv1": 0.4, "conv2": 0.6, "head": 1.0},
    dead={"relu1": 0.1},
    losses=FALLING,
    update_ratios=(1e-3,) * 9,
    lr=0.003,
    constant=2.3,
    chance=0.1,
    accuracy=0.98,
    val_loss=0.15,
    val_accuracy=0.95,
    weights={"conv1": 1.2},
    normed=(0.98, 0.97),
)
STUCK = {"losses": FLAT, "accuracy": 0.11, "val_loss": 2.3, "val_accuracy": 0.1}


def states(evidence: Evidence) -> list[str]:
    return [verdict.state for verdict in diagnose(evidence)]


def ends(first: float, last: float) -> dict[str, float]:
    return {"linear1": first, "linear2": 0.5, "head": last}


CASES = [
    ({}, ["healthy"]),
    ({"norms": ends(1e-5, 1.0)}, ["vanishing"]),
    ({"norms": ends(0.0, 1.0)}, ["vanishing"]),
    ({"norms": ends(2e-4, 1.0)}, ["healthy"]),
    ({"norms": ends(240.0, 1.0)}, ["exploding"]),
    ({"norms": ends(40.0, 1.0)}, ["healthy"]),
    ({"norms": ends(1e-7, 1.0), "dead": {"relu1": 1.0}}, ["dead"]),
    ({"dead": {"relu1": 0.79}}, ["healthy"]),
    ({"through_time": {"lstm": 1e-8}}, ["vanishing_in_time"]),
    ({"through_time": {"lstm": 0.3}}, ["healthy"]),
    ({"through_time": {"rnn": 1e6}}, ["exploding_in_time"]),
    ({"through_time": {"rnn": math.nan}}, ["healthy"]),
    ({"norms": ends(1e-7, 1.0), "through_time": {"rnn": 1e-9}}, ["vanishing", "vanishing_in_time"]),
    ({"losses": FLAT, "update_ratios": (1e-6,) * 9}, ["lr_too_small"]),
    ({"losses": (2.3,) * 9 + (1.8,) * 31, "update_ratios": (2e-4,) * 9}, ["lr_too_small"]),  # it creeps
    ({"losses": (2.3,) * 9 + (1.8,) * 31, "update_ratios": (2e-3,) * 9}, ["healthy"]),
    (STUCK, ["not_learned"]),
    ({**STUCK, "losses": (9.0, *FLAT)}, ["not_learned"]),  # it has only learned which answer is common
    ({**STUCK, "losses": FLAT[:99]}, ["unjudged"]),
    ({**STUCK, "constant": math.nan}, ["not_learned"]),
    ({**STUCK, "sigmoids": ("sigmoid1",)}, ["not_learned"]),
    ({**STUCK, "weight_decay": 1.0, "weights": {"a": 0.2, "b": 0.3}}, ["weight_decay"]),
    ({**STUCK, "weight_decay": 1.0, "weights": {"a": 0.2, "b": 0.3}, "update_ratios": (0.5,) * 9}, ["weight_decay"]),
    ({"weight_decay": 1.0, "weights": {"a": 0.2, "b": 0.3}}, ["healthy"]),  # it fits all the same
    ({**STUCK, "weight_decay": 0.0, "weights": {"a": 0.2, "b": 0.3}}, ["not_learned"]),
    ({"normed": (0.64, 0.19)}, ["norms_lag"]),
    ({"normed": (0.64, 0.19), "val_loss": 11.6, "val_accuracy": 0.2}, ["norms_lag"]),  # validation uses them
    ({"normed": (0.64, 0.55)}, ["healthy"]),
    ({"val_loss": 11.6, "val_accuracy": 0.6}, ["overfitting"]),
    ({"val_loss": 11.6, "val_accuracy": 0.1}, ["overfitting"]),  # by heart
    ({"val_loss": 11.6, "val_accuracy": 0.6, "label_noise": 0.5}, ["overfitting"]),
    ({"val_loss": 11.6, "val_accuracy": 0.97}, ["healthy"]),  # sure of itself, but right
    ({"val_loss": 0.5, "accuracy": math.nan, "val_accuracy": math.nan, "chance": math.nan}, ["overfitting"]),
    ({"limited": Limited("relu9", "a logit can never be below 0", 0.8)}, ["limited_answer"]),
    ({"limited": Limited("drop", "a logit is set to zero at random", 0.1, at_random=True)}, ["limited_answer"]),
    ({**STUCK, "data": "same inputs"}, ["data"]),
    ({"data": "one answer"}, ["data"]),
    ({"update_ratios": (1e-6,) * 9}, ["healthy"]),  # it learns all the same
    ({"losses": FLAT, "update_ratios": (0.5,) * 9}, ["lr_too_large"]),
    ({"update_ratios": (0.5,) * 9}, ["healthy"]),
    ({"losses": tuple(reversed(FALLING))}, ["lr_too_large"]),
    ({"losses": tuple(reversed(FALLING)), "swept": True}, ["unjudged"]),
    ({"losses": (2.3, 900.0, *FLAT), "dead": {"relu1": 1.0}}, ["lr_too_large", "dead"]),
    ({"losses": (2.3, 900.0)}, ["unjudged"]),  # too few steps to tell
    ({"losses": FLAT, "norms": ends(1e-9, 1.0), "update_ratios": (1e-9,) * 9}, ["vanishing"]),
    ({"losses": (*FALLING, math.nan), "ended": Ended(101, "conv2"), "dead": {"relu1": 1.0}}, ["diverged"]),
]


@pytest.mark.parametrize(("change", "expected"), CASES, ids=range(len(CASES)))
def test_the_evidence_is_called_by_its_name(change: dict[str, object], expected: list[str]) -> None:
    assert states(replace(HEALTHY, **change)) == expected


@pytest.mark.parametrize(("change", "expected"), CASES, ids=range(len(CASES)))
def test_a_verdict_says_its_numbers_and_a_mend(change: dict[str, object], expected: list[str]) -> None:
    for verdict in diagnose(replace(HEALTHY, **change)):
        assert verdict.state in diagnosis.TITLES
        assert verdict.sentence().endswith(".")
        places = {name for says in verdict.says for _t, name, _f, _c in string.Formatter().parse(says) if name}
        places |= {name for _t, name, _f, _c in string.Formatter().parse(verdict.mend) if name}
        assert places <= set(verdict.numbers)
        assert "nan" not in verdict.sentence() + verdict.advice()
        assert verdict.mend.endswith(".") == (verdict.state != "healthy")


def test_the_first_layer_that_overflowed_is_named() -> None:
    (verdict,) = diagnose(replace(HEALTHY, ended=Ended(7, "conv2")))
    assert "conv2" in verdict.sentence() and "step 7" in verdict.sentence()
    (verdict,) = diagnose(replace(HEALTHY, ended=Ended(7, "")))
    assert "no single layer" in verdict.sentence()


def test_no_unit_dead_is_said_so() -> None:
    (some,), (none,) = (diagnose(replace(HEALTHY, dead={"relu1": share})) for share in (0.004, 0.0))
    assert "more than 0.4% dead units" in some.sentence() and "No unit of a ReLU layer is dead" in none.sentence()


def test_nothing_known_is_called_neither_ill_nor_healthy() -> None:
    assert states(Evidence()) == ["unjudged"]
    assert states(Evidence(norms={"head": 0.0})) == ["unjudged"]


def test_health_says_all_that_was_looked_at() -> None:
    (verdict,) = diagnose(HEALTHY)
    for said in (
        "always giving the same answer would have 2.3",
        "98% of the training",
        "In validation 95%",
        "conv1",
        "dead",
        "moves the weights",
        "weight decay 0",
        "Batch norms",
        "Inputs and labels",
    ):
        assert said in verdict.sentence(), said
    (less,) = diagnose(replace(HEALTHY, normed=None, val_accuracy=math.nan, val_loss=math.nan))
    assert "Batch norms" not in less.sentence() and "validation" not in less.sentence()


@pytest.mark.parametrize(
    "change", [change for change, _expected in CASES if "losses" in change], ids=lambda change: "-".join(change)
)
def test_nothing_that_has_not_learned_is_healthy(change: dict[str, object]) -> None:
    """Whatever else is known: without a loss below that of a single answer there is no health."""
    evidence = replace(HEALTHY, **change)
    if "healthy" in states(evidence):
        assert evidence.loss_now() < diagnosis.words.LITTLE * evidence.constant


def test_every_verdict_of_a_number_has_its_threshold_with_a_source() -> None:
    covered = {state for threshold in diagnosis.THRESHOLDS for state in threshold.states}
    assert covered == set(diagnosis.TITLES) - {"healthy", "diverged", "unjudged", "data", "limited_answer"}
    assert all(threshold.measure and threshold.limit and threshold.source for threshold in diagnosis.THRESHOLDS)
    assert set(diagnosis.MENDS) >= set(diagnosis.TITLES) - {"healthy"}
