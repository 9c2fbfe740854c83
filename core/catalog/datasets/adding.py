"""The adding problem: two of many numbers are marked; what is their sum? (Hochreiter & Schmidhuber 1997)"""

from dataclasses import dataclass

from core.catalog.entries import NUMBER, SEQUENCE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Adding(Options):
    """Options of the adding problem."""

    length: int = option(
        50, _("Steps of a sequence; the longer, the further back the first mark."), low=4, high=1000, unit=_("steps")
    )
    samples: int = option(
        20_000,
        _("Sequences drawn in all, for training, validation and test."),
        low=60,
        high=100_000,
        unit=_("sequences"),
    )


ENTRY = Dataset(
    name="adding",
    title=_("adding problem"),
    options=Adding,
    load="core.worker.data.adding:load",
    form=lambda o: DataForm(SEQUENCE, (o.length, 2), 1, task=NUMBER),
    source=_("drawn by LayerLab after Hochreiter & Schmidhuber (1997)"),
    licence="Apache-2.0",
    examples=(Adding(samples=1000), Adding(length=6, samples=200)),
    order=7,
)
