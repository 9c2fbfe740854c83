"""Any text, character by character: at every step, which one comes next?"""

from dataclasses import dataclass

from core.catalog.entries import EACH_STEP, TOKENS, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Characters(Options):
    """Options of the characters."""

    path: str = option(
        "", _("A text file (UTF-8) in the data folder; empty means the sonnets that come along."), label=_("text file")
    )
    length: int = option(
        64, _("Characters that a sample has, and that the model can look back."), low=4, high=512, unit=_("characters")
    )
    vocabulary: int = option(
        100,
        _(
            "Token numbers there are: padding, unknown, and the characters most frequent in the training text. A "
            "European language needs about 100, Chinese 2000 to 8000; unknown characters are not asked for."
        ),
        low=8,
        high=20_000,
        unit=_("tokens"),
    )
    samples: int = option(
        10_000,
        _("Most windows cut from the training text; they overlap where it is short."),
        low=20,
        high=100_000,
        unit=_("windows"),
    )


ENTRY = Dataset(
    name="characters",
    title=_("characters of a text"),
    options=Characters,
    load="core.worker.data.characters:load",
    form=lambda o: DataForm(TOKENS, (o.length,), o.vocabulary, vocabulary=o.vocabulary, task=EACH_STEP, next_step=True),
    source=_("fourteen sonnets by William Shakespeare (1609), or a text of your own"),
    licence=_("public domain; a text of your own has its own licence"),
    files=True,
    examples=(Characters(samples=200), Characters(length=16, vocabulary=20, samples=200)),
    order=9,
)
