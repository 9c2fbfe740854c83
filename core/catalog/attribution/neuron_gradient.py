"""Neuron gradient: how one unit reacts to each value of the input."""

from core.catalog.attribution._layers import Unit, with_units
from core.catalog.entries import NEURON, Method
from core.spec.options import _

ENTRY = Method(
    name="neuron_gradient",
    title=_("Neuron gradient"),
    attribute="core.worker.explain.methods.neurons:gradient",
    words=_("How one unit inside the network reacts when a place of the input changes a little: upwards or downwards."),
    family=NEURON,
    options=Unit,
    cost=lambda _o, _size: 1.0,
    layers=with_units,
    examples=(Unit(), Unit(unit=1)),
    order=120,
)
