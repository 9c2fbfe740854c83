"""Film reviews made from a small grammar: one clause says what the writer thinks, sometimes by a negation."""

from dataclasses import dataclass

from core.catalog.datasets._review_words import LONGEST, vocabulary
from core.catalog.entries import TOKENS, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Reviews(Options):
    """Options of the reviews."""

    facts: int = option(
        2,
        _("Most clauses that say nothing of what the writer thinks; each review has one or more."),
        low=1,
        high=12,
        unit=_("clauses"),
    )
    negation: float = option(
        0.3,
        _("Share of the opinions that are negated: “not good”, “hardly boring”."),
        low=0.0,
        high=1.0,
        unit=_("share"),
    )
    decoys: bool = option(False, _("May facts hold a negator, too? Then one must see which word it belongs to."))
    samples: int = option(
        6000, _("Reviews made in all, for training, validation and test."), low=60, high=50_000, unit=_("reviews")
    )


ENTRY = Dataset(
    name="reviews",
    title=_("film reviews"),
    options=Reviews,
    load="core.worker.data.reviews:load",
    form=lambda o: DataForm(TOKENS, (LONGEST * (o.facts + 1),), 2, vocabulary=len(vocabulary())),
    source=_("made by LayerLab from a grammar; nobody wrote them"),
    licence="Apache-2.0",
    examples=(Reviews(samples=600), Reviews(facts=1, negation=1.0, decoys=True, samples=300)),
    order=6,
)
