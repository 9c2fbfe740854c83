"""Which came first? Two marked tokens stand somewhere among noise; the class says which of them is first."""

from dataclasses import dataclass

from core.catalog.entries import TOKENS, DataForm, Dataset
from core.spec.options import Options, _, option

SPECIAL = 3  # 0 = padding, 1 = A, 2 = B; noise begins here


@dataclass(frozen=True)
class Order(Options):
    """Options of the order task."""

    length: int = option(
        16, _("Longest row; each row has between half and all of it."), low=4, high=256, unit=_("tokens")
    )
    noise: int = option(8, _("Different tokens that mean nothing."), low=1, high=500, unit=_("tokens"))
    samples: int = option(
        4000, _("Rows drawn in all, for training, validation and test."), low=60, high=100_000, unit=_("rows")
    )


ENTRY = Dataset(
    name="order",
    title=_("which came first?"),
    options=Order,
    load="core.worker.data.order:load",
    form=lambda o: DataForm(TOKENS, (o.length,), 2, vocabulary=SPECIAL + o.noise),
    source=_("drawn by LayerLab"),
    licence="Apache-2.0",
    examples=(Order(samples=1000), Order(length=8, noise=2, samples=200)),
    order=4,
)
