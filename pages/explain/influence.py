"""The page of the influence: the training samples that helped and harmed most, when they did, and all the others."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import CLASSES, NUMBER, PICTURE, SEQUENCE
from core.catalog.views.influence import (
    BY_MOMENT,
    INDEX,
    MOMENTS,
    SAME_LABEL,
    SCORES,
    InfluenceFacts,
    as_seen,
    places_of,
)
from core.figures import influence
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.cards import colors
from pages.kit.samples import png, sparkline, visible
from pages.kit.words import _, plain

SIDE = 72  # pixels of a picture
WORDS = 28  # tokens of a row that are written out
RED = "#d6453d"


def page(seen: Seen[InfluenceFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[InfluenceFacts]) -> None:
    """The galleries; then when, and how much of it there is."""
    for group in seen.facts.groups:
        st.markdown(f"**{plain(title(group, seen))}**")
        _gallery(seen, group)
    if BY_MOMENT not in seen.arrays:
        _spread(seen)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _when(seen)
    with right:
        _spread(seen)


def title(group: str, seen: Seen[InfluenceFacts]) -> str:
    """What the samples of a group have in common."""
    label = visible(seen.facts.label)
    said = {
        "helpful": _("Learning these has lowered the loss of this sample (“{label}”) most"),
        "harmful": _("Learning these has raised it most"),
        "alike": _("The most alike training samples that are “{label}”")
        if seen.facts.task == CLASSES
        else _("The most alike training samples"),
        "others": _("The most alike training samples that are something else"),
        "suspects": _("These pull on their own answer most: look whether their labels are right"),
    }[group]
    return said.format(label=label[:40])


def table(seen: Seen[InfluenceFacts]) -> list[dict[str, Any]]:
    """One row a shown sample."""
    rows = []
    for group in seen.facts.groups:
        for k, place in enumerate(seen.arrays[places_of(group)].astype(int)):
            label, truth = seen.facts.labels[group][k], seen.facts.truths[group][k]
            rows.append(
                {
                    _("group"): _group(group),
                    _("training sample"): int(seen.arrays[INDEX][place]),
                    _("label"): visible(label),
                    _("true label"): visible(truth),
                    _measure(seen): f"{seen.arrays[SCORES][place]:.4g}",
                }
            )
    return rows


def _group(group: str) -> str:
    return {
        "helpful": _("helpful"),
        "harmful": _("harmful"),
        "alike": _("alike"),
        "others": _("alike, another label"),
        "suspects": _("suspect"),
    }[group]


def _measure(seen: Seen[InfluenceFacts]) -> str:
    if seen.facts.measure == "similarity":
        return _("cosine (1 = same direction)")
    if seen.facts.measure == "suspects":
        return _("influence on itself (loss)") if seen.facts.task == NUMBER else _("influence on itself (nats)")
    return _("influence (loss)") if seen.facts.task == NUMBER else _("influence (nats)")


# ── the samples ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _gallery(seen: Seen[InfluenceFacts], group: str) -> None:
    places = seen.arrays[places_of(group)].astype(int)
    if not len(places):
        st.caption(_("There is none."))
        return
    kind = seen.facts.kind
    rows = {PICTURE: "", SEQUENCE: "ll-sample-curves"}.get(kind, "ll-sample-rows")
    inside = [_tile(seen, group, k, place) for k, place in enumerate(places)]
    st.html(f'<div class="ll-samples {rows}">{"".join(inside)}</div>')


def _tile(seen: Seen[InfluenceFacts], group: str, k: int, place: int) -> str:
    shown, score = seen.arrays[as_seen(group)][k], float(seen.arrays[SCORES][place])
    number = int(seen.arrays[INDEX][place])
    label, truth = (visible(names[group][k]) for names in (seen.facts.labels, seen.facts.truths))
    hover = _("training sample {n}: {label}, {measure} {score}").format(
        n=number, label=label, measure=_measure(seen), score=f"{score:.3g}"
    )
    named = html.escape(label[:24])
    if label != truth:
        said = _("{label}, truly {truth}").format(label=label[:24], truth=truth[:24])
        hover += f"; {said}"
        named = f'<span style="color:{RED};background:none;padding:0">{html.escape(said)}</span>'
    signed = f"{score:.2f}" if seen.facts.measure == "similarity" else f"{score:+.2g}".replace("-", "−")
    if seen.facts.kind in (PICTURE, SEQUENCE):
        size = f'width="{SIDE}" height="{SIDE}"' if seen.facts.kind == PICTURE else 'width="180" height="54"'
        source = png(shown) if seen.facts.kind == PICTURE else sparkline(shown, colors())
        alt = html.escape(hover)
        picture = f'<img src="{source}" alt="{alt}" title="{alt}" {size}>'
        return f"<figure>{picture}<figcaption>{named}<br>{signed}</figcaption></figure>"
    return f'<p title="{html.escape(hover)}">{_written(seen, shown)}<b>{named} · {signed}</b></p>'


def _written(seen: Seen[InfluenceFacts], shown: np.ndarray) -> str:
    """A row of tokens, or a place."""
    words = seen.facts.vocabulary
    if not words:
        return "<code>" + html.escape(", ".join(f"{value:.2f}" for value in np.ravel(shown)[:8])) + "</code>"
    real = [visible(words[int(token)]) for token in shown if int(token)]
    more = "…" if len(real) > WORDS else ""
    return "".join(f"<span>{html.escape(word)}</span>" for word in real[:WORDS]) + more


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _when(seen: Seen[InfluenceFacts]) -> None:
    st.markdown(f"**{plain(_('When they did'))}**")
    a, steps = seen.arrays, seen.arrays[MOMENTS].astype(int).tolist()
    sums = {_group(g): a[BY_MOMENT][:, a[places_of(g)].astype(int)].sum(1) for g in seen.facts.groups}
    picture = influence.when(steps, sums, titles=(_("kept moment (step)"), _measure(seen)))
    said = [f"{name} " + ", ".join(f"{v:.2g}" for v in values) for name, values in sums.items()]
    alt = _("Influence of the shown samples at steps {steps}: {all}.")
    figure.show(
        picture, key=f"influence.when{len(sums)}", alt=alt.format(steps=", ".join(map(str, steps)), all="; ".join(said))
    )


def _spread(seen: Seen[InfluenceFacts]) -> None:
    count = f"{len(seen.arrays[SCORES]):,}"
    st.markdown(f"**{plain(_('All {n} training samples that were asked').format(n=count))}**")
    same = seen.arrays[SAME_LABEL].astype(bool)
    kinds = {_("training samples"): np.ones(len(same), bool)}
    if seen.facts.task == CLASSES and seen.facts.measure != "suspects":
        kinds = {_("labelled “{label}”").format(label=visible(seen.facts.label)): same, _("another label"): ~same}
    picture = influence.spread(seen.arrays[SCORES], kinds, titles=(_measure(seen), _("training samples")))
    low, high = (f"{end:.3g}" for end in (seen.arrays[SCORES].min(), seen.arrays[SCORES].max()))
    alt = _("Histogram of {n} training samples, from {low} to {high}.")
    figure.show(picture, key=f"influence.spread{len(kinds)}", alt=alt.format(n=count, low=low, high=high))
