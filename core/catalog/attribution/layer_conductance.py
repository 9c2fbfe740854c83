"""Conductance: how much of the difference of the answers flows through each place of a layer."""

from core.catalog.attribution._layers import with_places
from core.catalog.attribution._options import Summed
from core.catalog.entries import LAYER, PICTURE, POINTS, SEQUENCE, TOKENS, Method
from core.spec.options import _

ENTRY = Method(
    name="layer_conductance",
    title=_("Layer conductance"),
    attribute="core.worker.explain.methods.layers:conductance",
    words=_(
        "How much of the difference between the answers to the input and to the baseline flows through each place of a "
        "layer on the straight way between them. All of it flows through every layer: the map sums to the difference."
    ),
    family=LAYER,
    options=Summed,
    cost=lambda o, _size: float(2 * o.steps),
    layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS),
    tolerance=0.01,
    averages=POINTS,
    source="Dhamdhere 2018, equations 1 to 3",
    examples=(Summed(), Summed(baseline="mean", steps=8)),
    order=93,
)
