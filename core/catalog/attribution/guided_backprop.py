"""Guided backprop: the gradient, but a ReLU lets through only what is positive, both ways."""

from core.catalog.attribution import _fit
from core.catalog.entries import RULE, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="guided_backprop",
    title=_("Guided backprop"),
    attribute="core.worker.explain.methods.rules:guided_backprop",
    words=_(
        "The gradient with all that speaks against removed at every ReLU on the way back. It draws sharp outlines, but "
        "often of shapes that the network does not use: compare it with the controls."
    ),
    family=RULE,
    fit=lambda found: _fit.guided("Guided backprop", found),
    panel=True,
    source="Springenberg 2014, section 3.4",
    examples=(Options(),),
    order=44,
)
