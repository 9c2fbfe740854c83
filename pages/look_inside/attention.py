"""The attention page's pictures: tokens with lines, patches over the picture, maps, one row, and the heads' worth."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.views.attention import (
    ABLATION,
    MASKED,
    QUERY,
    READ,
    REAL,
    REMOVAL,
    SCORES,
    SHOWN,
    VALUES,
    WEIGHTS,
    AttentionFacts,
    entropy_of,
    rollout_of,
    uniform_of,
)
from core.figures import attention as figures
from core.figures.literal import Markup, escaped
from core.spec.questions import Seen
from pages.kit import cards, figure, location, look
from pages.kit.samples import visible
from pages.kit.web_parts import web_part
from pages.kit.words import _, fill, plain

VIEW, KEY = "attention", "attention.lines"
PAGE = 64  # tokens whose lines are drawn at a time
STAGE = 330  # pixels
MOST_LAYERS = 8  # whose rollout is shown: the last

_mount = web_part("attention", STAGE + 70)


def page(seen: Seen[AttentionFacts]) -> None:
    """The stage of the page."""
    draw(seen, choice(seen))
    look.below(seen, table=table(seen))


def kinds(seen: Seen[AttentionFacts]) -> dict[str, str]:
    """The pictures that this sample can be shown in, by key."""
    over = {"picture": _("over the picture")} if seen.facts.grid[0] else {}
    lines = {} if over else {"lines": _("token to token")}
    return {
        **over,
        **lines,
        "maps": _("all heads"),
        "row": _("one row, step by step"),
        "rollout": _("all layers"),
        "worth": _("worth of heads"),
    }


def choice(seen: Seen[AttentionFacts]) -> str:
    """Which picture."""
    names = kinds(seen)
    location.keep_choice("attention.kind", list(names))
    return str(
        st.segmented_control(
            _("picture"),
            list(names),
            format_func=lambda k: plain(names[k]),
            key="attention.kind",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )
    )


def draw(seen: Seen[AttentionFacts], kind: str) -> None:
    """The chosen picture."""
    {"lines": lines, "picture": picture, "maps": maps, "row": row, "rollout": rollout, "worth": worth}[kind](seen)


def weights(seen: Seen[AttentionFacts]) -> np.ndarray:
    """[head, query, key] of the chosen layer as the options show them."""
    return seen.arrays.get(SHOWN, seen.arrays[seen.layer])


def real(seen: Seen[AttentionFacts]) -> np.ndarray:
    """The places that are no padding."""
    return np.flatnonzero(seen.arrays[REAL])


def window(seen: Seen[AttentionFacts]) -> np.ndarray:
    """The real places that are drawn: all, or the page that the query stands on."""
    places = real(seen)
    if len(places) <= PAGE:
        return places
    at = int(np.searchsorted(places, seen.facts.query))
    start = min(at // PAGE * PAGE, len(places) - 1)
    shown = places[start : start + PAGE]
    said = _(
        "Tokens {first} to {last} of {all} are drawn; the page follows the query token. Weights on other tokens "
        "are left out here, but not in the arrays."
    )
    st.caption(fill(said, first=shown[0], last=shown[-1], all=len(places)))
    return shown


def names(seen: Seen[AttentionFacts], places: np.ndarray) -> list[str]:
    """The tokens at these places; steps by their number alone."""
    return [visible(str(seen.facts.tokens[i])).removeprefix("step ") for i in places]


def head_names(seen: Seen[AttentionFacts]) -> list[str]:
    """head 0, head 1, …"""
    return [_("head {n}").format(n=i) for i in range(seen.facts.heads)]


def titles(seen: Seen[AttentionFacts]) -> list[str]:
    """The same, the chosen one bold."""
    bold = seen.facts.head
    return [Markup(f"<b>{escaped(name)}</b>") if i == bold else name for i, name in enumerate(head_names(seen))]


# ── who reads whom ───────────────────────────────────────────────────────────────────────────────────────────────────


def lines(seen: Seen[AttentionFacts]) -> None:
    """Tokens twice, with lines."""
    places = window(seen)
    part = np.ix_(np.arange(seen.facts.heads), places, places)
    share = np.where(seen.arrays[READ][np.ix_(places, places)], np.rint(weights(seen)[part] * 1000), -1).astype(int)
    colors = cards.colors() or ["#0072b2"]
    hidden = int((seen.arrays[REAL] == 0).sum())
    at = np.flatnonzero(places == seen.facts.query)
    _mount(
        key=KEY,
        data={
            "tokens": names(seen, places),
            "said": [spoken(seen, int(i)) for i in places],
            "numbers": places.tolist(),
            "query": int(at[0]) if len(at) else -1,
            "head": seen.facts.head,
            "heads": [
                {"name": name, "color": colors[i % len(colors)], "weights": share[i].tolist()}
                for i, name in enumerate(head_names(seen))
            ],
            "padding": _("{n} × padding").format(n=hidden) if hidden else "",
            "stage": STAGE,
            "words": _words(len(places) < len(real(seen))),
        },
        on_query_change=partial(_set, "query"),
        on_head_change=partial(_set, "head"),
    )


def _words(paged: bool) -> dict[str, str]:
    said = {
        "line": _("{reader} reads most of {read}: {weight}. Point at a token, or press it to keep it."),
        "mean": _(
            "{reader} reads most of {read}: {weight} in the mean of the heads. Point at a token, or press it to "
            "keep it."
        ),
    }
    if paged:
        said = {
            "line": _("Of the tokens drawn here {reader} reads most of {read}: {weight}."),
            "mean": _("Of the tokens drawn here {reader} reads most of {read}: {weight} in the mean of the heads."),
        }
    return said | {
        "all": _("all heads"),
        "heads": _("Heads whose lines are drawn"),
        "readers": _("Tokens that read"),
        "padding": _("Padding is masked: no token reads it."),
        "masked": _("masked: may not be read"),
    }


def _set(name: str) -> None:
    value = st.session_state[KEY].get(name)
    if value is not None:
        look.choose(VIEW, **{name: int(value)})


def picture(seen: Seen[AttentionFacts]) -> None:
    """Each head's weights over the picture."""
    first, (rows, columns) = seen.facts.classes, seen.facts.grid
    query = seen.facts.query
    own = weights(seen)[:, query]
    shown = own[:, first:].reshape(-1, rows, columns)
    over = titles(seen)
    if first:
        over = [
            _("{head} · class token {share:.2f}").format(head=h, share=w) for h, w in zip(over, own[:, 0], strict=True)
        ]
    fig = figures.on_picture(
        seen.facts.shown,
        shown,
        titles=over,
        bar_title=_("weight"),
        first=first,
        query=query,
        patch=patch_name(seen),
    )
    who = reader(seen)
    said = _("What **{who}** reads, head by head. Press a patch to see what it reads.")
    if columns == 1:
        said = _("What **{who}** of the picture reads, head by head. Press a row to see what it reads.")
    st.markdown(fill(said, who=who))
    alt = _("The picture, once for each of {n} heads, with the weights of {who} laid over it.")
    figure.show(fig, key="attention.picture", alt=alt.format(n=len(own), who=who), on_click=_patch)
    if first and query >= first:
        st.button(
            _("Back to the class token"),
            icon=":material/undo:",
            type="tertiary",
            key="attention.class",
            on_click=lambda: look.choose(VIEW, query=0),
        )


