"""The floor of a training loss with smoothed or mixed labels, against torch's own loss of the best possible model."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.catalog import loss_floor
from core.spec import registry
from core.spec.specs import assign, preset
from core.worker.data.splits import Splits
from core.worker.train.augment import augment_of
from core.worker.train.training import Training

K = 5


def train(**changes: object):  # type: ignore[no-untyped-def]
    return assign(preset("cnn", "digits"), {f"train.{name}": value for name, value in changes.items()}).train


CASES = [
    {},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.5},
    {"augmentation": "mixup"},
    {"augmentation": "mixup", "mixup_alpha": 1.0},
    {"augmentation": "cutmix"},
    {"augmentation": "cutmix", "cutmix_alpha": 0.3},
    {"augmentation": "mixup", "label_smoothing": 0.1},
]


@pytest.mark.parametrize("changes", CASES, ids=lambda one: "-".join(map(str, one.values())) or "plain")
def test_the_floor_is_the_loss_of_a_model_that_answers_what_it_is_asked(changes: dict[str, object]) -> None:
    """Batches as the augmentation gives them; the logits are the logarithm of the very targets."""
    spec, smoothing = train(**changes), float(changes.get("label_smoothing", 0.0))  # type: ignore[arg-type]
    x, y = torch.zeros(400, 1, 40, 40), torch.arange(400) % K
    part = (x, y)
    augment = augment_of(spec.augmentation, Splits(part, part, part, x.numpy(), tuple("abcde")), K)
    torch.manual_seed(0)
    losses = []
    for _batch in range(600 if augment else 1):
        index = torch.randperm(400)[:40]
        targets = augment(x[index], y[index])[1] if augment else y[index]
        shares = targets if targets.dim() > 1 else F.one_hot(targets, K).float()
        best = ((1 - smoothing) * shares + smoothing / K).clamp(min=1e-9).log()
        losses.append(float(F.cross_entropy(best, targets, label_smoothing=smoothing)))
    assert loss_floor.floor(spec, K) == pytest.approx(sum(losses) / len(losses), rel=0.08, abs=1e-6)
    assert bool(loss_floor.said(spec, K)) == bool(changes)


def test_every_augmentation_that_mixes_says_how() -> None:
    for entry in registry.AUGMENTATIONS:
        assert (entry.shares is not None) == entry.mixes


def test_a_run_says_that_its_two_losses_have_not_the_same_footing() -> None:
    experiment = assign(preset("cnn", "digits"), {"train.label_smoothing": 0.1, "data.size": 8, "train.steps": 1})
    (note,) = Training(experiment).notes
    assert (
        "smoothed labels" in note and f"{loss_floor.floor(experiment.train, 10):.2g}" in note and "plain labels" in note
    )
    assert not Training(assign(experiment, {"train.label_smoothing": 0})).notes


def test_a_number_has_no_floor() -> None:
    assert loss_floor.floor(train(), 1) == 0.0
