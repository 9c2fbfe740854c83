"""The learning rate drops by a factor, again and again (as in He 2015, section 4.2)."""

from dataclasses import dataclass

from core.catalog.entries import Schedule
from core.catalog.schedules._warm_up import WarmUp, warmed
from core.spec.options import _, option


@dataclass(frozen=True)
class Step(WarmUp):
    """Options of the step schedule."""

    drop: float = option(
        0.1, _("What the learning rate is multiplied by at each drop."), low=0.001, high=1.0, unit=_("(factor)")
    )
    every: float = option(
        0.33, _("How much of the run lies between two drops."), low=0.001, high=1.0, unit=_("share of the steps")
    )


def factor(o: Step, step: int, steps: int) -> float:
    return float(o.drop ** (step // max(1, round(o.every * steps))))


ENTRY = Schedule(
    name="step",
    title=_("steps down"),
    options=Step,
    factor=warmed(factor),
    source="equals torch's StepLR",
    examples=(Step(), Step(drop=0.5, every=0.1), Step(warm_up=0.25)),
    order=4,
)
