"""Writing on: what a model of the next token makes of a start text."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec.facts import Facts
from core.spec.options import DATA, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Writing(Options):
    """Options of writing on."""

    prompt: str = option(
        "", _("The text that the model goes on from; empty: a new line."), label=_("start text"), place_in=DATA
    )
    length: int = option(200, _("How many tokens it writes."), low=1, high=1000, unit=_("tokens"))
    temperature: float = option(
        0.8,
        _("Below 1 it keeps to what is likely, above 1 it dares more; 0 takes the likeliest each time."),
        low=0.0,
        high=5.0,
        unit=_("(factor)"),
    )
    seed: int = option(0, _("Of the draws: the same seed, the same text."), low=0, high=1_000_000, unit=_("seed"))


WRITTEN = "tokens"  # int64 [token]: what was written, by its place in the vocabulary
# float32 [token]: the probability that the model itself (at temperature 1) gave to each when it was drawn, among the
# tokens that have a word
CHANCE = "chance"


@dataclass(frozen=True, kw_only=True)
class WritingFacts(Facts):
    """What was written."""

    prompt: str
    text: str  # without the prompt
    words: tuple[str, ...]  # the same token by token
    window: int  # the most tokens that the model sees


def writes(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only what answers with the next token can be read on."""
    return form.next_step


ENTRY = View(
    name="writing",
    title=_("Writing on"),
    look="core.worker.look.writing:look",
    needs=_(
        "A model of the next token goes on from a text of your own. This run's data asks for something else. "
        "Choose a run on a text, such as gpt on characters."
    ),
    options=Writing,
    facts=WritingFacts,
    arrays=(WRITTEN, CHANCE),
    applies=writes,
    of_sample=False,
    examples=(Writing(length=12), Writing(prompt="the", length=8, temperature=0.0, seed=3)),
    order=120,
)
