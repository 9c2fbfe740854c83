"""Through time: how much of the loss's gradient reaches the early steps of a sequence."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.catalog.views import _recurrent
from core.spec.options import _, option


@dataclass(frozen=True)
class ThroughTime(_recurrent.Cells):
    """Options of the gradient through time. All but the first two are a what-if on a copy of the weights."""

    untrained: bool = option(False, _("The same network with freshly drawn weights, as before any training."))
    seed: int = option(
        0,
        _("Which fresh weights; try several, a single draw is luck."),
        low=0,
        high=99,
        unit=_("(number)"),
        applies=lambda o: o.untrained,
    )
    gain: float = option(
        1.0,
        _("What if the recurrent weight were this many times as large? 1 leaves it as learned."),
        low=0.0,
        high=3.0,
        unit=_("(factor)"),
        slider=True,
    )
    forget_bias: float = option(
        0.0,
        _(
            "What if the forget gate's bias were this much higher? The higher, the more the cell keeps. 0 leaves it "
            "as learned."
        ),
        label=_("forget bias, added"),
        low=-5.0,
        high=5.0,
        unit=_("(logit)"),
        slider=True,
    )


ENTRY = View(
    "through_time",
    _("Through time"),
    "core.worker.look.through_time:look",
    needs=_recurrent.NEEDS,
    options=ThroughTime,
    applies=_recurrent.has_one,
    layers=_recurrent.recurrent,
    offers=_recurrent.offers,
    examples=(
        ThroughTime(),
        ThroughTime(gain=1.5, forget_bias=3.0),
        ThroughTime(untrained=True, seed=1),
        ThroughTime(stack=2, direction="backward"),
    ),
    order=70,
)
