"""The sanity check on a page: the trained network's map, the one with some layers randomised, how alike they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS
from core.catalog.views.sanity import (
    ABSOLUTE,
    BETWEEN,
    CORRELATION,
    DEPENDS,
    DEPTHS,
    FEW,
    GONE,
    INDEPENDENT,
    MAPS,
    NOISE,
    OF_INPUT,
    OF_RANDOM,
    SanityFacts,
)
from core.figures import attribution, sanity
from core.figures.literal import Markup
from core.spec.questions import Seen
from pages.explain import why_maps
from pages.kit import figure, location, look
from pages.kit.words import Markdown, _, fill, plain

SIDE = 250  # pixels of a map
HEIGHT = 390  # of the curve
BADGES = {  # verdict → colour and icon
    INDEPENDENT: ("red", ":material/block:"),
    DEPENDS: ("green", ":material/check:"),
    BETWEEN: ("orange", ":material/contrast:"),
    GONE: ("gray", ":material/help:"),
    FEW: ("gray", ":material/help:"),
    NOISE: ("gray", ":material/help:"),
}


def page(seen: Seen[SanityFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[SanityFacts]) -> None:
    """The verdict; below it what the slider moves, which asks nothing new."""
    words = {
        INDEPENDENT: _("does not depend on the model"),
        DEPENDS: _("depends on the model"),
        BETWEEN: _("depends on the model only in part"),
        GONE: _("the same everywhere"),
        FEW: _("too few values"),
        NOISE: _("no more than rounding"),
    }
    color, icon = BADGES[seen.facts.verdict]
    asked = _("**{method}** · why {explained}?")
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.markdown(fill(asked, method=_(seen.facts.method), explained=seen.facts.explained), width="content")
        st.badge(words[seen.facts.verdict], icon=icon, color=color)  # type: ignore[arg-type]
    st.fragment(_cascade)(seen)


def _cascade(seen: Seen[SanityFacts]) -> None:
    depths = [int(depth) for depth in seen.arrays[DEPTHS]]
    location.keep_choice("sanity.depth", depths, depths[-1])
    maps, curve = st.columns([0.56, 0.44], gap="small")
    with maps:
        depth = st.select_slider(
            _("layers randomised, from the top down"),
            depths,
            key="sanity.depth",
            persist_state="session",
            help=_(
                "0 is the trained network. Each step gives one more layer the weights of a network that has learned "
                "nothing, beginning at the answer."
            ),
        )
        left, right = st.columns(2, gap="small")
        with left, st.container(gap="xxsmall"):
            _map(seen, 0, "trained", _("trained network"))
        with right, st.container(gap="xxsmall"):
            _map(seen, depths.index(depth), "changed", _title(seen, depths.index(depth)))
        st.caption(_which(seen, depth))
    with curve:
        _curve(seen, depth)


def _title(seen: Seen[SanityFacts], at: int) -> str:
    if at == 0:
        return _("nothing randomised")
    value = float(seen.arrays[CORRELATION][at, 0])
    said = f"{value:.2f}" if np.isfinite(value) else _("not defined")
    return _("{n} randomised, seed 0: correlation {value}").format(n=int(seen.arrays[DEPTHS][at]), value=said)


def _which(seen: Seen[SanityFacts], depth: int) -> Markdown:
    """The layers on both sides of the cut, from the top down."""
    names = seen.facts.layers
    new, kept = (", ".join(part) or _("none") for part in (names[:depth], names[depth:]))
    said = _("Randomised: {new}. Still as trained: {kept}. Each map has its own scale; ranks are compared.")
    return plain(said.format(new=new, kept=kept))


def _map(seen: Seen[SanityFacts], at: int, name: str, title: str) -> None:
    values = seen.arrays[MAPS][at]
    size = attribution.largest(values)
    st.markdown(f":small[{plain(title)}]")
    if not np.isfinite(values).all():
        st.caption(_("With these weights the method gives no map."))
        return
    alt = _("Map of {method}, {title}: values up to {size} in size.").format(
        method=seen.facts.method, title=title, size=f"{size:.3g}"
    )
    figure.show(_drawn(seen, values), key=f"sanity.map.{name}", alt=alt)


def _drawn(seen: Seen[SanityFacts], values: np.ndarray) -> Any:
    """The map as its kind of data is drawn."""
    kind = seen.facts.kind
    scale = why_maps.scale(bool(seen.facts.signed) and seen.facts.ranked != ABSOLUTE)
    values = np.abs(values) if seen.facts.ranked == ABSOLUTE else values
    if kind == PICTURE:
        hover = _("row %{y}, column %{x}: %{z:.3g}")
        return attribution.picture(values, scale, hover=Markup(hover), side=SIDE)
    if kind == SEQUENCE:
        hover = _("step %{x}, feature %{y}: %{z:.3g}")
        return attribution.table(values, scale, titles=(_("step"), _("feature")), hover=Markup(hover), side=SIDE)
    return attribution.bars(values, _names(seen, len(values)), scale, hover=Markup("%{x}: %{y:.3g}"), side=SIDE)


def _names(seen: Seen[SanityFacts], count: int) -> list[str]:
    """Of the places: the tokens with their numbers, or the features."""
    if seen.facts.kind != TOKENS:
        return [_("feature {n}").format(n=n) for n in range(count)]
    words = seen.facts.vocabulary
    tokens = [int(token) for token in seen.facts.shown]
    return [f"{n} {words[token] if words and token else '·'}" for n, token in enumerate(tokens)]


def _curve(seen: Seen[SanityFacts], depth: int) -> None:
    found, names = seen.arrays, seen.facts.layers
    depths = [int(d) for d in found[DEPTHS]]
    added = [_("none"), *(f"+ {names[d - 1]}" for d in depths[1:])]
    shown = sanity.Cascade(depths, found[CORRELATION], added, found[OF_RANDOM], float(found[OF_INPUT]), depth)
    words = sanity.Words(
        x=_("layers randomised"),
        y=_("rank correlation with the trained map"),
        mean=_("mean over seeds"),
        band=_("range of the seeds"),
        random=_("random maps (± 2 σ)"),
        given=_("|input|"),
        hover=_("{mean} (seeds: {low} to {high})"),
    )
    mean, _low, _high = sanity.mean_and_range(found[CORRELATION])
    alt = _("Rank correlation with the trained network's map, from {first} to {last} with all layers randomised.")
    alt = alt.format(first=f"{mean[0]:.2f}", last=f"{mean[-1]:.2f}")
    figure.show(sanity.curve(shown, words, height=HEIGHT), key="sanity.curve", alt=alt, on_click=_clicked)


def _clicked(point: dict[str, Any]) -> None:
    """A clicked point of the curve is the depth that is looked at."""
    if isinstance(point.get("customdata"), int | float):
        st.session_state["sanity.depth"] = int(point["customdata"])


def table(seen: Seen[SanityFacts]) -> list[dict[str, Any]]:
    """One row a depth: the layer that is randomised besides, and how alike the map still is."""
    found, names = seen.arrays, seen.facts.layers
    mean, low, high = sanity.mean_and_range(found[CORRELATION])
    return [
        {
            _("layers randomised"): int(depth),
            _("the last of them"): names[depth - 1] if depth else "",
            _("mean correlation"): float(mean[at]),
            _("lowest"): float(low[at]),
            _("highest"): float(high[at]),
        }
        for at, depth in enumerate(found[DEPTHS].tolist())
    ]
