"""Layer Integrated Gradients: Integrated Gradients, with a layer's values in the place of the input."""

from core.catalog.attribution._layers import with_places
from core.catalog.attribution._options import Summed
from core.catalog.entries import LAYER, PICTURE, POINTS, SEQUENCE, TOKENS, Method
from core.spec.options import _

ENTRY = Method(
    name="layer_integrated_gradients",
    title=_("Layer Integrated Gradients"),
    attribute="core.worker.explain.methods.layers:integrated_gradients",
    words=_(
        "What each place of a layer adds to the answer when the layer's values go straight from those of the baseline "
        "to those of the input. The map sums to the difference of the two answers."
    ),
    family=LAYER,
    options=Summed,
    cost=lambda o, _size: float(2 * o.steps),
    layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS),
    tolerance=0.01,
    averages=POINTS,
    source="Sundararajan 2017, at a layer",
    examples=(Summed(), Summed(baseline="mean", steps=8)),
    order=95,
)
