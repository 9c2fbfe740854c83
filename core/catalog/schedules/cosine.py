"""Half a cosine from the learning rate down to zero (Loshchilov & Hutter 2017)."""

import math

from core.catalog.entries import Schedule
from core.catalog.schedules._warm_up import WarmUp, warmed
from core.spec.options import _

ENTRY = Schedule(
    name="cosine",
    title=_("cosine"),
    options=WarmUp,
    factor=warmed(lambda _o, step, steps: 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))),
    source="Loshchilov & Hutter 2017; equals torch's CosineAnnealingLR with T_max = steps",
    examples=(WarmUp(), WarmUp(warm_up=0.1)),
    order=2,
)