def reader(seen: Seen[AttentionFacts]) -> str:
    """The query, in words."""
    return spoken(seen, seen.facts.query)


def spoken(seen: Seen[AttentionFacts], place: int) -> str:
    """A token, in words."""
    name = visible(str(seen.facts.tokens[place]))
    if place < seen.facts.classes:
        return _("the class token")
    return name if seen.facts.grid[0] or name.startswith("step ") else f"“{name}”"


def patch_name(seen: Seen[AttentionFacts]) -> str:
    """What a patch is called under the pointer."""
    return _("row {row}, column {column}") if seen.facts.grid[1] > 1 else _("row {row}")


def _patch(point: dict[str, Any]) -> None:
    if isinstance(point["customdata"], int | float):
        look.choose(VIEW, query=int(point["customdata"]))


def maps(seen: Seen[AttentionFacts]) -> None:
    """Every head's whole map."""
    places = real(seen)
    square = np.ix_(np.arange(seen.facts.heads), places, places)
    shown = figures.masked_out(weights(seen)[square], seen.arrays[READ][np.ix_(places, places)])
    axes = _("key: is read"), _("query: reads"), _("weight")
    size = _maps(
        seen,
        shown,
        places,
        titles(seen),
        "attention.maps",
        axes,
        _("For each head a map: rows are the tokens that read, columns those that are read."),
    )
    if np.isnan(shown).any():
        said = _(
            "Empty: masked, may not be read. Tokens that may read fewer than {n} others have large weights "
            "whatever they do; the colours do not reach up to theirs."
        )
        st.caption(fill(said, n=figures.FEW * size))


