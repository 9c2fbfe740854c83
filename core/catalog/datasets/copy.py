"""The copy task: remember a few symbols through a long gap, then say them again (Hochreiter & Schmidhuber 1997)."""

from dataclasses import dataclass

from core.catalog.entries import EACH_STEP, TOKENS, DataForm, Dataset
from core.spec.options import Options, _, option

BLANK, GO, FIRST = 1, 2, 3  # 0 = padding; the symbols begin at FIRST


@dataclass(frozen=True)
class Copy(Options):
    """Options of the copy task."""

    items: int = option(10, _("Symbols to remember."), low=1, high=50, unit=_("symbols"))
    gap: int = option(20, _("Steps between the last symbol and the first answer."), low=1, high=1000, unit=_("steps"))
    symbols: int = option(8, _("Different symbols."), low=2, high=26, unit=_("symbols"))
    samples: int = option(
        8000, _("Rows drawn in all, for training, validation and test."), low=60, high=100_000, unit=_("rows")
    )


ENTRY = Dataset(
    name="copy",
    title=_("copy after a gap"),
    options=Copy,
    load="core.worker.data.copy:load",
    form=lambda o: DataForm(TOKENS, (2 * o.items + o.gap,), o.symbols, vocabulary=FIRST + o.symbols, task=EACH_STEP),
    source=_("drawn by LayerLab after Arjovsky, Shah & Bengio (2016), section 5.1"),
    licence="Apache-2.0",
    examples=(Copy(samples=1000), Copy(items=4, gap=3, symbols=3, samples=300)),
    order=8,
)
