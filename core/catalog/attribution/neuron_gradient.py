"""Neuron gradient: how one unit reacts to each value of the input."""

from core.catalog.attribution._layers import Unit, with_units
from core.catalog.entries import NEURON, Method
from core.spec.options import _

ENTRY = Method(
    "neuron_gradient",
    _("Neuron gradient"),
    "core.worker.explain.methods.neurons:gradient",
    _("How one unit inside the network reacts when a place of the input changes a little: upwards or downwards."),
    NEURON,
    Unit,
    cost=lambda _o, _size: 1.0,
    layers=with_units,
    examples=(Unit(), Unit(unit=1)),
    order=120,
)
