"""Internal influence: the mean gradient at a layer on the way from the baseline to the input."""

from dataclasses import dataclass

from core.catalog.attribution._layers import with_places
from core.catalog.attribution._options import Baselined
from core.catalog.entries import LAYER, PICTURE, SEQUENCE, TOKENS, Method
from core.options import _, option


@dataclass(frozen=True)
class InternalInfluence(Baselined):
    """Options of the internal influence."""

    steps: int = option(20, _("Points on the way from the baseline to the input."), low=2, high=1000,
                        unit=_("points"))  # fmt: skip


ENTRY = Method(
    "internal_influence", _("Internal influence"), "core.explain.methods.layers:internal_influence",
    _("How strongly the answer reacts to a layer's values at each place, averaged over the straight way from the "
      "baseline to the input."),
    LAYER, InternalInfluence, cost=lambda o, _size: float(o.steps), layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS), source="Leino 2018",
    examples=(InternalInfluence(), InternalInfluence(baseline="mean", steps=6)), order=94,
)  # fmt: skip
