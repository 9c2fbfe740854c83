"""One cycle (Smith 2018): up from a small learning rate to the full one, then down to almost nothing."""

import math
from dataclasses import dataclass

from core.catalog.entries import Schedule
from core.spec.options import Options, _, option

START, END = 25.0, 1e4  # torch's OneCycleLR: first = full / 25, last = first / 1e4


@dataclass(frozen=True)
class OneCycle(Options):
    """Options of one cycle."""

    warm_up: float = option(
        0.3,
        _("Share of the steps in which the learning rate rises."),
        label=_("warm-up"),
        low=0.01,
        high=0.99,
        unit=_("share of the steps"),
    )


def factor(o: OneCycle, step: int, steps: int) -> float:
    peak, last = o.warm_up * steps - 1, steps - 1
    if step <= peak:
        return _between(1 / START, 1.0, step / max(peak, 1e-9))
    return _between(1.0, 1 / (START * END), (step - peak) / max(last - peak, 1e-9))


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))


ENTRY = Schedule(
    name="one_cycle",
    title=_("one cycle"),
    options=OneCycle,
    factor=factor,
    source="Smith 2018; equals torch's OneCycleLR with its defaults, momentum not cycled",
    examples=(OneCycle(), OneCycle(warm_up=0.1)),
    order=3,
)
