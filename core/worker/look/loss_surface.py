"""The loss as a ground to walk on: directions among the weights, and the loss at places there (Li et al. 2018)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.spec.sentences import Sentence, _
from core.worker.look.subject import CannotShow, Report
from core.worker.model.build import Network
from core.worker.train.objective import Tally

Direction = list[Tensor]  # one tensor for each parameter of the network, in their order

LONGEST = 120.0  # seconds that a view may take; where it would be more, fewer samples are used
FEWEST = 16  # samples
BREATH = 0.15  # seconds between two chances to give up


# ── directions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def filter_normalised(weights: Sequence[Tensor], random: torch.Generator) -> Direction:
    """A Gaussian direction, each filter w[i] of it as long as the model's own; zero for parameters of one axis."""
    direction = []
    for weight in weights:
        drawn = torch.zeros_like(weight)
        if weight.dim() > 1:
            over = tuple(range(1, weight.dim()))
            drawn = torch.randn(weight.shape, generator=random)
            own, length = (torch.linalg.vector_norm(w, dim=over, keepdim=True) for w in (weight, drawn))
            drawn = drawn * (own / length)
        direction.append(drawn)
    return direction


@dataclass
class Principal:
    """The two directions in which moments differ most, and where the moments lie.

    axes: two orthonormal directions · place [moment, 2] · off [moment], distance from the plane · explained [2]
    """

    axes: tuple[Direction, Direction]
    place: np.ndarray
    off: np.ndarray
    explained: np.ndarray


def principal(moments: Sequence[Sequence[Tensor]], centre: Sequence[Tensor]) -> Principal:
    """PCA of the moments' weights; places count from `centre`. CannotShow where the moments lie on one line.

    The eigenvectors come from the small matrix of products [moment, moment]: the weights' own would be too large.
    """
    moved = [torch.stack([m[i] - c for m in moments]).flatten(1) for i, c in enumerate(centre)]  # [moment, size] each
    products = sum(_products(_centred(part)) for part in moved)
    assert isinstance(products, Tensor)
    values, vectors = torch.linalg.eigh(products)  # rising
    if values[-2] <= 1e-10 * values[-1]:
        raise CannotShow(_("The kept moments of this run lie on one line, or are all the same: they span no plane."))
    top, scale = vectors[:, [-1, -2]], values[[-1, -2]].sqrt()
    flat = [(top.T @ _centred(part)) / scale[:, None] for part in moved]  # [2, size] each
    place = torch.stack([part.double() @ axis.T for part, axis in zip(moved, flat, strict=True)]).sum(0)
    sign = torch.where(place[0] > 0, -1.0, 1.0).double()  # the path begins on the left and below
    off = sum((part - place @ axis).square().sum(1) for part, axis in zip(moved, flat, strict=True))
    assert isinstance(off, Tensor)
    axes = [[(s * a[k]).float().view_as(c) for a, c in zip(flat, centre, strict=True)] for k, s in enumerate(sign)]
    share = values[[-1, -2]] / values.clamp(min=0).sum()
    return Principal((axes[0], axes[1]), (place * sign).numpy(), off.sqrt().numpy(), share.numpy())


def _centred(part: Tensor) -> Tensor:
    wide = part.double()
    return wide - wide.mean(0)


def _products(part: Tensor) -> Tensor:
    return part @ part.T


# ── the loss ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Progress:
    """Tells the asker at every row, and between rows whenever a breath has passed; that may end the work."""

    report: Report
    points: int
    done: int = 0  # points
    told: float = 0.0
    words: str = _("Measuring how fast the model is")

    def row(self, words: str) -> None:
        self.words = words
        self._tell()

    def breathe(self) -> None:
        if time.perf_counter() - self.told > BREATH:
            self._tell()

    def _tell(self) -> None:
        self.told = time.perf_counter()
        self.report(min(1.0, self.done / self.points), self.words)


class Ground:
    """The loss over fixed samples as a function of the weights. `network` is this object's own: it is moved about."""

    def __init__(self, network: Network, x: Tensor, y: Tensor, task: str) -> None:
        self.network, self.x, self.y, self.task = network, x, y, task
        self.centre: Direction = [p.detach().clone() for p in network.parameters()]
        self.chunk = 64  # samples at once
        self.progress = Progress(lambda _fraction, _words: None, 1)

    def go(self, *moves: tuple[float, Direction]) -> None:
        """Put the weights at the centre plus distance × direction of each move."""
        with torch.no_grad():
            for i, parameter in enumerate(self.network.parameters()):
                parameter.copy_(self.centre[i])
                for distance, direction in moves:
                    parameter.add_(direction[i], alpha=distance)

    def here(self, network: Network | None = None) -> tuple[float, float]:
        """(loss, share of right answers) at the weights as they stand, or of `network`; nan where there is none."""
        tally, asked = Tally(self.task), network or self.network
        with torch.no_grad():
            for x, y in zip(torch.split(self.x, self.chunk), torch.split(self.y, self.chunk), strict=True):
                tally.add(asked(x), y)
                self.progress.breathe()
        self.progress.done += 1
        figures = tally.figures()
        return figures.get("loss", np.nan), figures.get("accuracy", np.nan)

    def at(self, *moves: tuple[float, Direction]) -> tuple[float, float]:
        """go, then here."""
        self.go(*moves)
        return self.here()

    def pace(self) -> float:
        """Seconds for one sample, as measured; the chunk becomes one that takes at most a breath."""
        seconds = self._timed(FEWEST)
        self.chunk = min(64, max(1, int(BREATH / seconds)))
        return min(seconds, self._timed(self.chunk)) if self.chunk > FEWEST else seconds

    def _timed(self, samples: int) -> float:
        x, taken = self.x[:samples], []
        with torch.no_grad():
            for _again in range(2):  # the first one allocates
                began = time.perf_counter()
                self.network(x)
                taken.append(time.perf_counter() - began)
                self.progress.breathe()
        return max(min(taken), 1e-7) / len(x)


def spread(part: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    """`count` samples at equal distances over the whole part: however it is ordered, always the same ones."""
    chosen = torch.linspace(0, len(part[0]) - 1, min(count, len(part[0]))).round().long()
    return part[0][chosen], part[1][chosen]


def affordable(samples: int, points: int, seconds: float) -> int:
    """How many of the samples `points` losses can have within LONGEST, at `seconds` for each; CannotShow if too few."""
    possible = int(LONGEST / (points * seconds))
    if possible < min(samples, FEWEST):
        minutes = points * seconds * FEWEST / 60
        raise CannotShow(
            Sentence(
                "This model is too slow for {points} points: even with {fewest} samples each they would take "
                "about {minutes:,.0f} minutes. Choose fewer points, or a line.",
                points=points,
                fewest=FEWEST,
                minutes=minutes,
            )
        )
    return min(samples, possible)
