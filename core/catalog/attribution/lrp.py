"""LRP: the answer is handed back as relevance, each unit giving to those before it by what they contributed."""

from dataclasses import dataclass

from core.catalog.attribution import _fit
from core.catalog.entries import RULE, Method
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Lrp(Options):
    """Options of layer-wise relevance propagation."""

    epsilon: float = option(
        1e-6,
        _("ε in the denominator: weak sums lose relevance to it, which leaves a sparser map. Sums are about 1."),
        label=_("ε"),
        low=1e-9,
        high=10.0,
    )


ENTRY = Method(
    name="lrp",
    title=_("LRP"),
    attribute="core.worker.explain.methods.lrp:lrp",
    words=_(
        "The answer is handed back layer by layer: each unit shares its relevance among those it has read, by how much "
        "each of them contributed (layer-wise relevance propagation, ε rule)."
    ),
    family=RULE,
    options=Lrp,
    fit=_fit.lrp,
    source="Bach 2015, equation 58; Montavon 2019, section 10.2.1",
    examples=(Lrp(), Lrp(epsilon=0.1)),
    order=48,
)
