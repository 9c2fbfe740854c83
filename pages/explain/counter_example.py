"""A counter-example on a page: what has to go so that the answer turns, what alone keeps it, and random orders."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS
from core.catalog.views.counter_example import (
    CURVE,
    KEPT,
    ONLY,
    ORIGINAL,
    PIECES,
    PROBABILITIES,
    RANDOM,
    REMOVED,
    WITHOUT,
    CounterExampleFacts,
)
from core.figures import attack as figures
from core.figures import counter_example
from core.figures.attack import Line, Panel
from core.spec.questions import Seen
from pages.explain.attack import flat, pixels, plain_name
from pages.kit import figure, look
from pages.kit.words import _, plain


def page(seen: Seen[CounterExampleFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(rest(seen), table=table(seen))


def draw(seen: Seen[CounterExampleFacts]) -> None:
    """The two main sentences, then the sample whole, without some pieces, and with some alone."""
    for sentence in seen.words[:2]:
        st.markdown(plain(_(sentence)))
    kind = seen.facts.kind
    (_tokens if kind == TOKENS else _pictures if kind in (PICTURE, SEQUENCE) else _features)(seen)
    left, right = st.columns(2, gap="small")
    with left:
        _answers(seen)
    with right:
        _removals(seen)


def rest(seen: Seen[CounterExampleFacts]) -> Seen[CounterExampleFacts]:
    """With the sentences that are not said above."""
    return replace(seen, words=seen.words[2:])


def table(seen: Seen[CounterExampleFacts]) -> list[dict[str, Any]]:
    """One row a class."""
    rows = zip(seen.facts.classes, *seen.arrays[PROBABILITIES].tolist(), strict=True)
    return [
        {_("class"): name, _("whole"): whole, _("without the removed"): without, _("only the kept"): only}
        for name, whole, without, only in rows
    ]


def titles(seen: Seen[CounterExampleFacts]) -> list[str]:
    """What each of the three is, and what the network says of it."""
    facts = seen.facts
    counts = {name: int(seen.arrays[name].sum()) for name in (REMOVED, KEPT)}
    without = _("without {n}").format(n=counts[REMOVED]) if facts.found_removed else _("nothing found")
    only = _("only {n}").format(n=counts[KEPT]) if not facts.baseline_keeps else _("the baseline")
    return [
        _("{title}: “{name}”, {share}").format(
            title=title, name=facts.classes[int(row.argmax())], share=f"{row.max():.1%}"
        )
        for title, row in zip((_("whole"), without, only), seen.arrays[PROBABILITIES], strict=True)
    ]


def _pictures(seen: Seen[CounterExampleFacts]) -> None:
    picture = seen.facts.kind == PICTURE
    show = pixels if picture else flat
    panels = [
        Panel(title, show(seen.arrays[name]), not picture)
        for title, name in zip(titles(seen), ("original", "without", "only"), strict=True)
    ]
    drawn = figures.beside(panels, scale_title=_("value"))
    for column, chosen in ((1, "removed"), (2, "removed"), (3, "kept")):
        counter_example.outlined(drawn, places(seen, chosen), column)
    removed, kept = (int(seen.arrays[name].sum()) for name in (REMOVED, KEPT))
    alt = _("The sample, the sample without {removed} of {n} pieces, and {kept} pieces alone.").format(
        removed=removed, kept=kept, n=seen.facts.count
    )
    figure.show(drawn, key="counter.sample", alt=alt)
    st.caption(_("Outlined: what is removed in the first two pictures, what is kept in the third."))


def places(seen: Seen[CounterExampleFacts], which: str) -> np.ndarray:
    """Bool [height, width] (of a sequence [feature, step]): where the chosen pieces are."""
    pieces = np.broadcast_to(seen.arrays[PIECES], seen.arrays[ORIGINAL].shape)
    chosen = seen.arrays[which][pieces]
    there: np.ndarray = chosen.any(0) if chosen.ndim == 3 else chosen.T
    return there


def _features(seen: Seen[CounterExampleFacts]) -> None:
    values = np.stack([seen.arrays[name].ravel() for name in (ORIGINAL, WITHOUT, ONLY)])
    features = [str(i) for i in range(values.shape[1])]
    drawn = figures.grouped(values, features, titles(seen), titles=(_("feature"), _("value (units of the data)")))
    removed = np.flatnonzero(seen.arrays[REMOVED]).tolist()
    alt = _("The features; {removed} removed, {kept} alone keep the answer.").format(
        removed=removed, kept=np.flatnonzero(seen.arrays[KEPT]).tolist()
    )
    figure.show(drawn, key="counter.sample", alt=alt)


def _tokens(seen: Seen[CounterExampleFacts]) -> None:
    """Three sentences: whole, with the removed words struck through, with all but the kept ones struck through."""
    removed, kept = seen.arrays[REMOVED], seen.arrays[KEPT]
    for title, gone in zip(titles(seen), (np.zeros_like(removed), removed, ~kept), strict=True):
        chips = [
            f"<span>{f'<del>{html.escape(word)}</del>' if out else html.escape(word)}</span>"
            for word, out in zip(seen.facts.tokens, gone, strict=True)
        ]
        st.html(f'<div class="ll-tokens"><b>{html.escape(title)}</b>{"".join(chips)}</div>')


def _answers(seen: Seen[CounterExampleFacts]) -> None:
    st.markdown("**" + _("What it answers") + "**")
    drawn = figures.probabilities(
        [plain_name(name) for name in seen.facts.classes],
        seen.arrays[PROBABILITIES],
        (_("whole"), _("without the removed"), _("only the kept")),
        titles=(_("class"), _("probability")),
    )
    figure.show(drawn, key="counter.answers", alt="; ".join(titles(seen)))


def _removals(seen: Seen[CounterExampleFacts]) -> None:
    st.markdown("**" + _("Piece after piece is removed") + "**")
    a, facts = seen.arrays, seen.facts
    name, random = facts.classes[facts.index], a[RANDOM]
    lines = [
        Line(_("the search"), np.arange(len(a[CURVE])), a[CURVE]),
        Line(_("random orders: mean, range"), np.arange(random.shape[1]), random.mean(0), random.min(0), random.max(0)),
    ]
    unit = {
        "squares": _("squares"),
        "regions": _("regions"),
        "tokens": _("tokens"),
        "steps": _("steps"),
        "features": _("features"),
    }
    drawn = figures.against(
        lines,
        titles=(
            _("removed {unit}").format(unit=unit.get(facts.unit, _("values"))),
            _("probability of “{name}”").format(name=plain_name(name)),
        ),
        log=False,
        marked=None,
        marked_name="",
    )
    last = len(a[CURVE]) - 1
    alt = _(
        "The probability of “{name}” while pieces are removed: {last} after {n} by the search, {random} on average "
        "after as many in a random order."
    ).format(
        name=name,
        last=f"{a[CURVE][-1]:.1%}",
        n=last,
        random=f"{random[:, last].mean():.1%}",
    )
    figure.show(drawn, key="counter.removals", alt=alt)
