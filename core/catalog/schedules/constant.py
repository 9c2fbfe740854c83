"""The learning rate stays as it is, after a warm-up where one is asked for."""

from core.catalog.entries import Schedule
from core.catalog.schedules._warm_up import WarmUp, warmed
from core.spec.options import _

ENTRY = Schedule(
    name="constant",
    title=_("constant"),
    options=WarmUp,
    factor=warmed(lambda _o, _step, _steps: 1.0),
    source="with a warm-up: equals torch's LinearLR",
    examples=(WarmUp(), WarmUp(warm_up=0.2)),
    order=1,
)
