"""What the training loss cannot fall below: labels that are smoothed or mixed have an entropy of their own.

The validation loss is that of plain labels, which a model can bring to 0: whoever sees both curves must know the floor.
"""

from __future__ import annotations

import numpy as np

from core.spec import registry
from core.spec.sentences import Sentence, _, join
from core.spec.specs import TrainSpec

DRAWS = 20_000  # of a batch's share, whose mean is the floor: off by about 1 %


def floor(train: TrainSpec, classes: int) -> float:
    """The mean entropy of the labels that training is given, in nats; 0 for plain ones.

    A pair that is mixed has one class by chance (1 in `classes`), as where all are equally frequent.
    """
    smoothing, share = train.label_smoothing, _first_share(train)
    if classes < 2 or (not smoothing and share is None):
        return 0.0
    if share is None:
        return _entropy(np.ones(1), smoothing, classes)
    same = 1 / classes
    return (1 - same) * _entropy(share, smoothing, classes) + same * _entropy(np.ones(1), smoothing, classes)


def _first_share(train: TrainSpec) -> np.ndarray | None:
    """Draws of the part that the first of two mixed labels has; None where nothing is mixed."""
    for choice in train.augmentation:
        shares = registry.AUGMENTATIONS.get(choice.name).shares
        if shares is not None:
            return np.asarray(shares(choice.options, np.random.default_rng(0), DRAWS))
    return None


def _entropy(share: np.ndarray, smoothing: float, classes: int) -> float:
    rest = smoothing / classes
    parts = [(1 - smoothing) * share + rest, (1 - smoothing) * (1 - share) + rest]
    others = np.full_like(share, rest)
    return float(np.mean(_surprise(parts[0]) + _surprise(parts[1]) + (classes - 2) * _surprise(others)))


def _surprise(p: np.ndarray) -> np.ndarray:
    return -p * np.log(np.where(p > 0, p, 1.0))


def given_labels(train: TrainSpec) -> str:
    """What is done to the training labels, as a word before “labels”: smoothed, mixed; "" where nothing is."""
    words = [_("smoothed")] * bool(train.label_smoothing) + [_("mixed")] * (_first_share(train) is not None)
    return join(words, _(" and "))


def said(train: TrainSpec, classes: int) -> tuple[str, ...]:
    """A sentence for whoever compares the two losses; none where they can be compared as they are."""
    least = floor(train, classes)
    if not least:
        return ()
    mixed = _first_share(train) is not None
    accuracy = _(" Its accuracy counts the label that has the larger part.") if mixed else ""
    return (
        Sentence(
            "The training loss is that of {given_labels} labels and cannot fall below about {least:.2g}; the "
            "validation and test losses are those of plain labels.{accuracy}",
            given_labels=given_labels(train),
            least=least,
            accuracy=accuracy,
        ),
    )
