"""Internal influence: the mean gradient at a layer on the way from the baseline to the input."""

from core.catalog.attribution._layers import with_places
from core.catalog.attribution._options import OnWay
from core.catalog.entries import LAYER, PICTURE, POINTS, SEQUENCE, TOKENS, Method
from core.spec.options import _

ENTRY = Method(
    name="internal_influence",
    title=_("Internal influence"),
    attribute="core.worker.explain.methods.layers:internal_influence",
    words=_(
        "How strongly the answer reacts to a layer's values at each place, averaged over the straight way from the "
        "baseline to the input."
    ),
    family=LAYER,
    options=OnWay,
    cost=lambda o, _size: o.steps + 1.0,
    layers=with_places,
    averages=POINTS,
    takes=(PICTURE, SEQUENCE, TOKENS),
    source="Leino 2018",
    examples=(OnWay(), OnWay(baseline="mean", steps=8)),
    order=94,
)
