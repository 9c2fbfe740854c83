"""A planted pattern: a few tokens that stand next to each other among noise say the class, and nothing else does."""

from dataclasses import dataclass

from core.catalog.entries import TOKENS, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Planted(Options):
    """Options of the planted pattern."""

    length: int = option(
        24, _("Longest row; each row has between half and all of it."), low=4, high=256, unit=_("tokens")
    )
    classes: int = option(4, _("Different patterns, one for each class."), low=2, high=26, unit=_("classes"))
    pattern: int = option(
        2, _("Tokens of a pattern; from 2 on their order counts, too."), low=1, high=4, unit=_("tokens")
    )
    noise: int = option(12, _("Different tokens that mean nothing."), low=1, high=500, unit=_("tokens"))
    samples: int = option(
        4000, _("Rows drawn in all, for training, validation and test."), low=60, high=100_000, unit=_("rows")
    )


def tokens_of(o: Planted) -> int:
    """How many tokens are reserved for patterns: as few as can tell the classes apart."""
    size = min(o.pattern, o.length)
    return next(k for k in range(2, o.classes + 1) if k**size >= o.classes)


ENTRY = Dataset(
    name="planted",
    title=_("planted pattern"),
    options=Planted,
    load="core.worker.data.planted:load",
    form=lambda o: DataForm(TOKENS, (o.length,), o.classes, vocabulary=1 + tokens_of(o) + o.noise),
    source=_("drawn by LayerLab"),
    licence="Apache-2.0",
    examples=(Planted(samples=1000), Planted(length=8, classes=3, pattern=1, noise=3, samples=300)),
    order=5,
)
