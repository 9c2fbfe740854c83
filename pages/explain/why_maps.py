"""One method's map as people can read it: over a picture, along a curve, as bars, or as coloured words."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS
from core.figures import attribution as figures
from core.figures.attribution import Scale
from core.figures.literal import Markup
from core.spec.facts import AboutSample
from core.spec.questions import Explained
from pages.kit import figure
from pages.kit.samples import png, visible
from pages.kit.words import _

WORDS_HIGH = 88  # pixels of a block of words


def dark() -> bool:
    """Is the dark theme shown?"""
    return bool(st.context.theme.type == "dark")


def scale(signed: bool) -> Scale:
    """The scale of all maps of a kind, in the theme's colours."""
    kind = "Diverging" if signed else "Sequential"
    theme = "dark" if dark() else "light"
    return Scale(signed, tuple(st.get_option(f"theme.{theme}.chart{kind}Colors") or ()))


def height(kind: str) -> int:
    """Pixels of a map."""
    return WORDS_HIGH if kind == TOKENS else figures.SIDE


def instead(words: str, kind: str) -> None:
    """What is said where a map would be; with no words, that one is on its way."""
    style = f"height:{height(kind)}px"
    st.html(f'<div class="{"ll-why-text" if words else "ll-why-waits"}" style="{style}">{html.escape(words)}</div>')


def draw(found: Explained, title: str, *, over: bool) -> None:
    """The map of one method; `over`: drawn over the picture, where there is one."""
    made = drawn(found, title, over=over)
    if isinstance(made, str):
        st.html(made)
    else:
        figure.show(made, key=f"why.map.{found.method}", alt=alt(found, title))


def drawn(found: Explained, title: str, *, over: bool) -> str | go.Figure:
    """The map as a figure, or of tokens as HTML."""
    values, facts = found.attribution, about(found)
    if facts.kind == TOKENS and values.ndim == 1:
        return _words(values, facts, scale(found.signed), alt(found, title))
    return _figure(values, facts, scale(found.signed), over)


def about(found: Explained) -> AboutSample:
    """The sample that a map is of."""
    assert found.about is not None  # pages ask of runs
    return found.about


def given(facts: AboutSample, name: str) -> None:
    """The input as people see it, of the size of a map; `name` says what it is."""
    shown, kind = facts.shown, facts.kind
    if kind == PICTURE:
        side = f'width="{figures.SIDE}" height="{figures.SIDE}"'
        st.html(f'<img class="ll-sample" src="{png(shown)}" alt="{html.escape(name)}" {side}>')
    elif kind == SEQUENCE:
        figure.show(
            figures.series(
                None,
                shown[:, : figures.CURVES],
                scale(True),
                x_title=_("step"),
                y_title=_("feature {n}"),
                hover=Markup(_("step") + " %{x}: %{y:.3~g}"),
            ),
            key="why.given",
            alt=name,
        )
    elif kind == TOKENS:
        _real, words = tokens(facts)
        st.html(_block("".join(f"<span>{html.escape(word)}</span>" for word in words), words, name))
    else:
        lines = "".join(f"<p>{html.escape(axis)} = <b>{value:.4g}</b></p>" for axis, value in _numbers(facts))
        st.html(f'<div class="ll-why-text" style="height:{figures.SIDE}px">{lines}</div>')


def _figure(values: np.ndarray, facts: AboutSample, scale: Scale, over: bool) -> go.Figure:
    shown, kind = facts.shown, facts.kind
    value = _("contribution") if scale.signed else _("size")
    if kind == PICTURE and values.ndim == 3:
        under = png(figures.faint(shown, dark())) if over else ""
        hover = f"{_('row')} %{{y}}, {_('column')} %{{x}}<br>{value} %{{z:.3~g}}"
        return figures.picture(values, scale, hover=Markup(hover), under=under)
    if kind == SEQUENCE and values.shape == shown.shape and shown.shape[1] <= figures.CURVES:
        hover = f"{_('step')} %{{x}}: %{{y:.3~g}}<br>{value} %{{customdata:.3~g}}"
        return figures.series(values, shown, scale, x_title=_("step"), y_title=_("feature {n}"), hover=Markup(hover))
    if values.ndim == 2:
        hover = f"{_('step')} %{{x}}, {_('feature')} %{{y}}<br>{value} %{{z:.3~g}}"
        return figures.table(values, scale, titles=(_("step"), _("feature")), hover=Markup(hover))
    flat = values.reshape(-1)
    known = _numbers(facts) if flat.size == np.size(shown) else []
    names = [name for name, _number in known] or [str(i) for i in range(flat.size)]
    return figures.bars(flat, names, scale, hover=Markup(f"%{{x}}<br>{value} %{{y:.3~g}}"))


