"""Faithfulness: does the answer fall when the places that a map calls important are taken away first?"""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced
from core.catalog.entries import CONTROL, GRADIENT, LAYER, NEURON, PATH, PERTURBATION, RULE, View
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


ENTRY = View(
    "faithfulness",
    _("Faithfulness"),
    "core.worker.explain.views.faithfulness:look",
    needs="",
    options=Faithfulness,
    order=30,
    section="explain",
    examples=(
        Faithfulness(methods=NONE, also="saliency, integrated_gradients", side=7, seeds=2),
        Faithfulness(methods=NONE, also="saliency", side=7, seeds=2, samples=3, baseline="mean", scale=LOGIT),
    ),
)
