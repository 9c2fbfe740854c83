"""Memory: the states and gates of a recurrent layer over one sequence."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.catalog.views import _recurrent
from core.spec.options import _, option


@dataclass(frozen=True)
class States(_recurrent.Cells):
    """Options of the view of states."""

    by_separation: bool = option(
        False,
        _("Order the units by how well their state tells the classes apart, the best at the top."),
        label=_("units that differ between classes first"),
    )


ENTRY = View(
    "states",
    _("Memory"),
    "core.worker.look.states:look",
    needs=_recurrent.NEEDS,
    options=States,
    applies=_recurrent.has_one,
    layers=_recurrent.recurrent,
    offers=_recurrent.offers,
    examples=(States(), States(stack=2, direction="backward", by_separation=True)),
    order=50,
)
