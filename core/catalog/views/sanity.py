"""Sanity check: does a method's map change when what the network has learned is taken away, layer by layer?"""

from dataclasses import dataclass

from core.catalog.entries import View
from core.spec import registry
from core.spec.options import Options, _, option

INDEPENDENT, DEPENDS, BETWEEN = "independent", "depends", "between"  # what a check can find
GONE, FEW, NOISE = "gone", "few", "noise"  # or why it cannot
SIGNED, ABSOLUTE = "signed", "absolute"


@dataclass(frozen=True)
class Sanity(Options):
    """Options of the sanity check."""

    method: str = option(
        "integrated_gradients",
        _("The method whose map is put to the test, with its defaults."),
        choices=tuple(name for name in registry.METHODS.names() if name != "untrained"),
    )
    values: str = option(
        SIGNED,
        _(
            "What the maps are ranked by. signed: from most against to most for the answer; absolute: by size alone. "
            "By size, every method that multiplies by the input keeps the order of the input's bright and dark places."
        ),
        label=_("ranked by"),
        choices=(SIGNED, ABSOLUTE),
    )
    seeds: int = option(
        3,
        _("How often the weights are randomised; the band shows how much luck is in it."),
        low=1,
        high=10,
        unit=_("seeds"),
    )


ENTRY = View(
    "sanity",
    _("Sanity check"),
    "core.worker.explain.views.sanity:look",
    needs="",
    options=Sanity,
    order=20,
    section="explain",
    examples=(Sanity(method="saliency"), Sanity(method="input_magnitude", values=ABSOLUTE, seeds=1)),
)
