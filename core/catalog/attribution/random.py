"""A control: random values. What does not look better than this explains nothing."""

from core.catalog.entries import CONTROL, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="random",
    title=_("Random"),
    attribute="core.worker.explain.methods.controls:random",
    words=_("A control: random values that know nothing of the network or the input."),
    family=CONTROL,
    cost=lambda _o, _size: 0.0,
    examples=(Options(),),
    order=900,
)