def rollout(seen: Seen[AttentionFacts]) -> None:
    """All layers together."""
    st.markdown(
        _(
            "**Attention rollout**: in each layer the mean of the heads, plus each token's own self (the shortcut), "
            "brought back to a sum of 1; the layers multiplied. It says from where information could have come, not "
            "whether it was used. What a token has kept of itself is left out "
            "of the colours; empty: nothing can have come from there."
        )
    )
    found = {name: seen.arrays[rollout_of(name)] for name in seen.facts.layers if rollout_of(name) in seen.arrays}
    layers = [name for name, one in found.items() if one.shape == found[seen.layer].shape][-MOST_LAYERS:]
    own = np.stack([found[name] for name in layers])
    query, places = seen.facts.query, real(seen)
    over = [
        _("after {layer} · itself {share:.2f}").format(layer=name, share=one[query, query])
        for name, one in zip(layers, own, strict=True)
    ]
    itself = np.eye(own.shape[1], dtype=bool)  # it would outshine all others
    own = np.where(itself | (own == 0), np.nan, own)
    if seen.facts.grid[0]:
        first, (rows, columns) = seen.facts.classes, seen.facts.grid
        fig = figures.on_picture(
            seen.facts.shown,
            own[:, query, first:].reshape(-1, rows, columns),
            titles=over,
            bar_title=_("share"),
            first=first,
            query=query,
            patch=patch_name(seen),
        )
        alt = _("Attention rollout of {who}, laid over the picture, after each layer.").format(who=reader(seen))
        figure.show(fig, key="attention.rollout", on_click=_patch, alt=alt)
        return
    axes = _("token at the beginning"), _("token after the layer"), _("share")
    _maps(
        seen,
        own[np.ix_(np.arange(len(own)), places, places)],
        places,
        over,
        "attention.rollout",
        axes,
        _("Attention rollout after each layer: rows are its tokens, columns those at the beginning."),
    )


def _maps(
    seen: Seen[AttentionFacts],
    shown: np.ndarray,
    places: np.ndarray,
    over: list[str],
    key: str,
    axes: tuple[str, str, str],
    alt: str,
) -> int:
    """Maps [map, query, key]; axes: the titles of key, query and value. Gives how many tokens one block holds."""
    blocks, labels, size = figures.in_blocks(shown, names(seen, places))
    at = int(np.searchsorted(places, seen.facts.query)) // size
    fig = figures.heads(blocks, labels, titles=over, x_title=axes[0], y_title=axes[1], bar_title=axes[2], query=at)
    if size > 1:
        said = _(
            "{n} tokens are shown in blocks of {size}: a block's weight is the sum over its keys, the mean over "
            "its queries. The arrays to download are whole."
        )
        st.caption(fill(said, n=len(places), size=size))

    def clicked(point: dict[str, Any]) -> None:
        look.choose(VIEW, query=int(places[min(len(places) - 1, int(str(point["y"]).split(" ")[0]) * size)]))

    figure.show(fig, key=key, alt=alt, on_click=clicked)
    return size


