"""Pieces of a way, with the points that were looked at on them, and what each piece adds to an integral.

A piece has three points. It knows by how much its part of the map was off before its parent was halved: that is the
map with every other point left out, and it says how far a map can be from what more points would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

State = list[float]  # what is known of the answer at a point
Look = Callable[[Tensor], tuple[Tensor, Tensor]]  # shares of the way [n] → states [n] or [n, k], gradients [n, …]

# The weights of a piece's points, in the first piece, inside, and in the last, in ninths: Simpson's rule at 0, 1/2 and
# 1, and its like at 1/4, 1/2 and 1 and at 0, 1/2 and 3/4, which look at no end of the way. A blank baseline and a
# picture's blank ground have windows of equal values; which of them a max-pool takes is a matter of rounding, and so is
# the gradient there. A halved piece keeps its points.
WEIGHTS = (4, 3, 2), (1.5, 6, 1.5), (2, 3, 4)

# The like for ∫ gradient dy, where y goes a way of its own: per piece, Σ gradient · (weight · (y₂ − y₀) + bend · (y₀ −
# 2 y₁ + y₂)), with y at the piece's start, middle and end. It is what the parabolas through both would give. In ninths.
BENDS = (-8, 6, 2), (-3, 0, 3), (-2, -6, 8)


@dataclass(frozen=True)
class Part:
    """What is looked at of values [n, …]: each of them; or over one axis their sum, or their length.

    before: class tokens that stand before the first step, which are not shown.
    """

    summed: int | None = None
    long: int | None = None
    before: int = 0

    def of(self, values: Tensor) -> Tensor:
        """Linear in the values: errors of parts of the way can be added."""
        kept = values[:, self.before :] if self.before else values
        return kept if self.summed is None else kept.sum(self.summed)

    def size(self, values: Tensor) -> Tensor:
        """[n, places] how large that is, without a sign."""
        return (values.abs() if self.long is None else values.norm(dim=self.long)).flatten(1)


def standard_error(draws: Tensor, part: Part) -> float:
    """Of the mean of random draws [n, …], n ≥ 2: at the place where it is largest, as a share of the largest value."""
    each = part.of(draws)
    peak = float(part.size(each.mean(0, keepdim=True)).max())
    error = part.size(each.std(0, keepdim=True) / len(each) ** 0.5)
    return float(error.max()) / peak if peak > 0 else 0.0


@dataclass
class Node:
    """A point that was looked at."""

    share: float
    state: State
    gradient: Tensor  # of a Bent way [2, …]: that, and y


@dataclass(eq=False)
class Piece:
    """A part of the way with the three points on it."""

    start: float
    end: float
    nodes: tuple[Node, Node, Node]
    before: list[State]  # of the first piece: at its start
    after: list[State]  # of the last piece: at its end
    value: Tensor = field(default_factory=lambda: torch.zeros(()))  # […] what it adds to the integral, …
    sum: float = 0.0  # … and all of that together
    off: list[Tensor] = field(default_factory=list)  # of each Part: half of what halving its parent changed

    @property
    def length(self) -> float:
        """As a share of the way."""
        return self.end - self.start

    @property
    def place(self) -> int:
        """0 for the first piece, 2 for the last, 1 for those between."""
        return 0 if self.before else 2 if self.after else 1

    @property
    def states(self) -> list[State]:
        """From its start to its end."""
        return [*self.before, *(node.state for node in self.nodes), *self.after]


class Straight:
    """Sums of gradients along a way on which the values change evenly, by `change` [1, …]; `look` gives [n, …]."""

    def __init__(self, change: Tensor) -> None:
        self._change = change

    def values(self, pieces: list[Piece]) -> Tensor:
        """[n, …] what each of these pieces adds."""
        gradients = torch.stack([node.gradient for piece in pieces for node in piece.nodes])
        weights = torch.tensor([[piece.length * w / 9 for w in WEIGHTS[piece.place]] for piece in pieces])
        summed = torch.bmm(weights[:, None].to(gradients.dtype), gradients.view(len(pieces), 3, -1))
        return summed.view(len(pieces), *gradients.shape[1:]) * self._change


class Bent:
    """Sums of gradients along a way on which the values y go as they like. `look` gives [n, 2, …]: gradients, and y."""

    def __init__(self, start: Tensor, end: Tensor) -> None:
        self._start, self._end = start[0], end[0]  # y at both ends of the way, where no gradient is looked at

    def values(self, pieces: list[Piece]) -> Tensor:
        """[n, …] what each of these pieces adds."""
        return torch.stack([self._of(piece) for piece in pieces])

    def _of(self, piece: Piece) -> Tensor:
        y = [node.gradient[1] for node in piece.nodes]
        y[0], y[2] = self._start if piece.before else y[0], self._end if piece.after else y[2]
        moved, bent = y[2] - y[0], y[0] - 2 * y[1] + y[2]
        parts = zip(piece.nodes, WEIGHTS[piece.place], BENDS[piece.place], strict=True)
        made = [node.gradient[0] * (weight / 9 * moved + bend / 9 * bent) for node, weight, bend in parts]
        return made[0] + made[1] + made[2]


class Walk:
    """Who looks at points of the way and makes pieces of it. No point is looked at twice."""

    def __init__(self, rule: Straight | Bent, look: Look, parts: tuple[Part, ...]) -> None:
        self._rule, self._look, self._parts = rule, look, parts
        self.points = 0

    def begun(self, count: int, first: State, last: State) -> list[Piece]:
        """Twice so many equal pieces, and count ≥ 2: the halves of `count` pieces. The states at both ends."""
        shares = np.linspace(0.0, 1.0, 4 * count + 1)
        cuts = shares[::4].tolist()
        shares[0], shares[-1] = shares[1] / 2, (1 + shares[-2]) / 2
        nodes = self._nodes(shares.tolist())
        at = np.arange(0, 4 * count + 1, 2)
        at[0], at[-1] = 1, 4 * count - 1  # at a quarter of the first piece and at three quarters of the last
        chosen = [nodes[i] for i in at]
        threes = zip(chosen[:-2:2], chosen[1:-1:2], chosen[2::2], strict=True)
        pieces = [Piece(start, end, three, [], []) for (start, end), three in zip(pairwise(cuts), threes, strict=True)]
        pieces[0].before, pieces[-1].after = [first], [last]
        self._valued(pieces)
        new = [node for i, node in enumerate(nodes) if i not in at]
        return self._cut(pieces, new)

    def halved(self, pieces: list[Piece]) -> list[Piece]:
        """Both halves of each of these pieces."""
        return self._cut(pieces, self._nodes([share for piece in pieces for share in _missing(piece)]))

    def _cut(self, pieces: list[Piece], new: list[Node]) -> list[Piece]:
        """Both halves of each, with the points `new`, two a piece."""
        halves = []
        for piece, one, two in zip(pieces, new[::2], new[1::2], strict=True):
            a, b, c = piece.nodes
            left = (one, a, b) if piece.before else (a, one, b)
            right = (b, c, two) if piece.after else (b, two, c)
            middle = (piece.start + piece.end) / 2
            halves += [
                Piece(piece.start, middle, left, piece.before, []),
                Piece(middle, piece.end, right, [], piece.after),
            ]
        values = self._valued(halves)
        off = (values[::2] + values[1::2] - torch.stack([piece.value for piece in pieces])) / 2
        seen = [part.of(off) for part in self._parts]
        for i, half in enumerate(halves):
            half.off = [part[i // 2] for part in seen]
        return halves

    def _valued(self, pieces: list[Piece]) -> Tensor:
        values = self._rule.values(pieces)
        sums = values.flatten(1).sum(1, dtype=torch.float64).tolist()
        for piece, value, total in zip(pieces, values, sums, strict=True):
            piece.value, piece.sum = value, total
        return values

    def _nodes(self, shares: list[float]) -> list[Node]:
        """All of them in the same batches."""
        states, gradients = self._look(torch.tensor(shares))
        self.points += len(shares)
        return [Node(*one) for one in zip(shares, rows(states), gradients, strict=True)]


def _missing(piece: Piece) -> tuple[float, float]:
    """Where its halves look, and it did not."""
    length = piece.length
    return piece.start + length / (8 if piece.before else 4), piece.end - length / (8 if piece.after else 4)


def rows(states: Tensor) -> list[State]:
    """The state of each point."""
    found: list[State] = states.reshape(len(states), -1).tolist()
    return found
