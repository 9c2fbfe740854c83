"""Input × Gradient: what each value adds to the answer, were the network as straight everywhere as it is here."""

from core.catalog.entries import GRADIENT, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="input_x_gradient",
    title=_("Input × Gradient"),
    attribute="core.worker.explain.methods.gradients:input_x_gradient",
    words=_("The gradient times the value itself: what each place would add to the answer if the network were linear."),
    family=GRADIENT,
    panel=True,
    source="Shrikumar 2016",
    examples=(Options(),),
    order=11,
)
