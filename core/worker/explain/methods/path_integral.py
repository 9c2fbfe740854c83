"""Integrals of gradients along a way, with as many points as it takes until their sum and their map are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.spec.sentences import Sentence
from core.worker.explain.explained_case import ROUNDING, Case
from core.worker.explain.methods.pieces import Bent, Look, Part, Piece, State, Straight, Walk, rows

SMALL = 1e-6  # a difference of answers below this is none
SHORTEST = 2.0**-20  # of a piece that is halved: the points of a shorter one are the same in float32
STRAYS = 6.0  # misses of pieces that cancel may together be so many times what their sum may be: where no point has
# seen a narrow bend the map does not change either, but the piece's own sum misses
HALVED = 0.4  # pieces that are off by so much of what the worst is off by are halved with it: fewer passes, larger ones

Moved = Callable[[list[State]], float]  # what a piece should sum to, by the states from its start to its end
EACH = (Part(),)


def way(case: Case, baseline: Tensor, alphas: Tensor) -> Tensor:
    """[n, …] the points baseline + α (x − baseline)."""
    return baseline + broad(alphas, case.inputs) * (case.inputs - baseline)


def broad(values: Tensor, other: Tensor) -> Tensor:
    """[n] → [n, 1, …], to be multiplied with `other`."""
    return values.view(-1, *[1] * (other.dim() - 1))


@dataclass
class Integral:
    """The integral [1, …], and the cuts between which the rules were used.

    change: see `integral`. gap: |Σ values − expected| / |expected|; where there is nothing to sum to, both are 0.
    """

    values: Tensor
    change: float
    expected: float
    gap: float
    points: int
    cuts: list[float]
    words: list[str] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """For the result."""
        return {"points": self.points, "cuts": self.cuts}


def risen(states: list[State]) -> float:
    """By how much the answer rose: what the gradients of a piece should sum to."""
    return states[-1][0] - states[0][0]


def integral(
    options: Any,
    rule: Straight | Bent,
    look: Look,
    ends: Tensor,
    moved: Moved | None = risen,
    parts: tuple[Part, ...] = EACH,
) -> Integral:
    """∫ gradient dy over the whole way, in pieces; the rule says how y goes.

    Pieces are halved until two things hold, at most so many points, and those pieces that are too short apart (the
    answer jumps there).
    The sum: on every piece the gradients, times the moves of y, sum to what `moved` says of it, all misses together
    within `tolerance` of the whole. None: there is nothing to sum to.
    The map: its `change` is within `map_tolerance`. That is by how much one of its values changes at most if every
    other point is left out, as a share of the largest value. Changes of pieces that cancel by chance are taken as if
    they had not: it is the larger of |Σ| and the root of the sum of squares. The map is compared in each of `parts`.
    ends: the states [2] or [2, k] at the baseline and at the input. options: steps (points to begin with), most,
    tolerance, map_tolerance.
    """
    walk, known = Walk(rule, look, parts), rows(ends)
    pieces = walk.begun(max(2, round(options.steps / 4)), *known)
    answers = max(abs(one[0]) for one in known) if moved is risen else 0.0
    least = max(SMALL, ROUNDING * answers) if moved else 0.0  # a difference below it is none
    while True:
        found = _Found(pieces, moved, parts, least, options)
        worst = found.poor()[: max(0, (options.most - walk.points) // 2)]
        if not worst:
            break
        gone = set(map(id, worst))
        pieces = [piece for piece in pieces if id(piece) not in gone] + walk.halved(worst)
    cuts = [0.0, *sorted(piece.end for piece in pieces)]
    return Integral(
        found.whole[None], found.change, found.expected, found.gap, walk.points, cuts, found.words(walk.points)
    )


class _Found:
    """What these pieces give together, how right that is, and which of them should be halved."""

    def __init__(
        self, pieces: list[Piece], moved: Moved | None, parts: tuple[Part, ...], least: float, options: Any
    ) -> None:
        self.options, self.least, self.pieces = options, least, pieces
        self.whole = torch.stack([piece.value for piece in pieces]).sum(0)
        self.misses = [piece.sum - moved(piece.states) if moved else 0.0 for piece in pieces]
        self.expected = sum(moved(piece.states) for piece in pieces) if moved else 0.0
        self.tolerance = options.tolerance if moved else 0.0
        self.allowed = self.tolerance * abs(self.expected)
        self.missed, self.strayed = abs(sum(self.misses)), sum(map(abs, self.misses))
        self.told = moved is not None and abs(self.expected) > least  # is there a sum to be right?
        self.gap = self.missed / max(abs(self.expected), SMALL)
        self.change, self.offs = self._changed(parts)

    def _changed(self, parts: tuple[Part, ...]) -> tuple[float, list[float]]:
        """By how much a value changes when every other point is left out, and each piece's share in it."""
        change, offs = torch.zeros(()), torch.zeros(len(self.pieces))
        for i, part in enumerate(parts):
            peak = float(part.size(part.of(self.whole[None])).max())
            if peak <= self.least:
                continue
            off = torch.stack([piece.off[i] for piece in self.pieces])
            both = torch.stack([off.sum(0), (2 * off.square().sum(0)).sqrt()])
            change = torch.maximum(change, part.size(both).max() / peak)
            offs = torch.maximum(offs, part.size(off).amax(1) / peak)
        return float(change), offs.tolist()

    def poor(self) -> list[Piece]:
        """The pieces to be halved, the worst first; none where all is right, or nothing will help."""
        if not all(map(math.isfinite, (self.change, self.expected, self.strayed))):
            return []
        long = [i for i, piece in enumerate(self.pieces) if piece.length > SHORTEST]
        chosen: dict[int, float] = {}  # how poor, beside what is allowed
        if self.told and not (self.missed <= self.allowed and self.strayed <= STRAYS * self.allowed):
            for i in self._missing(long):
                chosen[i] = abs(self.misses[i]) / self.allowed
        if self.change > self.options.map_tolerance:
            most = max((self.offs[i] for i in long), default=0.0)
            for i in long:
                if self.offs[i] >= HALVED * most > 0:
                    chosen[i] = max(chosen.get(i, 0.0), self.offs[i] / self.options.map_tolerance)
        return [self.pieces[i] for i in sorted(chosen, key=lambda i: -chosen[i])]

    def _missing(self, long: list[int]) -> list[int]:
        """The fewest pieces without which the sum would be right."""
        much, found = sum(abs(self.misses[i]) for i in long) - self.allowed / 2, []
        for i in sorted(long, key=lambda i: -abs(self.misses[i])):
            if much <= 0:
                break
            found.append(i)
            much -= abs(self.misses[i])
        return found

    def words(self, points: int) -> list[str]:
        """What is not right."""
        if self.told and self.gap > self.tolerance:
            jumps = (
                piece.start
                for piece, miss in zip(self.pieces, self.misses, strict=True)
                if abs(miss) > self.allowed and piece.length <= SHORTEST
            )
            jump = next(jumps, None)
            return [_misses(self.gap, points) if jump is None else _jumps(self.gap, jump)]
        return [_changes(self.change, points)] if self.change > self.options.map_tolerance else []


def _jumps(gap: float, share: float) -> str:
    return Sentence(
        "The sum misses the difference that it should be by {gap:.1%}: at {share:.1%} of the way from "
        "the baseline to the input the answer jumps, and no gradient sees a jump. Do not read sizes off "
        "this map, or choose another baseline.",
        gap=gap,
        share=share,
    )


def _misses(gap: float, points: int) -> str:
    return Sentence(
        "With {points} points the sum still misses the difference that it should be by {gap:.1%}: it "
        "does not converge here, so do not read sizes off this map. Raise “at most”, or choose another "
        "baseline.",
        points=points,
        gap=gap,
    )


def _changes(change: float, points: int) -> str:
    return Sentence(
        "With {points} points a value of the map still changes by {change:.1%} of the largest value when "
        "every other point is left out: it does not converge here, so do not compare places that are "
        "closer than that. Raise “at most”, or choose another baseline.",
        points=points,
        change=change,
    )
