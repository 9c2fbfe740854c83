"""Integrals of gradients along a way, with as many points as it takes until their sum is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.explain.case import ROUNDING, Case

SMALL = 1e-6  # a difference of answers below this is none
SHORTEST = 2.0**-20  # of a piece that is halved: the points of a shorter one are the same in float32
STRAYS = 6.0  # misses of pieces that cancel may together be so many times what their sum may be. Of 16 maps of each
# network, beside ways of 1500 points, Σ|miss| ÷ Σ|map| is then (median, largest), and that of 50 Gauss-Legendre points:
# cnn .038 .044, .015 .019 · resnet8 .019 .035, .016 .023 · lstm .008 .094, .017 .075 · transformer .0006 .0014

State = list[float]  # what is known of the answer at a point
Look = Callable[[Tensor], tuple[Tensor, Tensor]]  # shares of the way [n] → states [n] or [n, k], gradients [n, …]
Moved = Callable[[list[State]], float]  # what a piece should sum to, by the states from its start to its end


def way(case: Case, baseline: Tensor, alphas: Tensor) -> Tensor:
    """[n, …] the points baseline + α (x − baseline)."""
    return baseline + broad(alphas, case.inputs) * (case.inputs - baseline)


def broad(values: Tensor, other: Tensor) -> Tensor:
    """[n] → [n, 1, …], to be multiplied with `other`."""
    return values.view(-1, *[1] * (other.dim() - 1))


def quadrature(points: int) -> tuple[Tensor, Tensor]:
    """Places in [0, 1] and weights of Gauss-Legendre quadrature: both [points]."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return torch.from_numpy((nodes + 1) / 2).float(), torch.from_numpy(weights / 2).float()


# ── pieces that are halved where the sum misses ──────────────────────────────────────────────────────────────────────

# The weights of a piece's points, in the first piece, inside, and in the last, in ninths: Simpson's rule at 0, 1/2 and
# 1, and its like at 1/4, 1/2 and 1 and at 0, 1/2 and 3/4, which look at no end of the way. A blank baseline and a
# picture's blank ground have windows of equal values; which of them a max-pool takes is a matter of rounding, and so is
# the gradient there. A halved piece keeps its points.
WEIGHTS = (4, 3, 2), (1.5, 6, 1.5), (2, 3, 4)

# The like for ∫ gradient dy, where y goes a way of its own: per piece, Σ gradient · (weight · (y₂ − y₀) + bend · (y₀ −
# 2 y₁ + y₂)), with y at the piece's start, middle and end. It is what the parabolas through both would give. In ninths.
BENDS = (-8, 6, 2), (-3, 0, 3), (-2, -6, 8)


@dataclass
class Integral:
    """The integral [1, …], and the cuts between which the rules were used."""

    values: Tensor
    expected: float
    gap: float
    points: int
    cuts: list[float]
    words: list[str] = field(default_factory=list)


def risen(states: list[State]) -> float:
    """By how much the answer rose: what the gradients of a piece should sum to."""
    return states[-1][0] - states[0][0]


