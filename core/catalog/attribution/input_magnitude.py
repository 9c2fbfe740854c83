"""A control: how large each value of the input is. The network is not asked at all."""

from core.catalog.entries import CONTROL, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="input_magnitude",
    title=_("|Input|"),
    attribute="core.worker.explain.methods.controls:input_magnitude",
    words=_(
        "A control: how bright a pixel, how large a value or how long a token's vector is. A map that looks like it "
        "may show the input and not what the network does with it."
    ),
    family=CONTROL,
    cost=lambda _o, _size: 0.0,
    signed=False,
    examples=(Options(),),
    order=910,
)
