"""How far a map is luck: a method that draws at random, with several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from core.spec.questions import Explained, OverSeeds
from core.spec.sentences import Sentence, _

TOP = 0.1  # of the places: those of the largest sizes, whose overlap is told
ALIKE = 0.85  # a mean overlap below it, or …
STEADY = 0.25  # … a standard deviation above this share of the largest value, is a large spread


def spread(maps: Sequence[Explained], tolerance: float) -> Explained:
    """The mean of the maps of several seeds, with what differs between them.

    arrays: deviation, in the map's shape: each value's standard deviation over the seeds (n − 1).
    """
    first, seeds = maps[0], [one.seed for one in maps]
    together = np.stack([one.attribution for one in maps]).astype(np.float64)
    mean, deviation = together.mean(0), together.std(0, ddof=1)
    pairs = list(combinations(together.reshape(len(maps), -1), 2))
    largest = float(np.abs(mean).max())
    over = OverSeeds(
        seeds=seeds,
        overlap=float(np.mean([overlap(*pair) for pair in pairs])),
        correlation=float(np.mean([correlation(*pair) for pair in pairs])),
        deviation=float(deviation.max()) / largest if largest else 0.0,
    )
    delta, gap, holds = _sum(maps, tolerance)
    return replace(
        first,
        attribution=mean.astype(np.float32),
        delta=delta,
        gap=gap,
        holds=holds,
        error=None if first.error is None else float(np.mean([one.error or 0.0 for one in maps])) / len(maps) ** 0.5,
        arrays={**first.arrays, "deviation": deviation.astype(np.float32)},
        cost=sum(one.cost for one in maps),
        seconds=sum(one.seconds for one in maps),
        over=over,
        words=(*first.words, *_said(over)),
        code=f"# of seed {first.seed}; the map above is the mean over seeds {seeds[0]} to {seeds[-1]}\n{first.code}",
    )


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the top tenth, by size, that two maps [n] have in common; of equal sizes the first ones count."""
    count = max(1, round(TOP * one.size))
    tops = [set(np.argsort(-np.abs(values), kind="stable")[:count].tolist()) for values in (one, other)]
    return len(tops[0] & tops[1]) / count


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's of two maps [n]; 1 if they are the same, 0 if only one is the same everywhere."""
    if np.array_equal(one, other):
        return 1.0
    if not np.ptp(one) or not np.ptp(other):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def steady(found: Explained) -> Explained:
    """The map of a method that has nothing to draw here, which is the same with every seed."""
    return replace(
        found, words=(*found.words, _("Nothing is drawn at random here: the map is the same with every seed."))
    )


def _sum(maps: Sequence[Explained], tolerance: float) -> tuple[float | None, float | None, bool | None]:
    """Delta, gap and check of the mean map, from those of the maps."""
    deltas = [one.delta for one in maps if one.delta is not None]
    expected = [float(one.facts.get("expected", 0.0)) for one in maps]
    if len(deltas) < len(maps) or any(one.gap is None for one in maps) or not np.mean(expected):
        return None, None, None
    gap = float(abs(np.mean(deltas)) / abs(np.mean(expected)))
    return float(np.mean(deltas)), gap, gap <= tolerance


def _said(over: OverSeeds) -> list[str]:
    words: list[str] = [
        Sentence(
            "This is the mean over {seeds} seeds. Two of them have {overlap:.0%} of their top tenth in "
            "common, their correlation is {correlation:.2f}, and a value differs by up to {deviation:.0%} of "
            "the largest (standard deviation).",
            seeds=len(over.seeds),
            overlap=over.overlap,
            correlation=over.correlation,
            deviation=over.deviation,
        )
    ]
    if over.overlap < ALIKE or over.deviation > STEADY:
        words.append(
            _(
                "The spread is large: with one seed, much of this map is luck. Take more samples, or read only "
                "what the mean shows clearly."
            )
        )
    return words
