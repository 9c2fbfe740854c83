"""Concepts as sets of pictures: strokes, shapes and patches that are drawn, classes, and the learner's own drawing.

Every call draws anew. Strokes are told by the distance to their edge, as the shapes of core.worker.data.shapes are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.catalog.datasets.shapes import NAMES
from core.spec.sentences import Sentence, _
from core.worker.data.shapes import coverage, margin, scenes
from core.worker.data.splits import Splits

Rng = np.random.Generator
Draw = Callable[[int, Rng], Tensor]  # how many → [n, channel, height, width] as the network reads them
Cover = Callable[[int, Rng], np.ndarray]  # how many → [n, height, width] in 0…1: how much of each pixel is covered

TURNS = {"horizontal stroke": 0, "vertical stroke": 90, "rising stroke": -45, "falling stroke": 45}  # degrees, y down
CORNERS = (_("top left"), _("top right"), _("bottom left"), _("bottom right"))
BRIGHT = (0.75, 1.0)


@dataclass(frozen=True)
class Concept:
    """A set of pictures that can be drawn as often as one likes."""

    name: str
    draw: Draw


def concepts_of(which: str, splits: Splits, ground: Draw | None, drawing: Tensor | None = None) -> list[Concept]:
    """The concepts of a set (see catalog/views/concepts.py), drawn on `ground`; without it, on black.

    drawing: [1, channel, height, width] as the network reads it, one more concept.
    """
    height, width = splits.train[0].shape[2:]
    if which == "classes":
        made = [
            Concept(Sentence("class {name}", name=name), _of_class(splits, k)) for k, name in enumerate(splits.classes)
        ]
        made = [one for k, one in enumerate(made) if bool((splits.train[1] == k).any())]
    else:
        covers = {"strokes": _strokes, "shapes": _shapes, "corners": _corners}[which](height, width)
        made = [Concept(name, partial(_painted, splits, ground, cover)) for name, cover in covers.items()]
    if drawing is not None:
        made.append(Concept(_("your drawing"), partial(_painted, splits, ground, _drawn(pixels(splits, drawing)[0]))))
    return made


def at_random(splits: Splits) -> Draw:
    """Training pictures, drawn at random."""
    return partial(_picked, splits.train[0], None)


def mixed(draws: Sequence[Draw]) -> Draw:
    """About as many pictures of each, in random order."""

    def draw(n: int, rng: Rng) -> Tensor:
        first = int(rng.integers(len(draws)))  # which one has one more where n cannot be shared out
        counts = np.bincount((np.arange(n) + first) % len(draws), minlength=len(draws))
        parts = [one(int(count), rng) for one, count in zip(draws, counts, strict=True)]
        return torch.cat(parts)[torch.from_numpy(rng.permutation(n))]

    return draw


def pixels(splits: Splits, x: Tensor) -> Tensor:
    """Standardised pictures as brightness, 0…1."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (splits.mean, splits.std))
    return (x * std + mean).clamp(0, 1)


def seen(splits: Splits, x: Tensor) -> np.ndarray:
    """Standardised pictures as people see them: uint8 [n, height, width] or [n, height, width, 3]."""
    shown = (pixels(splits, x) * 255).round().to(torch.uint8)
    return np.asarray(shown[:, 0] if shown.shape[1] == 1 else shown.permute(0, 2, 3, 1))


# ── from the training set ────────────────────────────────────────────────────────────────────────────────────────────


def _of_class(splits: Splits, label: int) -> Draw:
    return partial(_picked, splits.train[0], torch.nonzero(splits.train[1] == label).flatten().numpy())


def _picked(x: Tensor, among: np.ndarray | None, n: int, rng: Rng) -> Tensor:
    """n of the samples x [N, …], or of those with the numbers `among`; twice the same only where there are fewer."""
    among = np.arange(len(x)) if among is None else among
    return x[torch.from_numpy(rng.choice(among, n, replace=len(among) < n))]


