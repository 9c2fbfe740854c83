"""A linear warm-up before any other schedule (Goyal 2017, section 2.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.spec.options import Options, _, option


@dataclass(frozen=True)
class WarmUp(Options):
    """Options of a schedule that may begin with a warm-up."""

    warm_up: float = option(
        0.0,
        _("Share of the steps in which the learning rate first rises evenly."),
        label=_("warm-up"),
        low=0.0,
        high=0.9,
        unit=_("share of the steps"),
    )


Factor = Callable[[Any, int, int], float]


def warmed(main: Factor) -> Factor:
    """`main` over the steps that the warm-up leaves: w steps rise 1/(w+1), 2/(w+1), … towards main's first factor."""

    def factor(o: Any, step: int, steps: int) -> float:
        rising: int = round(o.warm_up * steps)
        if step < rising:
            return (step + 1) / (rising + 1) * main(o, 0, steps - rising)
        return main(o, step - rising, steps - rising)

    return factor
