"""Neuron conductance: which places of the input act on the answer through one unit."""

from core.catalog.attribution._layers import UnitOnWay, with_units
from core.catalog.entries import NEURON, POINTS, Method
from core.spec.options import _

ENTRY = Method(
    name="neuron_conductance",
    title=_("Neuron conductance"),
    attribute="core.worker.explain.methods.neurons:conductance",
    words=_(
        "What each place of the input adds to the answer through one unit inside the network, on the straight way from "
        "the baseline. The map sums to all that flows through the unit."
    ),
    family=NEURON,
    options=UnitOnWay,
    cost=lambda o, _size: float(4 * o.steps),
    layers=with_units,
    tolerance=0.05,
    averages=POINTS,
    source="Dhamdhere 2018, equation 2",
    examples=(UnitOnWay(), UnitOnWay(unit=1, baseline="mean", steps=8)),
    order=121,
)
