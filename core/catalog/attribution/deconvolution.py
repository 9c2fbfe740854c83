"""Deconvolution: the gradient, but a ReLU lets through what is positive on the way back, wherever its input was."""

from core.catalog.attribution import _fit
from core.catalog.entries import RULE, Method
from core.spec.options import Options, _

ENTRY = Method(
    name="deconvolution",
    title=_("Deconvolution"),
    attribute="core.worker.explain.methods.rules:deconvolution",
    words=_(
        "The way back through the network in which every ReLU passes on what is positive and ignores whether it was "
        "active. It shows what would excite the answer, and depends little on the input."
    ),
    family=RULE,
    fit=lambda found: _fit.guided("Deconvolution", found),
    source="Zeiler & Fergus 2014, section 2.1",
    examples=(Options(),),
    order=45,
)
