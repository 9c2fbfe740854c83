"""An attack on a page: the sample, the change and what comes of it; the answers; and how the attribution moves."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS
from core.catalog.views.attack import (
    ATTACKED,
    CHANGE,
    CURVE,
    CURVE_OTHER,
    MAP_AFTER,
    MAP_BEFORE,
    ORIGINAL,
    PROBABILITIES,
    RANDOM,
    RANDOM_SIZES,
    SIZES,
    AttackFacts,
)
from core.figures import attack as figures
from core.figures.attack import Line, Panel
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.words import _, plain

HALF = 127  # grey levels from the middle of a screen to its end: what a change would have to be to look as drawn


def page(seen: Seen[AttackFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(rest(seen), table=table(seen))


def draw(seen: Seen[AttackFacts]) -> None:
    """The main sentence, then everything that is shown."""
    st.markdown(plain(_(seen.words[0])))
    kind = seen.facts.kind
    (_tokens if kind == TOKENS else _pictures if kind in (PICTURE, SEQUENCE) else _features)(seen)
    left, right = st.columns(2, gap="small")
    with left:
        _answers(seen)
    with right:
        _sizes(seen)
    _maps(seen)


def rest(seen: Seen[AttackFacts]) -> Seen[AttackFacts]:
    """With the sentences that are not said above."""
    return replace(seen, words=seen.words[1:])


def table(seen: Seen[AttackFacts]) -> list[dict[str, Any]]:
    """One row a class."""
    before, after = seen.arrays[PROBABILITIES].tolist()
    return [
        {_("class"): name, _("before"): a, _("after"): b, _("after − before"): b - a}
        for name, a, b in zip(seen.facts.classes, before, after, strict=True)
    ]


def names(seen: Seen[AttackFacts]) -> tuple[str, str]:
    """The original class and the one that is aimed at or reached."""
    return seen.facts.classes[seen.facts.index], seen.facts.classes[seen.facts.other]


# ── the sample ───────────────────────────────────────────────────────────────────────────────────────────────────────


def pixels(values: np.ndarray) -> np.ndarray:
    """[channel, H, W] grey levels → uint8 [H, W] or [H, W, 3]."""
    levels = np.rint(values).clip(0, 255).astype(np.uint8)
    return levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)


def flat(values: np.ndarray) -> np.ndarray:
    """Signed values of a picture [channel, H, W], their mean over the channels, or of a sequence [step, feature]."""
    return values.mean(0) if values.ndim == 3 else values.T


def _pictures(seen: Seen[AttackFacts]) -> None:
    arrays, picture = seen.arrays, seen.facts.kind == PICTURE
    first, last = (
        _("{title}: “{name}”, {share}").format(
            title=title, name=seen.facts.classes[int(row.argmax())], share=f"{row.max():.1%}"
        )
        for title, row in zip((_("original"), _("attacked")), arrays[PROBABILITIES], strict=True)
    )
    most = float(np.abs(arrays[CHANGE]).max())
    change = _("change")
    if picture and most:
        change = _("change, {times} times as strong").format(times=f"{max(1.0, HALF / most):.0f}")
    show = pixels if picture else flat
    panels = [
        Panel(first, show(arrays[ORIGINAL]), not picture),
        Panel(change, flat(arrays[CHANGE]), True),
        Panel(last, show(arrays[ATTACKED]), not picture),
    ]
    unit = _("grey levels of 255") if picture else _("units of the data")
    alt = _("The original, the change of at most {most} {unit}, and the attacked sample.").format(
        most=f"{most:.3g}", unit=unit
    )
    figure.show(figures.beside(panels, scale_title=unit), key="attack.sample", alt=alt)
    if picture and len(arrays[CHANGE]) > 1:
        st.caption(_("The change is drawn as its mean over the colours."))


def _features(seen: Seen[AttackFacts]) -> None:
    a = seen.arrays
    features = [str(i) for i in range(a[ORIGINAL].size)]
    values = np.stack([a[ORIGINAL].ravel(), a[ATTACKED].ravel()])
    picture = figures.grouped(
        values, features, (_("original"), _("attacked")), titles=(_("feature"), _("value (units of the data)"))
    )
    changes = "; ".join(f"{i}: {x:.3g} → {y:.3g}" for i, (x, y) in enumerate(values.T))
    figure.show(picture, key="attack.sample", alt=_("Features before and after: {all}.").format(all=changes))


def _tokens(seen: Seen[AttackFacts]) -> None:
    replaced = dict(zip(seen.facts.changed, seen.facts.names, strict=True))
    vocabulary = seen.facts.vocabulary
    chips = []
    for i, token in enumerate(seen.arrays[ORIGINAL].tolist()):
        if i in replaced:
            old, new = replaced[i]
            chips.append(f"<span><del>{html.escape(old)}</del> <ins>{html.escape(new)}</ins></span>")
        elif token:
            chips.append(f"<span>{html.escape(word(vocabulary, token))}</span>")
    st.html(f'<div class="ll-tokens">{"".join(chips)}</div>')


def word(vocabulary: Sequence[str], token: int) -> str:
    """A token as people write it."""
    return vocabulary[token] if token < len(vocabulary) else str(token)


# ── the answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _answers(seen: Seen[AttackFacts]) -> None:
    st.markdown("**" + _("What it answers") + "**")
    picture = figures.probabilities(
        [plain_name(name) for name in seen.facts.classes],
        seen.arrays[PROBABILITIES],
        (_("before"), _("after")),
        titles=(_("class"), _("probability")),
    )
    before, after = (row[seen.facts.index] for row in seen.arrays[PROBABILITIES])
    alt = _("Probabilities of the classes before and after. That of “{name}” goes from {before} to {after}.").format(
        name=names(seen)[0], before=f"{before:.1%}", after=f"{after:.1%}"
    )
    figure.show(picture, key="attack.answers", alt=alt)


def plain_name(name: str) -> str:
    """A class's name on an axis."""
    return name if len(name) <= 14 else f"{name[:13]}…"


