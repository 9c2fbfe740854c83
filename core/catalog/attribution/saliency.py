"""Saliency: how much the answer changes when a value changes a little, whichever way."""

from core.catalog.entries import GRADIENT, Method
from core.spec.options import Options, _

ENTRY = Method(
    "saliency",
    _("Saliency"),
    "core.worker.explain.methods.gradients:saliency",
    _("How strongly the answer reacts when this place changes a little: the size of the gradient."),
    GRADIENT,
    signed=False,
    panel=True,
    source="Simonyan 2014",
    examples=(Options(),),
    order=10,
)
