"""What a loader gives: train, validation and test, split before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.spec.sentences import Sentence, _

Report = Callable[[float, str], None]  # fraction done, what is being done

SHARES = (0.10, 0.20)  # of validation and test, in sets without an official split
NOT_ASKED = -100  # the target of a step at which nothing is asked: torch's cross_entropy leaves it out


class DataError(Exception):
    """A data set that cannot be used; the text says which file or folder, what was expected and what to do."""


@dataclass
class Splits:
    """x [n, …] float32 (or int64 token ids); `shown` holds the test samples as people see them.

    y: [n] int64 classes; for a number [n] float32; for a class at every step [n, step] int64, −100 where none is asked.

    Pictures in x are standardised, each channel with the training split's mean and standard deviation; shown is uint8
    [n, height, width] or [n, height, width, 3]. Tokens, sequences [n, step, feature] and points [n, 2] are shown as
    the model gets them.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    shown: np.ndarray
    classes: tuple[str, ...]  # for a number: what it is
    vocabulary: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)  # of each channel; x = (shown / 255 − mean) / std
    std: tuple[float, ...] = (1.0,)
    # of generated sets, for the test samples, bool [n, height, width] or [n, step]:
    evidence: np.ndarray | None = None  # what their labels depend on
    cue: np.ndarray | None = None  # a planted spurious hint
    notes: tuple[str, ...] = ()  # sentences on what was loaded, where that is not what one would think

    def to(self, device: torch.device) -> Splits:
        """The same with all tensors on `device`: data stays resident, nothing is copied per step."""
        train, validation, test = ((x.to(device), y.to(device)) for x, y in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)

    def nothing_to_learn(self) -> str:
        """ "same inputs" where all training samples are the same, "one answer" where all have one; else ""."""
        x, y = self.train
        if not any(bool((piece != x[:1]).any()) for piece in x.split(1000)):  # ends with the first that differs
            return "same inputs"
        asked = y if y.is_floating_point() else y[y != NOT_ASKED]
        return "one answer" if bool((asked == asked.flatten()[:1]).all()) else ""

    def said(self) -> tuple[str, ...]:
        """The notes, and whether nothing can be learned from this data."""
        nothing = self.nothing_to_learn()
        return (*self.notes, *([NOTHING[nothing]] if nothing else []))


NOTHING = {
    "same inputs": _(
        "All training samples are the same: no answer can be told from them. Check the files of the data."
    ),
    "one answer": _("All training samples have the same answer: there is nothing to learn. Check the labels."),
}


def pictures(parts: list[tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...]) -> Splits:
    """Splits from three (uint8 [n, H, W] or [n, H, W, 3], labels [n]); the scale comes from the training part alone."""
    made = [_channels_first(x) for x, _y in parts]
    over = (0, 2, 3)  # everything but the channel
    mean, std = made[0].mean(over, keepdim=True), made[0].std(over, keepdim=True)
    if not bool((std > 0).all()):
        std = torch.where(std > 0, std, torch.ones(()))  # a channel that never changes stays at zero
    pairs = [(x.sub_(mean).div_(std), _labels(y)) for x, (_x, y) in zip(made, parts, strict=True)]
    scale = tuple(mean.flatten().tolist()), tuple(std.flatten().tolist())
    return Splits(pairs[0], pairs[1], pairs[2], parts[2][0], classes, mean=scale[0], std=scale[1])


def _channels_first(x: np.ndarray) -> Tensor:
    raw = torch.from_numpy(np.ascontiguousarray(x))
    raw = raw.permute(0, 3, 1, 2).contiguous() if raw.dim() == 4 else raw[:, None]
    return raw.float().div_(255)


def _labels(y: np.ndarray) -> Tensor:
    return torch.from_numpy(y.astype(np.int64))


def made_up(
    x: np.ndarray,
    y: np.ndarray,
    parts: tuple[np.ndarray, ...],
    classes: tuple[str, ...],
    vocabulary: tuple[str, ...] = (),
    evidence: np.ndarray | None = None,
) -> Splits:
    """Splits of generated samples that the model gets as they are; `parts` are the indices of train, validation, test.

    x, y and evidence [n, step] hold all samples.
    """
    pairs = [(torch.from_numpy(x[i]), torch.from_numpy(y[i])) for i in parts]
    known = None if evidence is None else evidence[parts[2]]
    return Splits(pairs[0], pairs[1], pairs[2], x[parts[2]], classes, vocabulary, evidence=known)


def split_by_class(labels: np.ndarray, shares: tuple[float, float], seed: int) -> tuple[np.ndarray, ...]:
    """Indices of train, validation, test; `shares` are those of validation and test, kept within every class."""
    rng = np.random.default_rng(seed)
    picked: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        ends = [round(len(places) * shares[0]), round(len(places) * (shares[0] + shares[1]))]
        for one, part in zip((1, 2, 0), np.split(places, ends), strict=True):
            picked[one].extend(part.tolist())
    return tuple(rng.permutation(np.array(part, dtype=np.int64)) for part in picked)


def split_rows(rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices of train, validation and test such that rows [n, …] that are alike stay together.

    Drawn rows of few tokens come twice; a test row must not have been learned by heart. SHARES are kept of the
    different rows. DataError when there are too few of them.
    """
    _different, group = np.unique(rows.reshape(len(rows), -1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = int(group.max()) + 1
    if count < 10:
        raise DataError(
            Sentence(
                "These options make only {count} different rows; at least 10 are needed for a training, a "
                "validation and a test set. Make the rows longer, or use more tokens.",
                count=count,
            )
        )
    place = rng.permutation(count)[group]  # of a row's group, in a random order of groups
    first, second = max(1, round(count * SHARES[0])), max(1, round(count * SHARES[1]))
    part = np.where(place < first, 1, np.where(place < first + second, 2, 0))
    return tuple(np.flatnonzero(part == one) for one in (0, 1, 2))


def in_turn(labels: np.ndarray) -> np.ndarray:
    """Indices of samples such that the first of every class come first, then the second of every class, …"""
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, rank))


def balanced(n: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """n labels in random order, each class as often as the others (±1)."""
    return rng.permutation(np.arange(n, dtype=np.int64) % classes)


def letters(n: int) -> tuple[str, ...]:
    """Names for n meaningless tokens: a, b, …, z, n26, n27, …"""
    return tuple(chr(ord("a") + i) if i < 26 else f"n{i}" for i in range(n))
