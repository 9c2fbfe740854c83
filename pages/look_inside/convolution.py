"""What the page on one cell of a convolution draws: where the window lies, the products under it, and their sum."""

from __future__ import annotations

import html
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.views.convolution import (
    BIAS,
    CHANNELS,
    COLUMNS,
    CONTRIBUTIONS,
    INPUT,
    KERNEL,
    ORDER,
    OUTPUT,
    PADDING,
    PATCH,
    PRODUCTS,
    RECEPTIVE_FIELD,
    ROWS,
    SUM,
    VALUE,
    ConvolutionFacts,
)
from core.figures import convolution as figures
from core.figures.scales import signed
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.words import Markdown, _, fill, plain

STYLE = Path(__file__).resolve().parents[2] / "assets" / "web" / "convolution.css"
MOVES = {  # name → (rows, columns, icon, keys)
    "left": (0, -1, ":material/arrow_back:", "Shift+Left"),
    "up": (-1, 0, ":material/arrow_upward:", "Shift+Up"),
    "down": (1, 0, ":material/arrow_downward:", "Shift+Down"),
    "right": (0, 1, ":material/arrow_forward:", "Shift+Right"),
}


# ── which convolution ────────────────────────────────────────────────────────────────────────────────────────────────

VIEW = "convolution"


def page(seen: Seen[ConvolutionFacts]) -> None:
    """The stage of the page."""
    choice(seen)
    pictures(seen)
    sum_line(seen)
    products(seen)
    formula(seen)
    look.below(seen, table=table(seen))


def choice(seen: Seen[ConvolutionFacts]) -> None:
    """Inside a block: which of its convolutions."""
    inner = seen.facts.inner
    if len(inner) < 2:
        return
    st.session_state["convolution.inner"] = seen.facts.chosen
    st.segmented_control(
        fill(_("convolution inside {layer}"), layer=seen.layer),
        inner,
        format_func=plain,
        key="convolution.inner",
        required=True,
        label_visibility="collapsed",
        on_change=lambda: look.choose(VIEW, inner=st.session_state["convolution.inner"]),
    )


# ── where the window lies ────────────────────────────────────────────────────────────────────────────────────────────


def pictures(seen: Seen[ConvolutionFacts]) -> None:
    """The network's input with the receptive field, what the convolution gets with the window, the map it makes."""
    arrays, facts = seen.arrays, seen.facts
    titles, value, name = (_("column"), _("row")), _("value"), plain(facts.chosen or seen.layer)
    window = figures.Window(arrays[ROWS], arrays[COLUMNS], facts.padding)
    places = iter(st.columns(2 if facts.reads_input else 3, gap="small"))
    with next(places):
        solid = _("**Input** · the window, which is all that the cell sees")
        _head(Markdown(solid if facts.reads_input else _("**Input** · dashed: its receptive field")))
        own = window if facts.reads_input else None
        figure.show(
            figures.sample(facts.shown, arrays[RECEPTIVE_FIELD], own, titles=titles),
            key=_key(seen, "sample"),
            alt=_alt_field(seen),
        )
    if not facts.reads_input:
        strongest = int(arrays[CHANNELS][arrays[ORDER][0]])
        with next(places):
            _head(fill(_("**{layer} gets** · its map {map}, with the window"), layer=name, map=strongest))
            figure.show(
                figures.given(arrays[INPUT][strongest], window, titles=titles, value=value),
                key=_key(seen, "given"),
                alt=_alt_window(seen, strongest),
            )
    with next(places):
        _head(fill(_("**{layer} makes** · map {map} · click a cell"), layer=name, map=facts.map))
        figure.show(
            figures.made(arrays[OUTPUT][facts.map], facts.row, facts.column, titles=titles, value=value),
            key=_key(seen, "made"),
            alt=_alt_made(seen),
            on_click=clicked,
        )


