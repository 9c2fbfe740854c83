"""Saliency: how much the answer changes when a value changes a little, whichever way."""

from core.catalog.entries import GRADIENT, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="saliency",
    title=_("Saliency"),
    attribute="core.worker.explain.methods.gradients:saliency",
    words=_("How strongly the answer reacts when this place changes a little: the size of the gradient."),
    family=GRADIENT,
    signed=False,
    panel=True,
    source="Simonyan 2014",
    examples=(Options(),),
    order=10,
)
