"""The learning-rate range test (Smith 2017, section 3.3): try every rate from far too small to far too large.

The rate rises by the same factor at every step. Where the loss falls fastest is a good rate; the run's weights are
of no use afterwards, and a loss that explodes is the end that the test looks for.
"""

from dataclasses import dataclass
from itertools import accumulate

from core.catalog.entries import Schedule
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class RangeTest(Options):
    """Options of the range test; both ends are multiples of the learning rate."""

    lowest: float = option(
        0.001,
        _("Where the test begins, as a multiple of the learning rate."),
        low=1e-7,
        high=1.0,
        unit=_("times the learning rate"),
        log=True,
    )
    highest: float = option(
        1000.0,
        _("Where the test ends, as a multiple of the learning rate."),
        low=1.0,
        high=1e7,
        unit=_("times the learning rate"),
        log=True,
    )


def factor(o: RangeTest, step: int, steps: int) -> float:
    return float(o.lowest * (o.highest / o.lowest) ** (step / max(1, steps - 1)))


def suggest(rates: list[float], losses: list[float]) -> tuple[float, float]:
    """(the rate at which the smoothed loss falls fastest per factor of the rate, the rate at which it is smallest).

    The first is 0 where the loss never falls. Rates must rise evenly in their logarithm.
    """
    n = len(losses)
    half = max(1, n // 40)
    if n < 2 * half + 2:
        return 0.0, 0.0
    sums = [0.0, *accumulate(losses)]
    ends = [(max(0, i - half), min(n, i + half + 1)) for i in range(n)]
    smooth = [(sums[b] - sums[a]) / (b - a) for a, b in ends]
    lowest = min(range(n), key=smooth.__getitem__)
    falls = {i: smooth[i - half] - smooth[i + half] for i in range(half, min(lowest, n - half - 1) + 1)}
    best = max(falls, key=falls.__getitem__, default=0)
    return (rates[best] if falls and falls[best] > 0 else 0.0), rates[lowest]


ENTRY = Schedule(
    name="range_test",
    title=_("range test"),
    options=RangeTest,
    factor=factor,
    suggest=suggest,
    source="Smith 2017, section 3.3",
    examples=(RangeTest(), RangeTest(lowest=0.1, highest=100.0)),
    order=10,
)