def _numbers(facts: AboutSample) -> list[tuple[str, float]]:
    """The features of a vector with their names."""
    values = np.ravel(facts.shown).tolist()
    names = ("x", "y") if len(values) == 2 else tuple(map(str, range(len(values))))
    return list(zip(names, values, strict=True))


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tokens(facts: AboutSample) -> tuple[np.ndarray, list[str]]:
    """The places of the tokens that are no padding, and what they are."""
    ids, vocabulary = np.asarray(facts.shown), facts.vocabulary
    real = np.flatnonzero(ids)
    names = [vocabulary[i] if i < len(vocabulary) else str(i) for i in ids[real].tolist()]
    return real, [visible(name) for name in names]


def _words(values: np.ndarray, facts: AboutSample, scale: Scale, said: str) -> str:
    """Words on their colours; the value is said on hover and where the keyboard stands."""
    real, words = tokens(facts)
    parts = []
    for word, value, tint in zip(words, values[real], figures.tints(values, scale), strict=False):
        told = html.escape(f"{word}: {value:+.3g}" if scale.signed else f"{word}: {value:.3g}")
        parts.append(
            f'<span tabindex="0" style="background:{tint.ground};color:{tint.ink}" title="{told}" aria-label="{told}"'
            f' data-value="{value:+.3g}">{html.escape(word)}</span>'
        )
    return _block("".join(parts), words, said)


def _block(inside: str, words: list[str], said: str) -> str:
    kind = "ll-why-letters" if all(len(word) <= 1 for word in words) else "ll-why-words"
    style = f'style="height:{WORDS_HIGH}px" role="group" aria-label="{html.escape(said)}"'
    return f'<div class="{kind}" {style}>{inside}</div>'


# ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def alt(found: Explained, title: str) -> str:
    """A map in a sentence."""
    values = figures.flat(found.attribution) if about(found).kind == PICTURE else found.attribution
    if not values.size or not np.ptp(values):
        return _("{method}: the same everywhere.").format(method=title)
    places = figures.extremes(values)
    words = _("{method}, why {target}: the largest value is {high} at {there}, the smallest {low} at {here}.")
    return words.format(
        method=title,
        target=found.target,
        high=f"{values[places[0]]:.3g}",
        there=_place(places[0], about(found)),
        low=f"{values[places[1]]:.3g}",
        here=_place(places[1], about(found)),
    )


def _place(at: tuple[int, ...], facts: AboutSample) -> str:
    if facts.kind == PICTURE and len(at) == 2:
        return _("row {row}, column {column}").format(row=at[0], column=at[1])
    if facts.kind == TOKENS:
        real, words = tokens(facts)
        return next((f"“{word}”" for i, word in zip(real, words, strict=True) if i == at[0]), _("padding"))
    if len(at) == 2:
        return _("step {step}, feature {feature}").format(step=at[0], feature=at[1])
    return _numbers(facts)[at[0]][0] if at and at[0] < np.size(facts.shown) else str(at)


def legend(number: bool) -> str:
    """The two scales as strips, in HTML. number: a number is explained, not a class."""
    strips = []
    ends = (_("lowers it"), _("raises it")) if number else (_("against"), _("for"))
    for signed, low, high in ((True, *ends), (False, _("none"), _("strong"))):
        colors = ",".join(scale(signed).stops())
        strip = f'<i style="background:linear-gradient(to right,{colors})"></i>'
        strips.append(f"<span>{html.escape(low)} {strip} {html.escape(high)}</span>")
    words = _("Each map ÷ its own largest value: units differ. Values on hover.")
    return f'<div class="ll-why-legend">{"".join(strips)}<small>{html.escape(words)}</small></div>'
