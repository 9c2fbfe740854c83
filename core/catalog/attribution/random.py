"""A control: random values. What does not look better than this explains nothing."""

from core.catalog.entries import CONTROL, Method
from core.spec.options import Options, _

ENTRY = Method(
    "random",
    _("Random"),
    "core.worker.explain.methods.controls:random",
    _("A control: random values that know nothing of the network or the input."),
    CONTROL,
    cost=lambda _o, _size: 0.0,
    examples=(Options(),),
    order=900,
)