def _sizes(seen: Seen[AttackFacts]) -> None:
    st.markdown("**" + _("The larger the change") + "**")
    a, facts = seen.arrays, seen.facts
    order = np.argsort(a[RANDOM_SIZES])
    sizes = np.concatenate([[0.0], a[RANDOM_SIZES][order]])
    random = np.concatenate([np.full((1, a[RANDOM].shape[1]), a[CURVE][0]), a[RANDOM][order]])
    first, other = names(seen)
    lines = [
        Line(_("“{name}”, attacked").format(name=first), a[SIZES], a[CURVE]),
        Line(_("“{name}”, attacked").format(name=other), a[SIZES], a[CURVE_OTHER]),
        Line(_("“{name}”, changed at random").format(name=first), sizes, random.mean(1), random.min(1), random.max(1)),
    ]
    tokens = facts.unit == "tokens"
    norm = "" if tokens else _("largest change, ") if facts.norm == "linf" else _("L2 norm, ")
    unit = {"tokens": _("replaced tokens"), "grey levels": _("grey levels of 255")}.get(facts.unit, _("data units"))
    picture = figures.against(
        lines,
        titles=(norm + unit, _("probability")),
        log=not tokens,
        marked=facts.size if facts.turned else None,
        marked_name=_("turned here"),
    )
    alt = _(
        "The probability of “{name}” falls from {first} to {last} as the attack may change more; after random "
        "changes it is {random} on average at the largest size."
    ).format(
        name=first,
        first=f"{a[CURVE][0]:.1%}",
        last=f"{a[CURVE][-1]:.1%}",
        random=f"{random[-1].mean():.1%}",
    )
    figure.show(picture, key="attack.sizes", alt=alt)


# ── the attribution ──────────────────────────────────────────────────────────────────────────────────────────────────


def _maps(seen: Seen[AttackFacts]) -> None:
    if MAP_BEFORE not in seen.arrays:
        return
    facts, kind = seen.facts, seen.facts.kind
    said = _("{method} for “{name}”, before and after").format(method=_(facts.method_title), name=names(seen)[0])
    st.markdown(f"**{plain(said)}**")
    before, after = seen.arrays[MAP_BEFORE], seen.arrays[MAP_AFTER]
    titles, scale = (_("before"), _("after")), _("attribution")
    if kind in (PICTURE, SEQUENCE):
        panels = [
            Panel(title, flat(values) if kind == SEQUENCE else values.sum(0), True)
            for title, values in zip(titles, (before, after), strict=True)
        ]
        picture = figures.beside(panels, scale_title=scale)
    elif kind == TOKENS:
        there = np.flatnonzero(seen.arrays[ORIGINAL])
        old, new = ([word(facts.vocabulary, int(seen.arrays[name][i])) for i in there] for name in (ORIGINAL, ATTACKED))
        shown = [a if a == b else f"{a}→{b}" for a, b in zip(old, new, strict=True)]
        picture = figures.rows(np.stack([before, after])[:, there], shown, titles, scale_title=scale)
    else:
        shown = [str(i) for i in range(before.size)]
        picture = figures.rows(np.stack([before.ravel(), after.ravel()]), shown, titles, scale_title=scale)
    rank = "" if facts.rank is None else _(" Their rank correlation is {rank}.").format(rank=f"{facts.rank:.2f}")
    figure.show(picture, key="attack.maps", alt=said + "." + rank)