def _key(seen: Seen[ConvolutionFacts], name: str) -> str:
    """A figure of its own for each convolution: Plotly keeps squares square only while the axes keep their ends."""
    return f"convolution.{name}.{seen.facts.address}"


def clicked(point: dict[str, Any]) -> None:
    """A cell of the map it makes."""
    look.choose(VIEW, row=int(point["y"]), column=int(point["x"]))


def _arrows(seen: Seen[ConvolutionFacts]) -> None:
    words = {
        "left": _("Slide the window one cell to the left (Shift and ←)"),
        "up": _("Slide the window one cell up (Shift and ↑)"),
        "down": _("Slide the window one cell down (Shift and ↓)"),
        "right": _("Slide the window one cell to the right (Shift and →)"),
    }
    with st.container(horizontal=True, gap="xsmall", width="content", key="convolution_arrows"):
        for name, (rows, columns, icon, keys) in MOVES.items():
            st.button(
                "",
                icon=icon,
                key=f"convolution.{name}",
                help=words[name],
                shortcut=keys,
                on_click=partial(move, seen, rows, columns),
            )


def move(seen: Seen[ConvolutionFacts], rows: int, columns: int) -> None:
    """Slide the window; beyond an edge it comes in again at the other."""
    _maps, height, width = seen.arrays[OUTPUT].shape
    row, column = (seen.facts.row + rows) % height, (seen.facts.column + columns) % width
    look.choose(VIEW, row=row, column=column)


def _head(words: Markdown) -> None:
    st.markdown(f":small[{words}]")


# ── the arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────


def products(seen: Seen[ConvolutionFacts]) -> None:
    """Patch, kernel and products of the input maps that add the most, and what the others add."""
    arrays, facts = seen.arrays, seen.facts
    first = arrays[ORDER][: facts.listed]
    patch, kernel, product = (arrays[name][first] for name in (PATCH, KERNEL, PRODUCTS))
    shown = figures.Products(patch, kernel, product, arrays[PADDING])
    rest = len(arrays[ORDER]) - facts.listed
    words = _("**The products** · patch times kernel, place by place")
    if facts.padded:
        words += " · " + _("grey: padding")
    if rest:
        more = _("the {n} input maps that add the most; the other {rest} add {sum} together")
        words += " · " + fill(more, n=facts.listed, rest=rest, sum=number(facts.rest))
    _head(Markdown(words))
    heads = [
        _("map {map}: {sum}").format(map=int(arrays[CHANNELS][at]), sum=number(arrays[CONTRIBUTIONS][at]))
        for at in first
    ]
    parts = [_("patch x"), _("kernel w"), _("x · w")]
    figure.show(
        figures.arithmetic(shown, columns=heads, parts=parts, patch_ends=signed(arrays[INPUT]), padding=_("padding")),
        key=_key(seen, "products"),
        alt=_alt_products(seen),
    )


def sum_line(seen: Seen[ConvolutionFacts]) -> None:
    """Sum + bias = value → what follows, each number with its name under it."""
    arrays, facts = seen.arrays, seen.facts
    name = f"y[{facts.map}, {facts.row}, {facts.column}]"
    said = [_chip(number(arrays[SUM]), _("sum of all x · w"))]
    if facts.has_bias:
        said += [_sign("+"), _chip(number(arrays[BIAS]), _("bias b"))]
    said += [_sign("="), _chip(number(arrays[VALUE]), name, "lc-value")]
    for step in facts.after:
        how = f" (× {number(step.scale)} {added(step.shift)})" if step.scale is not None else ""
        said += [_sign("→"), _chip(number(step.value), _(step.kind) + how)]
    st.html(STYLE)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="lc-line">{"".join(said)}</div>', width="stretch")
        _arrows(seen)