# ── arithmetic and worth ─────────────────────────────────────────────────────────────────────────────────────────────


def row(seen: Seen[AttentionFacts]) -> None:
    """One query of one head, step by step."""
    features = len(seen.arrays[QUERY])
    said = _(
        "Head {head}, **{who}**: query · key / √{d} gives a **score** for each token; masked ones are left out (×); "
        "the softmax turns scores into **weights** that sum to 1; each token's **value** times its weight, all "
        "added, is what the head says."
    )
    st.markdown(fill(said, head=seen.facts.head, who=reader(seen), d=features))
    places = window(seen)
    part = {name: seen.arrays[name][places] for name in (MASKED, WEIGHTS, VALUES, SCORES)}
    why = [_("masked: later") if seen.facts.why_masked[i] == "later" else _("masked: padding") for i in places]
    one = figures.Row(names(seen, places), part["scores"], part["masked"], part["weights"], part["values"], why)
    fig = figures.row(
        one,
        x_title=_("key: is read"),
        score_title=_("score"),
        weight_title=_("weight"),
        feature_title=_("feature"),
        value_title=_("weight × value"),
        result_title=_("sum"),
    )
    figure.show(
        fig, key="attention.row", alt=_("Scores, weights and weighted values of each key, one above the other.")
    )


def worth(seen: Seen[AttentionFacts]) -> None:
    """Entropy of every head, and the loss without it."""
    layers = seen.facts.layers
    most = max(len(seen.arrays[entropy_of(name)]) for name in layers)
    spread = np.full((len(layers), most), np.nan)
    for i, name in enumerate(layers):
        spread[i, : len(seen.arrays[entropy_of(name)])] = seen.arrays[entropy_of(name)]
    even = float(seen.arrays[uniform_of(seen.layer)][0])
    unit = seen.facts.unit or _("squared units")
    fig = figures.measured(
        layers,
        spread,
        seen.arrays.get(ABLATION),
        x_title=_("head"),
        entropy_title=_("entropy of its weights (nats; even: {even:.2f})").format(even=even),
        rise_title=_("rise of the test loss without it ({unit})").format(unit=unit),
    )
    figure.show(
        fig,
        key="attention.worth",
        on_click=_head,
        alt=_("For every head of every layer its entropy and, once measured, the rise of the test loss without it."),
    )
    if ABLATION not in seen.arrays:
        st.button(
            _("Measure what each head is worth"),
            icon=":material/straighten:",
            key="attention.measure",
            on_click=lambda: look.choose(VIEW, ablation=True),
        )
        st.caption(_("Silences one head after the other and runs up to 512 test samples each time."))
    else:
        said = _("Loss with all heads: {loss:.3g} {unit} on {n} test samples. Press a head to look at it.")
        st.caption(fill(said, loss=seen.facts.loss, unit=unit, n=seen.facts.ablation_samples))


def _head(point: dict[str, Any]) -> None:
    if point["customdata"]:
        layer, head = point["customdata"]
        location.look_at(layer=str(layer))
        look.choose(VIEW, head=int(head))


def table(seen: Seen[AttentionFacts]) -> list[dict[str, Any]]:
    """The arithmetic of the row, one line a key."""
    a, effect = seen.arrays, seen.arrays.get(REMOVAL)
    why = {"": "", "later": _("later"), "padding": _("padding")}
    lines_ = []
    for i, name in enumerate(seen.facts.tokens):
        line = {
            _("token"): i,
            _("key"): visible(str(name)),
            _("score"): float(a[SCORES][i]),
            _("masked"): why[seen.facts.why_masked[i]],
            _("weight"): float(a[WEIGHTS][i]),
        }
        if effect is not None:
            line[_("answer falls without it by")] = float(effect[i]) if np.isfinite(effect[i]) else None
        lines_.append(line)
    return lines_