def integral(options: Any, rule: Straight | Bent, look: Look, ends: Tensor, moved: Moved = risen) -> Integral:
    """∫ gradient dy over the whole way, in pieces; the rule says how y goes.

    On every piece the gradients, times the moves of y, must sum to what `moved` says of it. Where they do not, it is
    halved: the points go where the network bends, until the misses together are below the tolerance, or those pieces
    that miss are too short to be halved (the answer jumps). No point is looked at twice. ends: the states [2] or [2, k]
    at the baseline and at the input. options: steps (points to begin with), at most so many points, tolerance.
    """
    walk = _Walk(rule, look)
    pieces = walk.begun(max(2, options.steps // 2), *_rows(ends))
    answers = max(abs(one[0]) for one in _rows(ends)) if moved is risen else 0.0
    least = max(SMALL, ROUNDING * answers)  # a difference below it is none
    while True:
        expected = sum(moved(piece.states) for piece in pieces)
        misses = [(rule.sum(piece) - moved(piece.states), piece) for piece in pieces]
        allowed, strayed = options.tolerance * abs(expected), sum(abs(miss) for miss, _piece in misses)
        if abs(expected) <= least or not math.isfinite(expected) or not math.isfinite(strayed):  # no sum to be right
            break
        if abs(sum(miss for miss, _piece in misses)) <= allowed and strayed <= STRAYS * allowed:
            break
        long = [(miss, piece) for miss, piece in misses if piece.end - piece.start > SHORTEST]
        much = sum(abs(miss) for miss, _piece in long) - allowed / 2
        worst = _worst(long, much)[: max(0, (options.most - walk.points) // 2)]
        if not worst:
            break
        pieces = [piece for piece in pieces if piece not in worst] + walk.halved(worst)
    pieces.sort(key=lambda piece: piece.start)
    values = rule.values(pieces)
    gap = abs(float(values.double().sum()) - expected) / max(abs(expected), SMALL)
    cuts = [0.0, *(piece.end for piece in pieces)]
    said = _said(gap, walk.points, options.tolerance) if abs(expected) > least else []
    jump = next((piece for miss, piece in misses if abs(miss) > allowed and piece.end - piece.start <= SHORTEST), None)
    if said and jump:
        said = [_jumps(gap, jump.start)]
    return Integral(values, expected, gap, walk.points, cuts, said)


@dataclass
class _Node:
    """A point that was looked at."""

    share: float
    state: State
    slope: float  # the gradient times the change, summed; of a Bent way nothing
    gradient: Tensor  # of a Bent way [2, …]: that, and y


@dataclass(eq=False)
class _Piece:
    """A part of the way with the three points on it."""

    start: float
    end: float
    nodes: tuple[_Node, _Node, _Node]
    before: list[State]  # of the first piece: at its start
    after: list[State]  # of the last piece: at its end
    total: float | None = None  # of a Bent way, once it is known

    @property
    def place(self) -> int:
        """0 for the first piece, 2 for the last, 1 for those between."""
        return 0 if self.before else 2 if self.after else 1

    @property
    def weights(self) -> list[float]:
        """Of the nodes."""
        return [(self.end - self.start) * weight / 9 for weight in WEIGHTS[self.place]]

    @property
    def bends(self) -> list[float]:
        """Of the nodes; see BENDS."""
        return [bend / 9 for bend in BENDS[self.place]]

    @property
    def states(self) -> list[State]:
        """From its start to its end."""
        return [*self.before, *(node.state for node in self.nodes), *self.after]


class Straight:
    """Sums of gradients along a way on which the values [1, …] change evenly; `look` gives [n, …]."""

    def __init__(self, change: Tensor) -> None:
        self._change = change

    def slopes(self, gradients: Tensor) -> list[float]:
        """Of each point."""
        found: list[float] = (gradients * self._change).flatten(1).sum(1, dtype=torch.float64).tolist()
        return found

    def sum(self, piece: _Piece) -> float:
        """Of the piece's gradients times the change."""
        return sum(weight * node.slope for weight, node in zip(piece.weights, piece.nodes, strict=True))

    def values(self, pieces: list[_Piece]) -> Tensor:
        """[1, …] all of it."""
        weights = torch.tensor([[weight for piece in pieces for weight in piece.weights]])
        gradients = torch.stack([node.gradient for piece in pieces for node in piece.nodes])
        return self._change * torch.tensordot(weights, gradients, 1)


class Bent:
    """Sums of gradients along a way on which the values y go as they like. `look` gives [n, 2, …]: gradients, and y."""

    def __init__(self, start: Tensor, end: Tensor) -> None:
        self._start, self._end = start[0], end[0]  # y at both ends of the way, where no gradient is looked at

    def slopes(self, gradients: Tensor) -> list[float]:
        """There is no sum at a point."""
        return [0.0] * len(gradients)

    def sum(self, piece: _Piece) -> float:
        """Of the piece's gradients times the moves of y."""
        if piece.total is None:
            piece.total = float(self._of(piece).sum(dtype=torch.float64))
        return piece.total

    def values(self, pieces: list[_Piece]) -> Tensor:
        """[1, …] all of it."""
        whole = self._of(pieces[0])
        for piece in pieces[1:]:
            whole += self._of(piece)
        return whole[None]

    def _of(self, piece: _Piece) -> Tensor:
        y = [node.gradient[1] for node in piece.nodes]
        y[0], y[2] = self._start if piece.before else y[0], self._end if piece.after else y[2]
        moved, bent = y[2] - y[0], y[0] - 2 * y[1] + y[2]
        parts = zip(piece.nodes, piece.weights, piece.bends, strict=True)
        length = piece.end - piece.start
        made = [node.gradient[0] * (weight / length * moved + bend * bent) for node, weight, bend in parts]
        return made[0] + made[1] + made[2]


class _Walk:
    """Who looks at points of the way and makes pieces of it."""

    def __init__(self, rule: Straight | Bent, look: Look) -> None:
        self._rule, self._look = rule, look
        self.points = 0

    def begun(self, count: int, first: State, last: State) -> list[_Piece]:
        """So many equal pieces, two or more; the states at both ends of the way."""
        shares = np.linspace(0.0, 1.0, 2 * count + 1)
        cuts = shares[::2].tolist()
        shares[0], shares[-1] = shares[1] / 2, (1 + shares[-2]) / 2
        nodes = self._nodes(shares.tolist())
        threes = zip(nodes[:-2:2], nodes[1:-1:2], nodes[2::2], strict=True)
        pieces = [_Piece(start, end, three, [], []) for (start, end), three in zip(pairwise(cuts), threes, strict=True)]
        pieces[0].before, pieces[-1].after = [first], [last]
        return pieces

    def halved(self, pieces: list[_Piece]) -> list[_Piece]:
        """Both halves of each of these pieces."""
        new = iter(self._nodes([share for piece in pieces for share in _missing(piece)]))
        halves = []
        for piece in pieces:
            one, two, (a, b, c) = next(new), next(new), piece.nodes
            left, right = (a, one, b), (b, two, c)
            if piece.before:
                left = (one, a, b)
            if piece.after:
                right = (b, c, two)
            middle = (piece.start + piece.end) / 2
            halves += [_Piece(piece.start, middle, left, piece.before, []),
                       _Piece(middle, piece.end, right, [], piece.after)]  # fmt: skip
        return halves

    def _nodes(self, shares: list[float]) -> list[_Node]:
        """All of them in the same batches."""
        states, gradients = self._look(torch.tensor(shares))
        self.points += len(shares)
        slopes = self._rule.slopes(gradients)
        return [_Node(*one) for one in zip(shares, _rows(states), slopes, gradients, strict=True)]


def _missing(piece: _Piece) -> tuple[float, float]:
    """Where its halves look, and it did not."""
    length = piece.end - piece.start
    return piece.start + length / (8 if piece.before else 4), piece.end - length / (8 if piece.after else 4)


def _rows(states: Tensor) -> list[State]:
    rows: list[State] = states.reshape(len(states), -1).tolist()
    return rows


def _worst(misses: list[tuple[float, _Piece]], much: float) -> list[_Piece]:
    """The fewest pieces that together miss so much, the worst first."""
    found = []
    for miss, piece in sorted(misses, key=lambda one: -abs(one[0])):
        if much <= 0:
            break
        found.append(piece)
        much -= abs(miss)
    return found


def _jumps(gap: float, share: float) -> str:
    return (
        f"The sum misses the difference that it should be by {gap:.1%}: at {share:.1%} of the way from the baseline to "
        "the input the answer jumps, and no gradient sees a jump. Do not read sizes off this map, or choose another "
        "baseline."
    )


def _said(gap: float, points: int, tolerance: float) -> list[str]:
    if gap <= tolerance:
        return []
    return [
        f"With {points} points the sum still misses the difference that it should be by {gap:.1%}: it does not "
        "converge here, so do not read sizes off this map. Raise “at most”, or choose another baseline."
    ]