def formula(seen: Seen[ConvolutionFacts]) -> None:
    """The same for every cell, with the layer's own stride, dilation and padding in it."""
    facts = seen.facts
    left, _right, top, _bottom = facts.padding
    rows = _place(Markdown("i"), Markdown("u"), facts.stride[0], facts.dilation[0], top)
    columns = _place(Markdown("j"), Markdown("v"), facts.stride[1], facts.dilation[1], left)
    bias = "b_m + " if facts.has_bias else ""
    words = _("cell (i, j) of map m: the sum over the input maps c and the kernel's rows u and columns v")
    symbols = Markdown(rf"$y_{{m,i,j}} = {bias}\sum_{{c,u,v}} x_{{c,\;{rows},\;{columns}}}\; w_{{m,c,u,v}}$")
    st.markdown(f"{symbols} · :small[{words}]")


def _place(cell: Markdown, kernel: Markdown, stride: int, dilation: int, padding: int) -> Markdown:
    """Where in the input: stride · cell + dilation · place − padding."""
    parts = [f"{factor if factor > 1 else ''}{name}" for factor, name in ((stride, cell), (dilation, kernel))]
    return Markdown("+".join(parts) + (f"-{padding}" if padding else ""))


def number(value: Any) -> str:
    """Four digits, with a real minus."""
    return f"{float(value):.4g}".replace("-", "−")


def added(value: float) -> str:
    """A number as it is added: + 0.5 or − 0.5."""
    return f"{'−' if value < 0 else '+'} {number(abs(value))}"


def _chip(value: str, name: str, more: str = "") -> str:
    return f'<span class="lc-chip {more}"><b>{html.escape(value)}</b><small>{html.escape(name)}</small></span>'


def _sign(sign: str) -> str:
    return f'<span class="lc-sign">{sign}</span>'


def table(seen: Seen[ConvolutionFacts]) -> list[dict[str, Any]]:
    """Every product that is shown, with where it comes from."""
    arrays, facts = seen.arrays, seen.facts
    heads = _("input map"), _("row"), _("column"), _("patch x"), _("kernel w"), _("x · w"), _("padding")
    rows = []
    for at in arrays[ORDER][: facts.listed]:
        for i, j in np.ndindex(arrays[PADDING].shape):
            place = int(arrays[CHANNELS][at]), int(arrays[ROWS][i]), int(arrays[COLUMNS][j])
            values = [float(arrays[name][at, i, j]) for name in (PATCH, KERNEL, PRODUCTS)]
            rows.append(dict(zip(heads, (*place, *values, bool(arrays[PADDING][i, j])), strict=True)))
    return rows


# ── the pictures in words ────────────────────────────────────────────────────────────────────────────────────────────


def _alt_field(seen: Seen[ConvolutionFacts]) -> str:
    field = seen.arrays[RECEPTIVE_FIELD]
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    if not len(rows):
        return _("The network's input. The cell sees padding only.")
    words = _("The network's input. The cell can see rows {top} to {bottom} and columns {left} to {right}.")
    return words.format(top=rows[0], bottom=rows[-1], left=columns[0], right=columns[-1])


def _alt_window(seen: Seen[ConvolutionFacts], channel: int) -> str:
    rows, columns = seen.arrays[ROWS], seen.arrays[COLUMNS]
    words = _("Input map {map}. The window lies on rows {top} to {bottom} and columns {left} to {right}.")
    return words.format(map=channel, top=rows[0], bottom=rows[-1], left=columns[0], right=columns[-1])


def _alt_made(seen: Seen[ConvolutionFacts]) -> str:
    words = _("Map {map} that the convolution makes; the cell in row {row}, column {column} is {value}.")
    facts = seen.facts
    return words.format(map=facts.map, row=facts.row, column=facts.column, value=number(seen.arrays[VALUE]))


def _alt_products(seen: Seen[ConvolutionFacts]) -> str:
    words = _("Patch, kernel and products of {n} input maps as squares of numbers; all products sum to {sum}.")
    return words.format(n=seen.facts.listed, sum=number(seen.arrays[SUM]))
