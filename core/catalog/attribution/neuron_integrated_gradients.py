"""Neuron Integrated Gradients: which places of the input drive one unit."""

from core.catalog.attribution._layers import UnitOnWay, with_units
from core.catalog.entries import NEURON, POINTS, Method
from core.spec.options import _

ENTRY = Method(
    name="neuron_integrated_gradients",
    title=_("Neuron Integrated Gradients"),
    attribute="core.worker.explain.methods.neurons:integrated_gradients",
    words=_(
        "What each place of the input adds to the value of one unit inside the network, on the straight way from the "
        "baseline. The map sums to the difference of the unit's two values."
    ),
    family=NEURON,
    options=UnitOnWay,
    cost=lambda o, _size: float(4 * o.steps),
    layers=with_units,
    tolerance=0.01,
    averages=POINTS,
    source="Sundararajan 2017, for a unit",
    examples=(UnitOnWay(), UnitOnWay(unit=1, baseline="mean", steps=8)),
    order=122,
)
