"""Losses and counts of the three tasks against sums by hand; steps that are not asked, and padding, never count."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER
from core.spec.specs import assign, preset
from core.worker.data.splits import NOT_ASKED
from core.worker.train.objective import Tally, answered, loss_of, verdict
from core.worker.train.training import Training, load_data

LOGITS = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [5.0, -5.0]], [[0.0, 0.0], [1.0, 3.0], [-4.0, 4.0]]])
ASKED = torch.tensor([[0, 1, NOT_ASKED], [NOT_ASKED, 0, NOT_ASKED]])


def by_hand(logits: list[float], target: int) -> float:
    return math.log(sum(math.exp(v) for v in logits)) - logits[target]


def test_each_step_is_the_mean_over_the_steps_that_are_asked():
    wanted = [by_hand([2, 0], 0), by_hand([0, 1], 1), by_hand([1, 3], 0)]
    assert float(loss_of(EACH_STEP)(LOGITS, ASKED)) == pytest.approx(sum(wanted) / 3, rel=1e-5)
    assert answered(LOGITS, ASKED, EACH_STEP) == (2, 3)
    tally = Tally(EACH_STEP)
    tally.add(LOGITS, ASKED)
    assert tally.figures() == pytest.approx({"loss": sum(wanted) / 3, "accuracy": 2 / 3}, rel=1e-5)


def test_what_is_not_asked_moves_neither_loss_nor_gradient_nor_count():
    changed = LOGITS.clone()
    changed[0, 2], changed[1, 0], changed[1, 2] = 77.0, -9.0, 1e4
    assert torch.equal(loss_of(EACH_STEP)(changed, ASKED), loss_of(EACH_STEP)(LOGITS, ASKED))
    assert answered(changed, ASKED, EACH_STEP) == (2, 3)
    leaf = changed.requires_grad_()
    loss_of(EACH_STEP, 0.1)(leaf, ASKED).backward()
    assert leaf.grad is not None
    assert not leaf.grad[ASKED == NOT_ASKED].any() and leaf.grad[ASKED != NOT_ASKED].all()


def test_a_number_is_the_mean_squared_error_and_has_no_accuracy():
    given, y = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.5, 2.0, 1.0])
    wanted = (0.25 + 0 + 9) / 3
    assert float(loss_of(NUMBER)(given, y)) == pytest.approx(wanted)
    tally = Tally(NUMBER)
    tally.add(given[:2], y[:2])
    tally.add(given[2:], y[2:])  # batches of different sizes
    assert tally.figures() == pytest.approx({"loss": wanted, "mse": wanted})


def test_classes_with_smoothing_and_with_shares_are_torchs_own():
    logits, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    assert torch.equal(loss_of(CLASSES)(logits, y), functional.cross_entropy(logits, y))
    smooth = loss_of(CLASSES, 0.2)(logits, y)
    assert torch.equal(smooth, functional.cross_entropy(logits, y, label_smoothing=0.2))
    logs, spread = logits.log_softmax(1), torch.full((6, 4), 0.05)
    spread[torch.arange(6), y] += 0.8
    assert float(smooth) == pytest.approx(float(-(spread * logs).sum(1).mean()), rel=1e-5)
    shares = torch.rand(6, 4).softmax(1)
    assert float(loss_of(CLASSES)(logits, shares)) == pytest.approx(float(-(shares * logs).sum(1).mean()), rel=1e-5)
    assert answered(logits, functional.one_hot(y, 4).float(), CLASSES) == answered(logits, y, CLASSES)


def test_nothing_asked_has_no_figures():
    tally = Tally(EACH_STEP)
    tally.add(LOGITS, torch.full((2, 3), NOT_ASKED))
    assert tally.figures() == {}


def run(architecture: str, data: str, changes: dict[str, object]) -> tuple[Training, dict[str, float]]:
    """A short training and its last figures."""
    training, last = Training(assign(preset(architecture, data), changes)), {}
    for happened in training:
        last.update({e.name: e.value for e in happened if hasattr(e, "name")})
    return training, last


def test_the_adding_problem_is_trained_by_its_squared_error():
    changes = {"train.steps": 3, "data.samples": 300, "data.length": 8}
    training, last = run("gru", "adding", changes)
    x, y = training.splits.test
    with torch.no_grad():
        error = float(((training.network(x).squeeze(1) - y) ** 2).mean())
    assert last["test/mse"] == last["test/loss"] == pytest.approx(error, rel=1e-4)
    assert {"val/mse", "train/loss", "lr"} <= set(last) and not [name for name in last if "accuracy" in name]
    assert "mean squared error" in training.words(last) and f"{error:.3g}" in training.words(last)


def test_the_copy_task_counts_only_the_symbols_that_are_asked():
    changes = {"train.steps": 3, "data.samples": 300, "data.items": 3, "data.gap": 4, "data.symbols": 4}
    training, last = run("gru", "copy", changes)
    x, y = training.splits.test
    with torch.no_grad():
        logits = training.network(x)[:, -3:]
    right = float((logits.argmax(-1) == y[:, -3:]).float().mean())
    loss = float(functional.cross_entropy(logits.flatten(0, 1), y[:, -3:].flatten()))
    assert last["test/accuracy"] == pytest.approx(right) and last["test/loss"] == pytest.approx(loss, rel=1e-4)
    assert 0 <= last["train/accuracy"] <= 1
    assert "of the steps asked in the test samples are answered right" in training.words(last)


def test_padding_behind_a_row_changes_no_loss():
    made = assign(preset("gru", "planted"), {"data.samples": 200, "data.length": 8, "train.batch_size": 16})
    splits = load_data(made)
    longer = replace(splits, train=(functional.pad(splits.train[0], (0, 5)), splits.train[1]))
    losses = []
    for given in (splits, longer):
        training = Training(assign(made, {"train.steps": 3}), given)
        losses.append([e.value for happened in training for e in happened if getattr(e, "name", "") == "train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_words_of_a_verdict():
    assert verdict(CLASSES, {"test/accuracy": 0.5}, torch.zeros(1)) == "50.0% of the test samples are answered right."
    words = verdict(NUMBER, {"test/mse": 0.25}, torch.tensor([0.0, 2.0]))
    assert "is 0.25 (always answering their mean has 1)" in words
