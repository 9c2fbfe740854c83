"""Faithfulness: does the answer fall when the places that a map calls important are taken away first?"""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced
from core.catalog.entries import CONTROL, GRADIENT, LAYER, NEURON, PATH, PERTURBATION, RULE, View
from core.spec.facts import AboutSample
from core.spec.options import _, option

SHOWN_FIRST, ALL, NONE = "shown first", "all", "none"
SETS = (SHOWN_FIRST, GRADIENT, PATH, RULE, PERTURBATION, LAYER, NEURON, CONTROL, ALL, NONE)
PROBABILITY, LOGIT = "probability", "logit"


@dataclass(frozen=True)
class Faithfulness(Pieced):
    """Options of the faithfulness check."""

    methods: str = option(
        SHOWN_FIRST,
        _(
            "Which methods are compared: the eight that are shown first, one family, or all of them. Those that are "
            "not right for the model are left out with the reason."
        ),
        choices=SETS,
    )
    also: str = option(
        "", _("Names of further methods, with commas between them, such as saliency, random."), label=_("and also")
    )
    samples: int = option(
        1,
        _("1: the chosen sample; more: the mean over so many, from the first test sample on."),
        low=1,
        high=100,
        unit=_("samples"),
    )
    seeds: int = option(
        5,
        _("Random orders, random maps and draws of noise; the bands and ± show how much luck is in them."),
        low=2,
        high=30,
        unit=_("seeds"),
    )
    scale: str = option(
        PROBABILITY,
        _(
            "What is followed while pieces are taken away: the class's probability, or its logit, which is "
            "what the maps explain. For a number it is the number."
        ),
        label=_("followed"),
        choices=(PROBABILITY, LOGIT),
    )
    radius: float = option(
        0.02,
        _("For the sensitivity: by how much each value of the input is changed at most, up or down."),
        low=0.0001,
        high=1.0,
        unit=_("of the largest value"),
        label=_("noise"),
    )


SHARE = "share"  # [point]: of the pieces that are deleted or inserted, 0 to 1
# By of_method: [sample, …], for RANDOM [sample, seed, …]; NaN where a number is not defined
DELETION, INSERTION = "deletion", "insertion"  # […, point]: the followed number
DELETION_AREA, INSERTION_AREA = "deletion_area", "insertion_area"  # […]: the curve's mean
# [sample, seed] of every method:
INFIDELITY = "infidelity"  # the share of the changes that is not said
INFIDELITY_PLAIN = "infidelity_plain"  # definition 2.1 as it stands
SENSITIVITY = "sensitivity"
RANDOM = "random order"  # the reference's name: of the pieces; in infidelity a map of random values


def of_method(kind: str, method: str) -> str:
    """The array of a kind (DELETION, …) of a method, or of RANDOM."""
    return f"{kind}/{method}"


@dataclass(frozen=True, kw_only=True)
class FaithfulnessFacts(AboutSample):
    """Which methods were compared, on what."""

    methods: dict[str, str]  # name → title
    left_out: dict[str, str]  # title → reason
    explained: str  # in words; "" of several samples
    samples: int  # that the numbers are of, of …
    wanted: int  # … so many that were asked for
    followed: str  # PROBABILITY, LOGIT or number
    seeds: int
    pieces: list[int]  # their number in each sample
    alike: int  # samples left out: they are their own baseline
    kept: bool  # does the baseline alone have this answer?


ENTRY = View(
    name="faithfulness",
    title=_("Faithfulness"),
    look="core.worker.explain.views.faithfulness:look",
    needs="",
    options=Faithfulness,
    facts=FaithfulnessFacts,
    arrays=(SHARE,),
    optional_arrays=tuple(
        of_method(kind, "*")
        for kind in (DELETION, INSERTION, DELETION_AREA, INSERTION_AREA, INFIDELITY, INFIDELITY_PLAIN, SENSITIVITY)
    ),
    order=30,
    section="explain",
    examples=(
        Faithfulness(methods=NONE, also="saliency, integrated_gradients", side=7, seeds=2),
        Faithfulness(methods=NONE, also="saliency", side=7, seeds=2, samples=3, baseline="mean", scale=LOGIT),
    ),
)
