"""Input × Gradient: what each value adds to the answer, were the network as straight everywhere as it is here."""

from core.catalog.entries import GRADIENT, Method
from core.spec.options import Options, _

ENTRY = Method(
    "input_x_gradient",
    _("Input × Gradient"),
    "core.worker.explain.methods.gradients:input_x_gradient",
    _("The gradient times the value itself: what each place would add to the answer if the network were linear."),
    GRADIENT,
    panel=True,
    source="Shrikumar 2016",
    examples=(Options(),),
    order=11,
)