# ── drawn ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _painted(splits: Splits, ground: Draw | None, cover: Cover, n: int, rng: Rng) -> Tensor:
    """Bright where covered, over the ground."""
    shape = (n, *splits.train[0].shape[1:])
    under = pixels(splits, ground(n, rng)) if ground else torch.zeros(shape)
    bright = torch.from_numpy(rng.uniform(*BRIGHT, (n, 1, 1, 1)).astype(np.float32))
    over = torch.from_numpy(cover(n, rng).astype(np.float32))[:, None] * bright
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (splits.mean, splits.std))
    return (torch.maximum(under, over) - mean) / torch.where(std > 0, std, torch.ones(()))


def _strokes(height: int, width: int) -> dict[str, Cover]:
    bars: dict[str, Cover] = {name: partial(_bar, height, width, float(turn)) for name, turn in TURNS.items()}
    return {**bars, "loop": partial(_round, height, width, True), "dot": partial(_round, height, width, False)}


def _bar(height: int, width: int, turn: float, n: int, rng: Rng) -> np.ndarray:
    dx, dy, side = _around(height, width, n, rng)
    angle = np.deg2rad(turn + rng.uniform(-8, 8, (n, 1, 1)))
    long, half = (side * rng.uniform(*ends, (n, 1, 1)) for ends in ((0.18, 0.3), (0.04, 0.07)))
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return _inside(np.maximum(np.abs(u) - long, np.abs(v) - half))


def _round(height: int, width: int, hollow: bool, n: int, rng: Rng) -> np.ndarray:
    dx, dy, side = _around(height, width, n, rng)
    far = np.hypot(dx, dy)
    if not hollow:
        return _inside(far - side * rng.uniform(0.06, 0.11, (n, 1, 1)))
    radius, half = (side * rng.uniform(*ends, (n, 1, 1)) for ends in ((0.14, 0.24), (0.03, 0.05)))
    return _inside(np.abs(far - radius) - half)


def _around(height: int, width: int, n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray, float]:
    """Distances of every pixel from a random place, across and down [n, height, width], and the picture's side."""
    x, y = (rng.uniform(0.28, 0.72, (n, 1, 1)) * length for length in (width, height))
    dx = np.arange(width)[None, None, :] + 0.5 - x
    dy = np.arange(height)[None, :, None] + 0.5 - y
    return np.broadcast_to(dx, (n, height, width)), np.broadcast_to(dy, (n, height, width)), float(min(height, width))


def _inside(far: np.ndarray) -> np.ndarray:
    covered: np.ndarray = np.clip(0.5 - far, 0, 1)
    return covered


def _shapes(height: int, width: int) -> dict[str, Cover]:
    return {name: partial(_shape, height, width, kind) for kind, name in enumerate(NAMES)}


def _shape(height: int, width: int, kind: int, n: int, rng: Rng) -> np.ndarray:
    side = min(height, width)
    made = np.zeros((n, height, width))
    made[:, :side, :side] = coverage(side, scenes(side, np.full(n, kind), rng))
    return made


def _corners(height: int, width: int) -> dict[str, Cover]:
    return {Sentence("patch {name}", name=name): partial(_patch, height, width, at) for at, name in enumerate(CORNERS)}


def _patch(height: int, width: int, at: int, n: int, _rng: Rng) -> np.ndarray:
    side, made = margin(min(height, width)), np.zeros((n, height, width))
    top, left = (height - side) * (at // 2), (width - side) * (at % 2)
    made[:, top : top + side, left : left + side] = 1.0
    return made


def _drawn(picture: Tensor) -> Cover:
    """Copies of a drawing [channel, height, width], each a little moved, turned and resized."""

    def cover(n: int, rng: Rng) -> np.ndarray:
        angle, size = np.deg2rad(rng.uniform(-10, 10, n)), rng.uniform(0.9, 1.1, n)
        across, down = rng.uniform(-0.15, 0.15, (2, n))
        turn = np.stack([np.cos(angle), -np.sin(angle), across, np.sin(angle), np.cos(angle), down], 1)
        turn = (turn / size[:, None]).reshape(n, 2, 3).astype(np.float32)
        grey = picture.mean(0)[None, None].expand(n, 1, -1, -1)
        grid = F.affine_grid(torch.from_numpy(turn), list(grey.shape), align_corners=False)
        return np.asarray(F.grid_sample(grey, grid, align_corners=False)[:, 0])

    return cover
