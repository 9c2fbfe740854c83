"""Sanity check: does a method's map change when what the network has learned is taken away, layer by layer?"""

from dataclasses import dataclass

from core.catalog.entries import View
from core.spec import registry
from core.spec.facts import AboutSample
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


# [depth, …] the map at every depth, with the first seed: pictures [height, width] (summed over channels), sequences
# [step, feature], tokens [step], points [feature]; with their signs, whatever they are ranked by
MAPS = "maps"
CORRELATION = "correlation"  # [depth, seed]: with the trained network's map; NaN where a map is the same everywhere
DEPTHS = "depths"  # [depth] int64: how many layers are randomised
OF_RANDOM = "random"  # [draw]: correlations of maps of random values with the trained network's map
OF_INPUT = "input"  # []: that of |input|


@dataclass(frozen=True, kw_only=True)
class SanityFacts(AboutSample):
    """What was put to the test, and the verdict."""

    layers: tuple[str, ...]  # their names from the top down
    method: str  # its title
    verdict: str  # one of the six above
    ranked: str  # SIGNED or ABSOLUTE
    signed: bool  # do the maps have signs?
    explained: str  # what is explained, in words
    count: int  # of ranked values


ENTRY = View(
    name="sanity",
    title=_("Sanity check"),
    look="core.worker.explain.views.sanity:look",
    needs="",
    options=Sanity,
    facts=SanityFacts,
    arrays=(MAPS, CORRELATION, DEPTHS, OF_RANDOM, OF_INPUT),
    order=20,
    section="explain",
    examples=(Sanity(method="saliency"), Sanity(method="input_magnitude", values=ABSOLUTE, seeds=1)),
)
