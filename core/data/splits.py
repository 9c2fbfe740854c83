"""What a loader gives: train, validation and test, split before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

Report = Callable[[float, str], None]  # fraction done, what is being done


class DataError(Exception):
    """A data set that cannot be used; the text says which file or folder, what was expected and what to do."""


@dataclass
class Splits:
    """x [n, …] float32 (or int64 token ids); `shown` holds the test samples as people see them.

    y: [n] int64 classes; for a number [n] float32; for a class at every step [n, step] int64, −100 where none is asked.

    Pictures in x are standardised with the training split's mean and standard deviation; shown is uint8
    [n, height, width] or [n, height, width, 3]. For tokens shown equals x.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    shown: np.ndarray
    classes: tuple[str, ...]
    vocabulary: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    evidence: np.ndarray | None = None  # of generated sets: bool, as shown; what the test samples' labels depend on
    cue: np.ndarray | None = None  # bool, as shown; a planted spurious hint

    def to(self, device: torch.device) -> Splits:
        """The same with all tensors on `device`: data stays resident, nothing is copied per step."""
        train, validation, test = ((x.to(device), y.to(device)) for x, y in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)


def pictures(parts: list[tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...]) -> Splits:
    """Splits from three (uint8 [n, H, W], labels [n]); the scale comes from the training part alone."""
    first = torch.from_numpy(parts[0][0]).float().div_(255)
    mean, std = float(first.mean()), float(first.std())
    made = []
    for x, y in parts:
        standard = (torch.from_numpy(x).float().div_(255) - mean) / std
        made.append((standard[:, None].contiguous(), torch.from_numpy(y.astype(np.int64))))
    return Splits(made[0], made[1], made[2], parts[2][0], classes, mean=mean, std=std)


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
