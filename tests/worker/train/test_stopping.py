"""What ends a run before its last step: at a plateau, at the same step every time; after a range test, with a rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.catalog.schedules.range_test import suggest
from core.spec import registry
from core.spec.events import Event, Snapshot
from core.spec.specs import assign, preset
from core.worker.train.stopping import CHECKS, EarlyStopping, RangeTest
from core.worker.train.training import Training


def trained(changes: dict[str, object], splits, checkpoint=None, until: int = 10**9):
    """(training, events) until the step or the end."""
    training = Training(assign(preset("mlp", "digits"), changes), splits, checkpoint=checkpoint)
    events: list[Event] = []
    for happened in training:
        events += [e for e in happened if isinstance(e, Event)]
        if training.step >= until:
            break
    return training, events


# ── early stopping ───────────────────────────────────────────────────────────


def test_it_stops_when_patience_checks_in_a_row_were_no_better():
    judge = EarlyStopping(patience=3, steps=400)
    assert judge.every == 10
    losses = iter([1.0, 0.8, 0.9, 0.8, 0.7, 0.7, 0.75, 0.9])  # equal is no better
    ends = [judge.ends(step, lambda: next(losses)) for step in range(10, 90, 10)]
    assert ends == [False] * 7 + [True]
    assert (judge.best, judge.best_step) == (0.7, 50)
    assert judge.figures() == {"best/val_loss": 0.7, "best/step": 50.0}
    words = "Stopped early at step 80 of 400: the validation loss was smallest at step 50 (0.7)"
    assert judge.words(80, 400) == f"{words}, and the weights of that step are kept."
    judge.keeps_best = False
    assert judge.words(80, 400) == f"{words}."
    assert not judge.words(400, 400).startswith("Stopped")


def test_a_loss_that_is_no_number_is_no_better_and_state_comes_back():
    judge, other = EarlyStopping(2, 80), EarlyStopping(2, 80)
    assert not judge.ends(2, lambda: math.nan)
    other.restore(judge.state())
    assert other.ends(4, lambda: math.nan) and (other.best, other.best_step) == (math.inf, 0)
    assert other.figures() == {} and other.words(4, 80) == ""


PLATEAU = {"train.steps": 400, "train.early_stopping": 3, "train.lr": 0.05, "train.label_noise": 0.3}


def test_a_run_stops_at_its_plateau_at_the_same_step_every_time_also_when_it_was_cut(small_splits):
    one, events = trained(PLATEAU, small_splits)
    assert one.step == one.steps < 400 and one.step % (400 // CHECKS) == 0
    told = {e.name: e.value for e in events}
    assert told["best/step"] == one.step - 3 * (400 // CHECKS)
    seen = {e.step: e.value for e in events if e.name == "val/loss"}
    assert told["best/val_loss"] == seen[told["best/step"]] == min(v for s, v in seen.items() if s % 10 == 0)
    assert "test/accuracy" in told and "Stopped early" in one.words(told)
    assert len([e for e in events if e.name == "val/loss"]) == len(seen), "no step is validated twice"

    again, _events = trained(PLATEAU, small_splits)
    half, _events = trained(PLATEAU, small_splits, until=one.step - 17)
    rest, _events = trained(PLATEAU, small_splits, checkpoint=half.checkpoint())
    for other in (again, rest):
        assert other.step == one.step
        for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_run_that_was_over_stays_over_after_a_resume(small_splits):
    one, _events = trained(PLATEAU, small_splits)
    again = Training(one.experiment, small_splits, checkpoint=one.checkpoint())
    assert again.step == again.steps == one.step and list(again) == []


def test_the_learning_rate_does_not_know_that_a_run_may_end_early(small_splits):
    plain, _events = trained({"train.steps": 50, "train.schedule": "cosine"}, small_splits)
    early, _events = trained({"train.steps": 50, "train.schedule": "cosine", "train.early_stopping": 40}, small_splits)
    for a, b in zip(plain.network.parameters(), early.network.parameters(), strict=True):
        assert torch.equal(a, b)


def weights(training: Training) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in training.network.state_dict().items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_the_best_is_kept_evaluated_and_the_same_after_every_cut(small_splits):
    """Against a plain loop that looks at every check itself; cut before, at and after the best, and at the end."""
    plain = Training(assign(preset("mlp", "digits"), {**PLATEAU, "train.keep_best": False}), small_splits)
    seen = {}
    for _happened in plain:
        if plain.step and plain.step % 10 == 0:
            seen[plain.step] = (plain.evaluate("validation")[0].value, weights(plain), plain.evaluate("test")[1].value)
    best = min(seen, key=lambda step: seen[step][0])
    assert best < plain.step and not same(seen[best][1], weights(plain))

    kept, events = trained(PLATEAU, small_splits)
    assert (kept.step, kept.best_step, kept.held_step) == (plain.step, best, best)
    assert same(weights(kept), seen[best][1])
    told = {e.name: e.value for e in events}
    assert told["test/accuracy"] == seen[best][2] == kept.evaluate("test")[1].value
    assert f"smallest at step {best}" in kept.words(told) and "are kept" in kept.words(told)
    assert kept.frame().step == best
    assert same(kept.snapshot().tensors, weights(plain)), "the last step's weights are not lost"
    assert {e.value for e in events if e.name == "best/step"} <= set(seen), "it is marked as soon as it is known"

    for cut in (best - 3, best, best + 3, kept.step - 1, kept.step):
        half, _events = trained(PLATEAU, small_splits, until=cut)
        rest, later = trained(PLATEAU, small_splits, checkpoint=half.checkpoint())
        assert same(weights(rest), seen[best][1]) and rest.best_step == best
        if cut < kept.step:
            assert {e.name: e.value for e in later}["test/accuracy"] == seen[best][2]
        one, other = kept.checkpoint().arrays, rest.checkpoint().arrays
        assert same(
            {k: v for k, v in one.items() if k[:5] in ("best/", "model")},
            {k: v for k, v in other.items() if k[:5] in ("best/", "model")},
        )


def test_a_run_that_stopped_early_is_trained_on_with_its_patience_anew_and_its_best_standing(small_splits):
    one, _events = trained(PLATEAU, small_splits)
    more = {**PLATEAU, "train.steps": 1200}
    on, events = trained(more, small_splits, checkpoint=one.checkpoint())
    assert one.step < on.step <= 1200 and on.planned == 1200
    checks = sorted({e.step for e in events if e.name == "val/loss" and e.step % 30 == 0})
    assert len(checks) >= 3, "three checks in a row must be no better before it ends again"
    assert on.best_step == one.best_step or on.best_step > one.step
    assert 0 < on.best_step <= on.step
    half, _events = trained(more, small_splits, checkpoint=one.checkpoint(), until=one.step + 40)
    rest, _events = trained(more, small_splits, checkpoint=half.checkpoint())
    assert (rest.step, rest.best_step) == (on.step, on.best_step) and same(weights(rest), weights(on))


# ── the range test ───────────────────────────────────────────────────────────


def rates_of(steps: int) -> list[float]:
    return [10 ** (-4 + 4 * i / (steps - 1)) for i in range(steps)]


def test_the_suggestion_is_where_the_smoothed_loss_falls_fastest():
    rates = rates_of(400)
    losses = [2.0 - 1.5 / (1 + math.exp(-6 * (math.log10(lr) + 2.5))) for lr in rates]  # falls around 10^-2.5
    losses = [loss + (max(0.0, lr - 0.1) * 50) for loss, lr in zip(losses, rates, strict=True)]
    noise = np.random.default_rng(0).normal(0, 0.02, 400)
    best, lowest = suggest(rates, [loss + n for loss, n in zip(losses, noise, strict=True)])
    assert 10**-2.7 < best < 10**-2.3 and 0.01 < lowest < 0.2


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 100, [float(i) for i in range(100)]])
def test_where_the_loss_never_falls_there_is_no_suggestion(losses):
    assert suggest(rates_of(max(2, len(losses)))[: len(losses)], losses)[0] == 0.0
    judge = RangeTest(registry.SCHEDULES.get("range_test"), 100)
    judge.hear([(0.1, loss) for loss in losses])
    assert judge.figures() == {} and "No learning rate" in judge.words(100, 100)


def test_on_a_quadratic_the_suggestion_lies_below_where_it_diverges():
    weight, rates, losses = torch.tensor([4.0, 4.0], dtype=torch.double), rates_of(200), []
    curvature = torch.tensor([1.0, 50.0], dtype=torch.double)  # gradient descent diverges above 2 / 50
    for lr in rates:
        losses.append(float((curvature * weight**2).sum() / 2))
        weight = weight - lr * curvature * weight
    best, lowest = suggest(rates, losses)
    assert 1e-4 < best < 2 / 50 and best <= lowest < 0.2


RANGE = {
    "train.steps": 300,
    "train.schedule": "range_test",
    "train.optimizer": "sgd",
    "train.lr": 0.1,
    "train.highest": 1000.0,
}


def test_a_range_test_ends_well_where_the_loss_explodes_and_suggests_a_rate_that_learns(small_splits):
    training, events = trained(RANGE, small_splits)
    told = {e.name: e.value for e in events}
    assert training.step < 300 and training.step == training.steps
    assert 1e-4 < told["suggested/lr"] < 1.0
    words = training.words(told)
    assert words.startswith("Suggested learning rate") and "exploded" in words and "answered right" not in words
    assert f"{told['suggested/lr']:.2g}" in words
    _good, events = trained(
        {"train.steps": 150, "train.optimizer": "sgd", "train.lr": told["suggested/lr"]}, small_splits
    )
    assert {e.name: e.value for e in events}["test/accuracy"] > 0.9


def test_a_range_test_goes_on_bit_for_bit_and_ends_at_the_same_step(small_splits):
    one, events = trained(RANGE, small_splits)
    half, _events = trained(RANGE, small_splits, until=one.step // 2 + 3)
    rest, later = trained(RANGE, small_splits, checkpoint=half.checkpoint())
    assert rest.step == one.step
    told, again = ({e.name: e.value for e in some} for some in (events, later))
    assert told["suggested/lr"] == again["suggested/lr"]


def test_a_loss_that_is_no_number_ends_a_range_test_without_a_failure(small_splits):
    training = Training(assign(preset("mlp", "digits"), {**RANGE, "train.steps": 30}), small_splits)
    kept = []
    for number, happened in enumerate(training):
        kept += happened
        if number == 10:
            with torch.no_grad():
                training.network.head.weight.fill_(float("nan"))
    assert training.step == training.steps == 10
    assert [s.step for s in kept if isinstance(s, Snapshot)][-1] == 10
    losses = [e for e in kept if isinstance(e, Event) and e.name == "train/loss"]
    assert all(math.isfinite(e.value) for e in losses)
