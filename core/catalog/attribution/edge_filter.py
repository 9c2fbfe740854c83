"""A control: where the input changes from one place to the next. The network is not asked at all."""

from core.catalog.entries import CONTROL, PICTURE, SEQUENCE, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="edge_filter",
    title=_("Edge filter"),
    attribute="core.worker.explain.methods.controls:edge_filter",
    words=_(
        "A control: where brightness changes in a picture, or a value from one step to the next. It draws outlines "
        "that look like an explanation and knows nothing of the network."
    ),
    family=CONTROL,
    cost=lambda _o, _size: 0.0,
    signed=False,
    takes=(PICTURE, SEQUENCE),
    source="Adebayo 2018, section 4",
    examples=(Options(),),
    order=920,
)
