"""Activation: what a layer gives, laid onto the input. It knows nothing of the answer."""

from core.catalog.attribution._layers import with_places
from core.catalog.attribution._options import forwards
from core.catalog.entries import LAYER, PICTURE, SEQUENCE, TOKENS, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="layer_activation",
    title=_("Layer activation"),
    attribute="core.worker.explain.methods.layers:activation",
    words=_(
        "How strongly a layer answers at each place: the length of its values there. "
        "It does not depend on the class that is asked for."
    ),
    family=LAYER,
    cost=lambda _o, _size: forwards(1),
    layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS),
    examples=(Options(),),
    order=91,
)
