"""The mistakes against scikit-learn, a slow calibration error, and the run's own record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from core.worker.look import mistakes
from core.worker.look.subject import Subject
from core.worker.train.objective import Tally
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject


def answered(at: Subject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities, target, loss) of all that is asked in the test set, in one plain pass."""
    x, y = at.splits.test
    with torch.no_grad():
        logits = at.network(x)
    asked = y != -100
    logits, target = (logits[asked], y[asked]) if logits.dim() == 3 else (logits, y)
    losses = torch.stack([F.cross_entropy(one[None], t[None]) for one, t in zip(logits, target, strict=True)])
    return logits.softmax(-1).numpy(), target.numpy(), losses.numpy()


def slow_ece(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Guo et al. 2017, equation 3, bin by bin and sample by sample."""
    total = 0.0
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence.tolist()) if b / bins < c <= (b + 1) / bins]
        if inside:
            sure = sum(confidence.tolist()[i] for i in inside) / len(inside)
            share = sum(bool(right[i]) for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(share - sure)
    return total


RUNS = [("cnn", "digits", {}), ("mlp", "points", {}), ("gpt", "characters", {"data.length": 16, "model.width": 16})]


@pytest.mark.parametrize(("preset", "data", "changes"), RUNS)
def test_counts_and_measures_are_those_of_scikit_learn(
    trained: Trained, preset: str, data: str, changes: dict[str, Any]
) -> None:
    run = trained(preset, data, 12, **changes)
    seen, at = ask(run, "mistakes"), subject(run, "mistakes")
    probabilities, target, losses = answered(at)
    predicted, k = probabilities.argmax(1), at.form.classes
    np.testing.assert_array_equal(seen.arrays["confusion"], confusion_matrix(target, predicted, labels=np.arange(k)))
    known = precision_recall_fscore_support(target, predicted, labels=np.arange(k), zero_division=np.nan)
    for name, value in zip(("precision", "recall", "f1", "support"), known, strict=True):
        np.testing.assert_allclose(seen.arrays[f"class/{name}"], value, err_msg=name)
    two = np.sort(probabilities, axis=1)[:, -2:]
    np.testing.assert_allclose(seen.arrays["loss"], losses, atol=2e-5)
    np.testing.assert_allclose(seen.arrays["margin"], two[:, 1] - two[:, 0], atol=1e-5)
    confidence = seen.arrays["confidence"]
    np.testing.assert_allclose(confidence, two[:, 1], atol=1e-5)
    assert seen.facts.ece == pytest.approx(slow_ece(confidence, predicted == target, 15), abs=1e-9)


@pytest.mark.parametrize(("preset", "data", "changes"), RUNS)
def test_the_totals_are_the_runs_own(trained: Trained, preset: str, data: str, changes: dict[str, Any]) -> None:
    run = trained(preset, data, 12, **changes)
    seen = ask(run, "mistakes")
    confusion = seen.arrays["confusion"]
    wrong = int(confusion.sum() - np.trace(confusion))
    assert wrong == (seen.arrays["target"] != seen.arrays["predicted"]).sum()
    at = subject(run, "mistakes")
    tally = Tally(at.form.task)  # what the worker records as test/accuracy when a run ends
    tally.add(at.network(at.splits.test[0]), at.splits.test[1])
    recorded = run.latest().get("test/accuracy", tally.figures()["accuracy"])
    assert np.trace(confusion) / confusion.sum() == pytest.approx(recorded, abs=1e-12)
    assert seen.arrays["loss"].mean() == pytest.approx(tally.figures()["loss"], rel=1e-5)


def test_every_cell_has_as_many_samples_as_it_counts(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    confusion = ask(run, "mistakes").arrays["confusion"]
    cells = {tuple(map(int, cell)) for cell in np.argwhere(confusion)} | {(0, 1), (9, 8)}
    for target, predicted in list(sorted(cells))[:30]:
        seen = ask(run, "mistakes", target=str(target), predicted=str(predicted), count=96)
        assert seen.facts.fits == confusion[target, predicted]
        assert len(seen.arrays["gallery/samples"]) == min(96, confusion[target, predicted])
        at = subject(run, "mistakes")
        assert (at.splits.test[1][torch.from_numpy(seen.arrays["gallery/samples"])] == target).all()
        np.testing.assert_array_equal(seen.arrays["gallery/shown"], at.splits.shown[seen.arrays["gallery/samples"]])


def test_a_row_and_a_column_have_as_many_samples_as_they_count(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    confusion = ask(run, "mistakes").arrays["confusion"]
    assert ask(run, "mistakes", target="3").facts.fits == confusion[3].sum()
    assert ask(run, "mistakes", predicted="3").facts.fits == confusion[:, 3].sum()


def test_the_orders_are_what_they_say(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    losses = ask(run, "mistakes", count=96).arrays["gallery/loss"]
    assert (np.diff(losses) <= 0).all() and losses[0] == ask(run, "mistakes").arrays["loss"].max()
    margins = ask(run, "mistakes", order="least certain first").arrays["gallery/margin"]
    assert (np.diff(margins) >= 0).all()
    assert (np.diff(ask(run, "mistakes", order="as in the test set").arrays["gallery/samples"]) > 0).all()


def test_each_asked_step_of_a_copied_row_is_an_answer(trained: Trained) -> None:
    run = trained("gru", "copy", 6, **{"data.samples": 200, "data.items": 3, "data.gap": 4, "model.hidden": 8})
    seen, at = ask(run, "mistakes", count=96), subject(run, "mistakes")
    x, y = at.splits.test
    with torch.no_grad():
        right = at.network(x).argmax(-1) == y
    asked = (y != -100).numpy()
    assert seen.facts.answers == asked.sum() == seen.arrays["confusion"].sum()
    np.testing.assert_array_equal(seen.arrays["step/asked"], asked.sum(0))
    for step in range(y.shape[1]):
        share = right[:, step].numpy()[asked[:, step]]
        if asked[:, step].any():
            assert seen.arrays["step/accuracy"][step] == pytest.approx(share.mean())
        else:
            assert np.isnan(seen.arrays["step/accuracy"][step])
    for i, (sample, step) in enumerate(zip(seen.arrays["gallery/samples"], seen.arrays["gallery/steps"], strict=True)):
        assert y[sample, step] == seen.arrays["gallery/target"][i]


def test_a_number_has_residuals(trained: Trained) -> None:
    run = trained("gru", "adding", 6, **{"data.samples": 200, "data.length": 8, "model.hidden": 8})
    seen, at = ask(run, "mistakes", count=5, target="7"), subject(run, "mistakes")
    with torch.no_grad():
        off = (at.network(at.splits.test[0])[:, 0] - at.splits.test[1]).numpy()
    np.testing.assert_allclose(seen.arrays["residual"], off, atol=1e-6)
    assert seen.facts.mse == pytest.approx(float((off**2).mean()), rel=1e-5)
    np.testing.assert_array_equal(seen.arrays["gallery/samples"], np.argsort(-(off**2), kind="stable")[:5])
    assert any("no classes" in sentence for sentence in seen.words)


def test_an_unknown_class_is_told_and_all_are_shown(trained: Trained) -> None:
    seen = ask(trained("cnn", "digits", 12), "mistakes", target="eleven")
    assert seen.facts.fits == seen.facts.answers
    assert any("no class eleven" in sentence for sentence in seen.words)


def test_the_next_question_about_the_same_weights_asks_no_network(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    told: list[float] = []
    at = subject(run, "mistakes")
    mistakes._known.clear()
    mistakes.answers_of(at, lambda fraction, _words: told.append(fraction))
    assert len(told) > 3 and told == sorted(told)
    mistakes.answers_of(at, lambda _fraction, _words: pytest.fail("asked again"))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_confidences_at_the_edges_fall_into_the_lower_bin(bins: int) -> None:
    confidence = np.array([0.0, 0.1, 0.2, 0.5, 0.9999, 1.0])
    right = np.array([0, 1, 0, 1, 1, 1], dtype=bool)
    found = mistakes.calibration(confidence, right, bins)
    assert found["count"].sum() == 6 and found["count"][-1] >= 1
    error = mistakes.expected_calibration_error(found["count"], found["confidence"], found["accuracy"])
    if bins == 10:  # 0 has no bin in the formula; it is put into the first
        assert error == pytest.approx((abs(1 - 0.1) + 0.2 + 0.5 + (2 - 1.9999)) / 6)


def test_the_code_computes_what_is_shown(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained("cnn", "digits", 12)
    seen, at = ask(run, "mistakes", bins=15), subject(run, "mistakes")
    space: dict[str, Any] = {"network": at.copied(), "x": at.x}
    exec(seen.code, space)
    assert "tensor" in capsys.readouterr().out
    found = space["answers"](*at.splits.test)
    for name, value in found.items():
        np.testing.assert_allclose(seen.arrays[name], value.numpy(), atol=1e-4, err_msg=name)
    counts = space["confusion"](found["target"], found["predicted"], 10)
    np.testing.assert_array_equal(seen.arrays["confusion"], counts.numpy())
    error = space["calibration_error"](found["confidence"], found["target"] == found["predicted"])
    assert float(error) == pytest.approx(seen.facts.ece, abs=1e-6)


def test_the_code_for_numbers_computes_what_is_shown(trained: Trained) -> None:
    run = trained("gru", "adding", 6, **{"data.samples": 200, "data.length": 8, "model.hidden": 8})
    seen, at = ask(run, "mistakes"), subject(run, "mistakes")
    space: dict[str, Any] = {"network": at.copied(), "x": at.x}
    exec(seen.code, space)
    np.testing.assert_allclose(space["residuals"](*at.splits.test).numpy(), seen.arrays["residual"], atol=1e-6)
