"""Integrated Gradients: the gradient, summed along the straight way from a baseline to the input."""

from dataclasses import dataclass

from core.catalog.attribution._options import Summed
from core.catalog.entries import PATH, POINTS, Method
from core.spec.options import _, option


@dataclass(frozen=True)
class IntegratedGradients(Summed):
    """Options of Integrated Gradients."""

    most: int = option(
        2000,
        _("Points are added where the network bends until the map and its sum are right, at most so many."),
        label=_("at most"),
        low=8,
        high=4000,
        unit=_("points"),
    )


ENTRY = Method(
    name="integrated_gradients",
    title=_("Integrated Gradients"),
    attribute="core.worker.explain.methods.path:integrated_gradients",
    words=_(
        "What each place adds to the answer on the straight way from the baseline to the input. The map sums to the "
        "difference of the two answers."
    ),
    family=PATH,
    options=IntegratedGradients,
    cost=lambda o, _size: o.steps + 2.0,
    tolerance=0.01,
    averages=POINTS,
    panel=True,
    source="Sundararajan 2017",
    examples=(IntegratedGradients(), IntegratedGradients(baseline="mean", steps=8)),
    order=30,
)
