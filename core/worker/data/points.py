"""The heavy half of the points: each class is a curve in the plane; its points lie on it, give or take the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets.points import classes_of
from core.worker.data.splits import SHARES, Report, Splits, balanced, made_up, split_by_class

TURNS = 1.25  # of a spiral's arm around the middle


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test; x [n, 2] float32, about −1.7 … 1.7, as drawn."""
    rng = np.random.default_rng(seed)
    n, classes = options.samples, classes_of(options)
    y = balanced(n, classes, rng)
    x = curve(options.kind, y, rng.random(n), classes) + options.noise * rng.standard_normal((n, 2))
    return made_up(x.astype(np.float32), y, split_by_class(y, SHARES, seed), letters_of(classes))


def letters_of(classes: int) -> tuple[str, ...]:
    """A, B, C, …"""
    return tuple("ABCDEFGH"[:classes])


def curve(kind: str, y: np.ndarray, t: np.ndarray, classes: int) -> np.ndarray:
    """The places [n, 2] of classes y [n] at t [n] in 0…1 along their curves."""
    share = 2 * np.pi * y / classes
    if kind == "moons":
        angle, side = np.pi * t, np.where(y == 0, 1.0, -1.0)
        return np.stack([side * (np.cos(angle) - 0.5), side * (np.sin(angle) - 0.25)], 1)
    if kind == "circles":
        radius, angle = np.where(y == 0, 1.4, 0.7), 2 * np.pi * t
    elif kind == "spirals":
        radius, angle = 0.15 + 1.5 * np.sqrt(t), 2 * np.pi * TURNS * np.sqrt(t) + share
    else:
        radius, angle = np.full(len(y), 1.3), share
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def label(x: np.ndarray, options: Any) -> np.ndarray:
    """The classes [n] whose curves are nearest to points [n, 2]: without noise, the points' own."""
    t, classes = np.linspace(0, 1, 1000) ** 2, classes_of(options)
    far = []
    for c in range(classes):
        places = curve(options.kind, np.full(len(t), c), t, classes)
        far.append(np.min(((x[:, None] - places[None]) ** 2).sum(2), axis=1))
    nearest: np.ndarray = np.argmin(np.stack(far), axis=0)
    return nearest
