"""Mistakes: what the network says of the whole test set, and where it is wrong."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.spec.options import DATA, Options, _, option


@dataclass(frozen=True)
class Mistakes(Options):
    """Options of the mistakes."""

    target: str = option("", _("Only samples that are this class; empty: all."), label=_("is (class)"), place_in=DATA)
    predicted: str = option(
        "", _("Only samples of which the network says this class; empty: all."), label=_("says (class)"), place_in=DATA
    )
    order: str = option(
        "worst first",
        _(
            "Which samples come first: those with the largest loss; the least certain, for which the two likeliest "
            "classes are closest; or in the order of the test set."
        ),
        choices=("worst first", "least certain first", "as in the test set"),
    )
    count: int = option(24, _("Samples shown at once."), label=_("samples shown"), low=1, high=96, unit=_("samples"))
    bins: int = option(
        15,
        _("Equal parts of the scale of confidence, in each of which confidence is compared with accuracy."),
        label=_("bins of confidence"),
        low=2,
        high=50,
        unit=_("bins"),
    )


ENTRY = View(
    "mistakes",
    _("Mistakes"),
    "core.worker.look.mistakes:look",
    needs="",
    options=Mistakes,
    of_sample=False,
    order=110,
    examples=(Mistakes(), Mistakes(order="least certain first", bins=10), Mistakes(target="0", count=3)),
)
