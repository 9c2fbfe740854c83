"""How much of the explained number hangs on a part of the sample? Asked by exchanging that part.

A network whose answers stay right when the shape is exchanged may still let the shape move the number that a method
explains: a logit less another one. A map that draws the shape is wrong only as far as it draws more than that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.spec.questions import Hanging
from core.worker.data.splits import Splits
from core.worker.explain.scoreboard.gates import exchanged
from core.worker.explain.scoreboard.measures import over_seeds
from core.worker.model.build import Network

ROUNDS = 4  # other samples that each one meets


@dataclass(frozen=True)
class Moved:
    """By how much the explained number of one network changes when a part is exchanged, as a share of its size."""

    data: str
    seed: int
    part: str  # see core.spec.questions.Hanging
    shares: tuple[float, ...]  # one a sample


def moved(data: str, seed: int, network: Network, splits: Splits, kind: str) -> list[Moved]:
    """Each part's share, on the test samples that are answered right.

    The number is the logit of the network's class less the second's, as in the score. A sample's share is its mean
    |change| over ROUNDS other samples of any class, divided by the mean |number| over the samples: one whose number is
    near 0 does not count more than others.
    """
    x, y = splits.test
    logits = _logits(network, x)
    right = logits.argmax(-1) == y
    first, second = logits.topk(2).indices.T
    number = _difference(logits, first, second)
    rng, changes = np.random.default_rng(seed), defaultdict(list)
    for _round in range(ROUNDS):
        parts = exchanged(splits, kind, rng)
        for part, changed in parts.items():
            after = _difference(_logits(network, torch.from_numpy(changed)), first, second)
            changes[part].append((after - number).abs()[right])
    size = float(number[right].abs().mean()) or 1.0
    return [
        Moved(data, seed, part, tuple((torch.stack(each).mean(0) / size).tolist()))
        for part, each in changes.items()
        if len(each[0])
    ]


def hanging(found: Iterable[Moved]) -> tuple[Hanging, ...]:
    """The mean over the networks of each trial, with its spread, as in a row of the scoreboard."""
    seeds: dict[tuple[str, str], list[list[float | None]]] = defaultdict(list)
    for one in found:
        seeds[one.data, one.part].append(list(one.shares))
    made = []
    for (data, part), values in seeds.items():
        share = over_seeds(values)
        if share is not None:
            made.append(Hanging(data, part, share, len(values)))
    return tuple(made)


def _logits(network: Network, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(x[i : i + 256]) for i in range(0, len(x), 256)])


def _difference(logits: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return (logits.gather(1, first[:, None]) - logits.gather(1, second[:, None]))[:, 0]
