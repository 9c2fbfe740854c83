"""Lime: a sparse linear model of how the network answers near this input."""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced, forwards
from core.catalog.entries import FITS, PERTURBATION, Method
from core.spec.options import _, option


@dataclass(frozen=True)
class Lime(Pieced):
    """Options of Lime."""

    samples: int = option(
        512, _("For how many random choices of pieces the network is asked."), low=16, high=5000, unit=_("choices")
    )
    width: float = option(
        0.5,
        _(
            "Width of the neighbourhood: a choice counts by how like the input it is, and with a small width only "
            "those that are very like it count."
        ),
        low=0.05,
        high=10.0,
        log=True,
        unit=_("of 1 − cosine"),
    )
    alpha: float = option(
        0.01,
        _("How strongly small slopes are pressed to zero, so that few pieces are left."),
        low=1e-5,
        high=10.0,
        log=True,
    )


ENTRY = Method(
    name="lime",
    title=_("Lime"),
    attribute="core.worker.explain.methods.surrogate:lime",
    words=_(
        "The slope of this piece in a simple linear model of the answers near the input. Pieces of little weight are "
        "pressed to exactly zero."
    ),
    family=PERTURBATION,
    options=Lime,
    cost=lambda o, _size: forwards(o.samples + 1),
    averages=FITS,
    source="Ribeiro 2016, section 3.4",
    order=72,
    examples=(Lime(samples=256), Lime(samples=128, pieces="slic", segments=16, width=1.0, alpha=0.001)),
)
