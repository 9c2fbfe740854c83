"""Methods that sum gradients along a way from a baseline to the input."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from core.explain.case import Case, Result

if TYPE_CHECKING:
    from core.catalog.attribution.integrated_gradients import IntegratedGradients

SMALL = 1e-6  # a difference of answers below this is none
POINTS = 4  # of one piece of the way
STRAYS = 3.0  # misses of pieces that cancel may together be so many times what their sum may be


@dataclass
class _Piece:
    """A part of the way, from share `start` to share `end` of it, with what its gradients sum to."""

    start: float
    end: float
    sum: Tensor  # […] in the shape of one input
    miss: float  # Σ sum − (f(end) − f(start)): how well these points do here


def integrated_gradients(case: Case, options: IntegratedGradients) -> Result:
    """(x − b) · ∫ ∂f/∂x (b + α(x − b)) dα (Sundararajan 2017, equation 1), by Gauss-Legendre quadrature in pieces.

    On every piece of the straight way the gradients must sum to the difference of the answers at its two ends. Where
    they do not, the piece is halved: the points go where the network bends, until the misses together are below the
    tolerance. Nothing that was right is computed again.
    """
    baseline = case.baseline(options)
    way = _Way(case, baseline)
    count = max(1, round(options.steps / POINTS))
    pieces = way.pieces(list(pairwise(np.linspace(0.0, 1.0, count + 1).tolist())))
    points, difference = POINTS * count, way.at[1.0] - way.at[0.0]
    allowed = options.tolerance * max(abs(difference), SMALL)
    while not _done(pieces, allowed):
        worst = _worst(pieces, allowed, (options.most - points) // (2 * POINTS))
        if not worst:
            break
        points += 2 * POINTS * len(worst)
        halves = [half for piece in worst for half in _halved(piece)]
        pieces = [piece for piece in pieces if piece not in worst] + way.pieces(halves)
    pieces.sort(key=lambda piece: piece.start)
    attribution = torch.stack([piece.sum for piece in pieces]).double().sum(0, keepdim=True).float()
    gap = abs(float(attribution.double().sum()) - difference) / max(abs(difference), SMALL)
    words = []
    if gap > options.tolerance:
        words.append(
            f"With {points} points the sum still misses the difference of the answers by {gap:.1%}: it does not "
            "converge here, so do not read sizes off this map. Raise “at most”, or choose another baseline."
        )
    ends = [0.0, *(piece.end for piece in pieces)]
    facts = {"points": points, "cuts": ends}
    return Result(attribution, complete=True, baseline=baseline, facts=facts, words=words, code=_code(ends))


class _Way:
    """The straight way from the baseline to the input; `at` keeps the answers at the ends of its pieces, by share."""

    def __init__(self, case: Case, baseline: Tensor) -> None:
        self.case, self.baseline, self.change = case, baseline, case.inputs - baseline
        self.at: dict[float, float] = {}

    def points(self, shares: Tensor) -> Tensor:
        """[n, …] the inputs at these shares [n] of the way."""
        return self.baseline + shares.view(-1, *[1] * (self.change.dim() - 1)) * self.change

    def pieces(self, spans: list[tuple[float, float]]) -> list[_Piece]:
        """Each span with POINTS points on it; all of them in the same batches."""
        new = sorted({share for span in spans for share in span} - self.at.keys())
        if new:
            self.at.update(zip(new, self.case.values(self.points(torch.tensor(new))).tolist(), strict=True))
        nodes, weights = (torch.from_numpy(v).float() for v in np.polynomial.legendre.leggauss(POINTS))
        starts, ends = torch.tensor(spans).T
        shares = starts[:, None] + (ends - starts)[:, None] * (nodes + 1) / 2  # [span, point]
        _values, gradients = self.case.gradients(self.points(shares.flatten()))
        gradients = gradients.view(len(spans), POINTS, *self.change.shape[1:])
        sums = torch.einsum("sp,sp...->s...", (ends - starts)[:, None] * weights / 2, gradients) * self.change
        totals = sums.double().flatten(1).sum(1).tolist()
        return [
            _Piece(start, end, each, total - (self.at[end] - self.at[start]))
            for (start, end), each, total in zip(spans, sums, totals, strict=True)
        ]


def _done(pieces: list[_Piece], allowed: float) -> bool:
    misses = [piece.miss for piece in pieces]
    return abs(sum(misses)) <= allowed and sum(map(abs, misses)) <= STRAYS * allowed


def _worst(pieces: list[_Piece], allowed: float, most: int) -> list[_Piece]:
    """The fewest pieces without which the others miss half of what is allowed; at most so many."""
    rest, found = sum(abs(piece.miss) for piece in pieces), []
    for piece in sorted(pieces, key=lambda piece: -abs(piece.miss)):
        if rest <= allowed / 2:
            break
        found.append(piece)
        rest -= abs(piece.miss)
    return found[: max(0, most)]


def _halved(piece: _Piece) -> list[tuple[float, float]]:
    middle = (piece.start + piece.end) / 2
    return [(piece.start, middle), (middle, piece.end)]


def _code(ends: list[float]) -> str:
    shares = ", ".join(f"{end:.6g}" for end in ends)
    return (
        f"ig = captum.attr.IntegratedGradients(model)\n"
        f"way = [baseline + share * (x - baseline) for share in ({shares})]  # more points where the network bends\n"
        f"attribution = sum(ig.attribute(end, start, n_steps={POINTS}) for start, end in zip(way, way[1:]))"
    )


def along(case: Case, baseline: Tensor, steps: int) -> Tensor:
    """[1, …] the integral over the whole way with `steps` points and no check."""
    points, weights = (torch.from_numpy(v).float() for v in np.polynomial.legendre.leggauss(steps))
    shape = (-1, *[1] * (case.inputs.dim() - 1))
    way = baseline + ((points + 1) / 2).view(shape) * (case.inputs - baseline)
    _values, gradients = case.gradients(way)
    return (case.inputs - baseline) * (gradients * (weights / 2).view(shape)).sum(0, keepdim=True)
