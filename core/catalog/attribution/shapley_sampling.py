"""Shapley sampling: what a piece adds to those before it, averaged over random orders."""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced, forwards, pieces
from core.catalog.entries import DRAWS, PERTURBATION, Method
from core.spec.options import _, option


@dataclass(frozen=True)
class ShapleySampling(Pieced):
    """Options of Shapley sampling."""

    samples: int = option(
        25, _("How many random orders of the pieces are gone through."), low=1, high=2000, unit=_("orders")
    )


ENTRY = Method(
    name="shapley_sampling",
    title=_("Shapley sampling"),
    attribute="core.worker.explain.methods.shapley:shapley_sampling",
    words=_(
        "This piece's fair share of the answer: what it adds when the pieces join one by one, averaged over random "
        "orders. The map sums to the difference of the two answers."
    ),
    family=PERTURBATION,
    options=ShapleySampling,
    cost=lambda o, size: forwards(o.samples * max(0, pieces(o, size) - 1) + 2),
    tolerance=1e-3,
    averages=DRAWS,
    source="Štrumbelj and Kononenko 2010",
    order=66,
    examples=(ShapleySampling(samples=10), ShapleySampling(samples=5, pieces="slic", segments=16, baseline="mean")),
)
