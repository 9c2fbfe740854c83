"""The heavy half of the shapes: one bright shape a picture over a dark ground with faint lines and noise.

A picture is drawn in layers, so that what its label depends on is known: the evidence is every pixel that the shape
touches. The shape is the only thing brighter than LIT inside the border; the border, `margin(size)` pixels wide, is
where a patch may stand and where no shape ever reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets.shapes import NAMES
from core.worker.data.splits import SHARES, Report, Splits, balanced, pictures, split_by_class

LIT = 0.45  # brightness between that of lines (at most 0.3) and that of shapes (at least 0.65)
RADII = (0.23, 0.33)  # of the circle around a shape, in sides of the picture
CHUNK = 2000  # pictures drawn at once


@dataclass
class Scene:
    """Where the shapes of n pictures stand; all [n], lengths in pixels, the angle in radians."""

    kind: np.ndarray  # index into NAMES
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test, as many pictures of each class in each."""
    rng = np.random.default_rng(seed)
    y = balanced(options.samples, options.classes, rng)
    parts = split_by_class(y, SHARES, seed)
    cover = np.empty((len(y), options.size, options.size), dtype=np.float32)
    ground = np.empty_like(cover)
    for start in range(0, len(y), CHUNK):
        part = slice(start, start + CHUNK)
        cover[part] = coverage(options.size, scenes(options.size, y[part], rng))
        ground[part] = background(options, len(y[part]), rng)
    places = patch_places(options, y, parts[2], rng)
    drawn, cue = paint(options, cover, ground, places, rng)
    splits = pictures([(drawn[i], y[i]) for i in parts], NAMES[: options.classes])
    splits.evidence, splits.cue = cover[parts[2]] > 0, cue[parts[2]]
    return splits


# ── the layers of a picture ──────────────────────────────────────────────────────────────────────────────────────────


