"""How well one map finds a mask that is known to be the evidence. Plain numpy: no network, no torch.

Every measure takes `values`, the sizes of a map [n] without their sign (the mask says where the evidence is, not which
way it speaks), and `mask` [n] bool.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from core.spec.questions import Measured, ScoreRow

ROWS_OF = ("data", "method")  # columns that name a row of the scoreboard
MEASURES = ("hit", "mass", "auroc", "cue_hit", "cue_mass", "cue_auroc", "cost", "seconds")  # averaged in a row
CHANCE = {"chance": "area", "cue_chance": "cue_area"}  # field of a row → column it is the mean of


@dataclass(frozen=True)
class Mark:
    """One line of the exported table: one method's map of one sample. None where the data has no planted cue."""

    data: str
    seed: int
    method: str
    sample: int
    area: float  # share of the sample that is evidence: what a map that knows nothing puts there
    hit: float
    mass: float
    auroc: float
    cue_area: float | None
    cue_hit: float | None
    cue_mass: float | None
    cue_auroc: float | None
    cost: float  # units
    seconds: float


def hit(values: np.ndarray, mask: np.ndarray) -> float:
    """1 if the largest value lies in the mask; of several that are largest the share that does.

    The pointing game (Zhang 2018), by size instead of by positive values.
    """
    return float(mask[values == values.max()].mean())


def mass(values: np.ndarray, mask: np.ndarray) -> float:
    """The share of all that is in the map that lies in the mask (relevance mass accuracy, Arras 2022).

    A map of zeros says nothing: it counts as chance, the mask's area.
    """
    everything = float(values.sum(dtype=np.float64))
    return float(values[mask].sum(dtype=np.float64)) / everything if everything > 0 else float(mask.mean())


def auroc(values: np.ndarray, mask: np.ndarray) -> float:
    """How often a place of the evidence has a larger value than another place; a tie counts one half.

    The rank sum of Mann and Whitney; 0.5 where all or nothing is evidence.
    """
    inside, outside = int(mask.sum()), int((~mask).sum())
    if not inside or not outside:
        return 0.5
    _different, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = ((last - count + 1 + last) / 2)[place.reshape(-1)]
    return float((ranks[mask].sum() - inside * (inside + 1) / 2) / (inside * outside))


def against(values: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """area, hit, mass and auroc of a map."""
    area = float(mask.mean())
    return {"area": area, "hit": hit(values, mask), "mass": mass(values, mask), "auroc": auroc(values, mask)}


# ── the table and its rows ───────────────────────────────────────────────────────────────────────────────────────────


def rows_of(marks: Iterable[Mark], controls: frozenset[str]) -> tuple[ScoreRow, ...]:
    """The scoreboard: the mean over the seeds of each seed's mean over its samples, and its spread over the seeds."""
    found: dict[tuple[str, str], dict[int, list[Mark]]] = defaultdict(lambda: defaultdict(list))
    for mark in marks:
        found[mark.data, mark.method][mark.seed].append(mark)
    return tuple(_row(data, method, method in controls, seeds) for (data, method), seeds in found.items())


def _row(data: str, method: str, control: bool, seeds: dict[int, list[Mark]]) -> ScoreRow:
    columns = (*MEASURES, *CHANCE.values())
    measured = {
        name: over_seeds([[getattr(mark, name) for mark in marks] for marks in seeds.values()]) for name in columns
    }
    chances = {field: None if (m := measured[column]) is None else m.mean for field, column in CHANCE.items()}
    samples = sum(len(marks) for marks in seeds.values())
    given: dict[str, Any] = {**{name: measured[name] for name in MEASURES}, **chances}
    return ScoreRow(data, method, control, len(seeds), samples, **given)


def over_seeds(seeds: list[list[float | None]]) -> Measured | None:
    """Of values of several networks, a list each; see core.spec.questions.Measured."""
    known = [found for seed in seeds if (found := [value for value in seed if value is not None])]
    if not known:
        return None
    means = [float(np.mean(seed)) for seed in known]
    one = len(known) == 1
    among = known[0] if one else means
    spread = float(np.std(among, ddof=1)) if len(among) > 1 else 0.0
    return Measured(float(np.mean(means)), spread / len(among) ** 0.5 if one else spread)


def to_csv(marks: Sequence[Mark]) -> str:
    """The exported table: one line a mark, as many digits as give the same rows again."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    names = [f.name for f in fields(Mark)]
    writer.writerow(names)
    for mark in marks:
        writer.writerow([_written(getattr(mark, name)) for name in names])
    return held.getvalue()


def _written(value: Any) -> Any:
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else value
