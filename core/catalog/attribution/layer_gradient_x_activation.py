"""Gradient × activation: Input × Gradient, with a layer's values in the place of the input."""

from core.catalog.attribution._layers import with_places
from core.catalog.entries import LAYER, PICTURE, SEQUENCE, TOKENS, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="layer_gradient_x_activation",
    title=_("Layer gradient × activation"),
    attribute="core.worker.explain.methods.layers:gradient_x_activation",
    words=_(
        "A layer's values times the answer's gradient there, place by place and summed over the maps: what each place "
        "would add to the answer if all that follows were linear."
    ),
    family=LAYER,
    layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS),
    examples=(Options(),),
    order=92,
)