def margin(size: int) -> int:
    """Width of the border, and side of a patch."""
    return max(2, size // 9)


def scenes(size: int, kind: np.ndarray, rng: np.random.Generator) -> Scene:
    """Random places, sizes and rotations; a shape stays inside the border."""
    n, edge = len(kind), margin(size) + 1.0
    radius = rng.uniform(RADII[0] * size, RADII[1] * size, n)
    x, y = (edge + radius + rng.random(n) * (size - 2 * (edge + radius)) for _axis in range(2))
    return Scene(kind, x, y, radius, rng.uniform(0, 2 * np.pi, n))


def coverage(size: int, scene: Scene) -> np.ndarray:
    """How much of each pixel the shapes cover: [n, size, size] in 0…1, from the distance to their edge."""
    grid = np.arange(size, dtype=np.float32) + 0.5
    cover = np.zeros((len(scene.kind), size, size), dtype=np.float32)
    for kind, name in enumerate(NAMES):
        mine = np.flatnonzero(scene.kind == kind)
        if len(mine):
            x, y, radius, angle = (
                v[mine].astype(np.float32)[:, None, None] for v in (scene.x, scene.y, scene.radius, scene.angle)
            )
            dx, dy = grid[None, None, :] - x, grid[None, :, None] - y
            u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
            cover[mine] = np.clip(0.5 - _outside(name, u, v, radius), 0, 1)
    return cover


def _outside(name: str, u: np.ndarray, v: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """About the distance in pixels to the edge of a shape around the origin, negative inside."""
    far = np.hypot(u, v)
    if name == "circle":
        return far - radius
    if name == "ring":
        return np.abs(far - 0.78 * radius) - 0.22 * radius
    if name == "cross":
        long, wide = 0.95 * radius, 0.30 * radius
        bars = [np.maximum(np.abs(a) - long, np.abs(b) - wide) for a, b in ((u, v), (v, u))]
        return np.minimum(bars[0], bars[1])
    corners = {"square": 4, "triangle": 3, "star": 5}[name]
    # each edge lies on a line at the same distance from the middle; a star's lines join every second corner
    step = 2 if name == "star" else 1
    away = np.cos(np.pi * step / corners) * radius
    turns = 2 * np.pi * np.arange(corners) / corners
    beyond = np.stack([u * np.float32(np.cos(t)) + v * np.float32(np.sin(t)) - away for t in turns])
    if name == "star":  # a point of a star is beyond at most one of the five lines
        return np.partition(beyond, corners - 2, axis=0)[corners - 2]
    return beyond.max(0)


def background(options: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """What lies under the shapes: [n, size, size], dark, with faint lines across."""
    size = options.size
    grid = np.arange(size, dtype=np.float32) + 0.5
    ground = np.zeros((n, size, size), dtype=np.float32) + rng.uniform(0.0, 0.12, (n, 1, 1)).astype(np.float32)
    for _line in range(options.lines):
        angle, bright = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(0.15, 0.3, (n, 1, 1))
        x, y = rng.uniform(0, size, (2, n, 1, 1))
        away = np.abs((grid[None, None, :] - x) * np.sin(angle) - (grid[None, :, None] - y) * np.cos(angle))
        ground = np.maximum(ground, (bright * np.clip(1.2 - away, 0, 1)).astype(np.float32))
    return ground


def patch_places(options: Any, y: np.ndarray, test: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[n] the class at whose place a patch stands; −1 for none."""
    n = len(y)
    there, other = rng.random(n) < options.patch, rng.integers(0, options.classes, n)
    places = np.where(there, y if options.patch_train == "class" else other, -1)
    if options.patch_test == "absent":
        places[test] = -1
    if options.patch_test == "random":
        places[test] = np.where(there, other, -1)[test]
    return places


def patch_corner(size: int, place: int) -> tuple[int, int]:
    """Top and left of the patch that stands for a class: the four corners, then the middles of two sides."""
    last = size - margin(size)
    return ((0, 0), (0, last), (last, 0), (last, last), (0, last // 2), (last, last // 2))[place]


def paint(
    options: Any, cover: np.ndarray, ground: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pictures [n, size, size] of all layers, and where their patches are [n, size, size] bool."""
    bright = rng.uniform(0.65, 1.0, (len(cover), 1, 1)).astype(np.float32)
    picture = ground + cover * (bright - ground)
    cue, side = np.zeros(cover.shape, dtype=bool), margin(options.size)
    for place in range(options.classes):
        top, left = patch_corner(options.size, place)
        cue[places == place, top : top + side, left : left + side] = True
    picture[cue] = 0.9
    if options.noise:
        picture += options.noise * rng.standard_normal(picture.shape, dtype=np.float32)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), cue


# ── the label, from the picture alone ────────────────────────────────────────────────────────────────────────────────


def label(shown: np.ndarray, options: Any) -> np.ndarray:
    """The classes [n] of pictures [n, size, size], read off the pixels; −1 where nothing is lit.

    What is lit inside the border is laid over every class's shape of the same area and middle, in every rotation;
    the best overlap says the class.
    """
    edge = margin(options.size)
    lit = shown > 255 * LIT
    lit[:, :edge], lit[:, -edge:], lit[:, :, :edge], lit[:, :, -edge:] = False, False, False, False
    return np.array([_best(one, options) if one.any() else -1 for one in lit], dtype=np.int64)


def _best(lit: np.ndarray, options: Any) -> int:
    rows, columns = np.nonzero(lit)
    kinds, angles = _POSES[0][_POSES[0] < options.classes], _POSES[1][_POSES[0] < options.classes]
    radius = np.sqrt(len(rows) / _AREAS[kinds])
    x, y = np.full(len(kinds), columns.mean() + 0.5), np.full(len(kinds), rows.mean() + 0.5)
    shapes = coverage(options.size, Scene(kinds, x, y, radius, angles))
    both = np.minimum(shapes, lit).sum((1, 2)) / np.maximum(shapes, lit).sum((1, 2))
    return int(kinds[np.argmax(both)])


def _poses() -> tuple[np.ndarray, np.ndarray]:
    """Every kind in the rotations that differ, 10° apart."""
    alike = {"circle": 1, "ring": 1, "square": 9, "cross": 9, "triangle": 12, "star": 7}  # steps to the same picture
    kinds = np.concatenate([np.full(alike[name], i) for i, name in enumerate(NAMES)])
    angles = np.concatenate([np.deg2rad(10.0) * np.arange(alike[name]) for name in NAMES])
    return kinds, angles


def _areas() -> np.ndarray:
    """The area of every kind with radius 1, measured on a fine grid."""
    size, n = 200, len(NAMES)
    middle = np.full(n, size / 2)
    scene = Scene(np.arange(n), middle, middle, np.full(n, size / 2.5), np.zeros(n))
    area: np.ndarray = coverage(size, scene).sum((1, 2)) / (size / 2.5) ** 2
    return area


_POSES, _AREAS = _poses(), _areas()
