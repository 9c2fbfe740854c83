"""Attention in pictures: who reads whom, on tokens and on patches; one row's arithmetic; what each head is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL, signed

MOST = 96  # tokens along one side of a picture; longer rows are shown in blocks
FEW = 8  # a query that may read fewer keys has large weights whatever it does: it does not set the scale
# the sequential scale over a picture: (share, color, how much of the picture it hides); little weight lets it through
OVER = (
    (0.0, (0, 34, 78), 0.30),
    (0.15, (59, 73, 108), 0.45),
    (0.4, (165, 156, 116), 0.68),
    (1.0, (254, 232, 56), 0.92),
)
THROUGH = [[at, f"rgba({r},{g},{b},{hides})"] for at, (r, g, b), hides in OVER]
BEHIND = 40  # the grey over which the scale itself is drawn: pictures are mostly dark
OPAQUE = [
    [at, "rgb({:.0f},{:.0f},{:.0f})".format(*(c * hides + BEHIND * (1 - hides) for c in color))]
    for at, color, hides in OVER
]
NEGATIVE, POSITIVE, GREY = DIVERGING[2][1], DIVERGING[7][1], "#8a909c"


def in_blocks(weights: np.ndarray, names: Sequence[str], most: int = MOST) -> tuple[np.ndarray, list[str], int]:
    """(weights [head, query, key] in blocks of tokens, the blocks' names, tokens of a block).

    A block's weight is the mean over its queries of the sum over its keys, so each row still sums to 1; NaN where all
    of it is.
    """
    steps = weights.shape[-1]
    size = ceil(steps / most)
    if size <= 1:
        return weights, list(names), 1
    starts = np.arange(0, steps, size)
    summed = np.add.reduceat(np.nan_to_num(weights), starts, axis=2)
    counts = np.diff([*starts, steps])
    blocks = np.add.reduceat(summed, starts, axis=1) / counts[:, None]
    some = np.add.reduceat(np.add.reduceat(np.isfinite(weights).astype(int), starts, axis=2), starts, axis=1)
    blocks = np.where(some > 0, blocks, np.nan)
    return blocks, [f"{names[start]} …" for start in starts], size


def tick_labels(names: Sequence[str]) -> list[str]:
    """3 · word: unlike for equal words, and a click says the number."""
    return [f"{i} · {name}" for i, name in enumerate(names)]


@literal
def heads(
    weights: np.ndarray,
    names: Sequence[str],
    *,
    titles: Sequence[str],
    x_title: str,
    y_title: str,
    bar_title: str,
    query: int = -1,
) -> go.Figure:
    """One map [query, key] a head, on one scale from 0; weights [head, query, key], NaN where a key is masked.

    The scale ends at the largest weight of a query that may read FEW keys or more.
    The row of `query` has an outline.
    """
    count = len(weights)
    columns = min(count, 4)
    rows = ceil(count / columns)
    labels = tick_labels(names)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=list(titles),
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.09 if rows == 2 else 0.05,
    )
    hover = f"{y_title} %{{y}}<br>{x_title} %{{x}}<br>{bar_title} %{{z:.3f}}<extra></extra>"
    for i, one in enumerate(weights):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        figure.add_heatmap(
            z=one, x=labels, y=labels, coloraxis="coloraxis", hovertemplate=hover, hoverongaps=False, **place
        )
        if 0 <= query < len(names):
            figure.add_shape(
                type="rect",
                x0=-0.5,
                x1=len(names) - 0.5,
                y0=query - 0.5,
                y1=query + 0.5,
                line={"color": POSITIVE, "width": 1.5},
                **place,
            )
    _token_axes(figure, names, labels, 190 if columns > 2 else 330)
    figure.update_xaxes(title_text=x_title, row=rows)
    figure.update_yaxes(title_text=y_title, col=1)
    side = {1: 330, 2: 300, 3: 250}.get(columns, 200)
    figure.update_layout(
        height=110 + rows * side,
        margin={"l": 10, "r": 10, "t": 26, "b": 40},
        coloraxis=_scale(weights, bar_title),
        showlegend=False,
    )
    figure.update_annotations(font_size=12)
    return figure


def _token_axes(figure: go.Figure, names: Sequence[str], labels: Sequence[str], pixels: int) -> None:
    """Names along both sides: all where there is room, else every so many."""
    every = max(1, ceil(len(names) * 12 / pixels))
    shown = {
        "tickvals": labels[::every],
        "ticktext": [_short(name) for name in names[::every]],
        "type": "category",
        "tickfont": {"size": 10},
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    figure.update_xaxes(**shown, tickangle=-60 if max(map(len, names), default=0) > 1 else 0)
    figure.update_yaxes(**shown, autorange="reversed")


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _scale(weights: np.ndarray, title: str) -> dict[str, object]:
    many = np.isfinite(weights).sum(-1, keepdims=True) >= min(FEW, weights.shape[-1])
    finite = weights[np.isfinite(weights) & many]
    most = float(finite.max()) if finite.size else 1.0
    bar = {"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9}
    return {"colorscale": SEQUENTIAL, "cmin": 0, "cmax": most or 1.0, "colorbar": bar}


@literal
def on_picture(
    picture: np.ndarray,
    weights: np.ndarray,
    *,
    titles: Sequence[str],
    bar_title: str,
    first: int = 0,
    query: int = -1,
    patch: str = "row {row}, column {column}",
) -> go.Figure:
    """The weights of one query, [head, row, column], laid over the picture (uint8 [H, W] or [H, W, 3]).

    `first` tokens stand before the first patch; customdata of a patch is its place among the tokens. The patch that
    reads has an outline; a query below `first` is no patch.
    """
    count, rows, columns = weights.shape
    high, wide = picture.shape[:2]
    across = min(count, 4)
    down = ceil(count / across)
    figure = make_subplots(
        down, across, subplot_titles=list(titles), horizontal_spacing=0.02, vertical_spacing=0.12 / down
    )
    colored = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1)
    tokens = np.arange(rows * columns).reshape(rows, columns)
    named = [[patch.format(row=r, column=c) for c in range(columns)] for r in range(rows)]
    for i, one in enumerate(weights):
        place = {"row": i // across + 1, "col": i % across + 1}
        figure.add_image(z=colored, hoverinfo="skip", **place)
        figure.add_heatmap(
            z=one,
            x0=wide / columns / 2 - 0.5,
            dx=wide / columns,
            y0=high / rows / 2 - 0.5,
            dy=high / rows,
            coloraxis="coloraxis",
            customdata=tokens + first,
            text=named,
            hovertemplate=f"%{{text}}<br>{bar_title} %{{z:.3f}}<extra></extra>",
            **place,
        )
        if query >= first:
            r, c = divmod(query - first, columns)
            corners = {
                "x0": c * wide / columns - 0.5,
                "x1": (c + 1) * wide / columns - 0.5,
                "y0": r * high / rows - 0.5,
                "y1": (r + 1) * high / rows - 0.5,
            }
            figure.add_shape(type="rect", **corners, line={"color": POSITIVE, "width": 3}, **place)
    figure.update_xaxes(visible=False, range=[-0.5, wide - 0.5], constrain="domain")
    figure.update_yaxes(visible=False, range=[high - 0.5, -0.5], constrain="domain", constraintoward="top")
    for i in range(count):
        figure.update_yaxes(scaleanchor="x" if i == 0 else f"x{i + 1}", row=i // across + 1, col=i % across + 1)
    side = {1: 330, 2: 330, 3: 260}.get(across, 195)
    scale = _scale(weights, bar_title)
    figure.add_scatter(
        x=[None], y=[None], marker={"color": [0], "coloraxis": "coloraxis2"}, hoverinfo="skip", mode="markers"
    )
    figure.update_layout(
        height=50 + down * side,
        margin={"l": 6, "r": 6, "t": 26, "b": 6},
        showlegend=False,
        coloraxis=scale | {"colorscale": THROUGH, "showscale": False},
        coloraxis2=scale | {"colorscale": OPAQUE},
    )
    figure.update_annotations(font_size=12)
    return figure


@dataclass(frozen=True)
class Row:
    """One query's way to its head's output, over the keys: scores, what enters the softmax, weights [key], and the
    values [key, feature] that they weigh. masked is −inf where a key is not read; `why` says of each key the reason."""

    names: Sequence[str]
    scores: np.ndarray
    masked: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    why: Sequence[str]


@literal
def row(
    one: Row,
    *,
    x_title: str,
    score_title: str,
    weight_title: str,
    feature_title: str,
    value_title: str,
    result_title: str,
) -> go.Figure:
    """Over the same keys: scores, weights, weights · values [feature, key], and their sum beside them."""
    labels = tick_labels(one.names)
    figure = make_subplots(
        3,
        2,
        column_widths=[0.93, 0.07],
        row_heights=[0.3, 0.26, 0.44],
        shared_xaxes=True,
        vertical_spacing=0.035,
        horizontal_spacing=0.012,
        specs=[[{}, None], [{}, None], [{}, {}]],
    )
    _scores(figure, one, labels, score_title)
    figure.add_bar(
        x=labels,
        y=one.weights,
        marker_color=GREY,
        row=2,
        col=1,
        hovertemplate=f"%{{x}}<br>{weight_title} %{{y:.4f}}<extra></extra>",
    )
    weighed = (one.weights[:, None] * one.values).T
    result = weighed.sum(1, keepdims=True)
    parts = np.where(np.isfinite(one.masked)[None], weighed, np.nan)  # what is masked takes no part
    low, high = signed(np.concatenate([parts, result], 1))
    bar = {"title": {"text": value_title, "side": "right"}, "thickness": 10, "len": 0.5, "y": 0.24, "outlinewidth": 0}
    for z, at, column in ((parts, labels, 1), (result, [result_title], 2)):
        figure.add_heatmap(
            z=z,
            x=at,
            y=list(range(len(z))),
            colorscale=DIVERGING,
            zmin=low,
            zmax=high,
            showscale=column == 2,
            colorbar=bar,
            row=3,
            col=column,
            hovertemplate=f"%{{x}}<br>{feature_title} %{{y}}<br>{value_title} %{{z:.4f}}<extra></extra>",
        )
    wide = 6 + 6.5 * max((len(_short(name)) for name in one.names), default=1)  # pixels of a name
    every = max(1, ceil(len(one.names) * wide / 680))
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=labels,
        showgrid=False,
        col=1,
        range=[-0.5, len(labels) - 0.5],
    )
    figure.update_xaxes(
        tickvals=labels[::every],
        ticktext=[_short(n) for n in one.names[::every]],
        row=3,
        col=1,
        title_text=x_title,
        tickfont={"size": 11},
        tickangle=0,
        showticklabels=True,
    )
    figure.update_xaxes(tickfont={"size": 11}, row=3, col=2)
    figure.update_yaxes(showgrid=False, zeroline=True, zerolinewidth=1, zerolinecolor=GREY, nticks=4, title_standoff=6)
    figure.update_yaxes(title_text=score_title, row=1, col=1)
    figure.update_yaxes(title_text=weight_title, rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title_text=feature_title, autorange="reversed", zeroline=False, row=3, col=1)
    figure.update_yaxes(visible=False, autorange="reversed", row=3, col=2)
    figure.update_layout(height=410, margin={"l": 58, "r": 10, "t": 8, "b": 40}, showlegend=False, bargap=0.25)
    return figure


def _scores(figure: go.Figure, one: Row, labels: list[str], title: str) -> None:
    """Bars by sign; a cross where a key is masked."""
    read = np.isfinite(one.masked)
    figure.add_bar(
        x=labels,
        y=np.where(read, one.scores, np.nan),
        row=1,
        col=1,
        marker_color=[POSITIVE if score > 0 else NEGATIVE for score in one.scores],
        hovertemplate=f"%{{x}}<br>{title} %{{y:.3f}}<extra></extra>",
    )
    hidden = np.flatnonzero(~read).tolist()
    figure.add_scatter(
        x=[labels[i] for i in hidden],
        y=[0.0] * len(hidden),
        text=[one.why[i] for i in hidden],
        mode="markers",
        marker={"symbol": "x-thin", "size": 7, "line": {"width": 1.5, "color": GREY}},
        row=1,
        col=1,
        hovertemplate="%{x}: %{text}<extra></extra>",
    )


@literal
def measured(
    layers: Sequence[str],
    entropy: np.ndarray,
    rise: np.ndarray | None,
    *,
    x_title: str,
    entropy_title: str,
    rise_title: str,
    head: str = "{head}",
) -> go.Figure:
    """Every head of every layer, [layer, head]: its entropy, and beside it what the loss rises without it.

    NaN where a layer has no such head; customdata of a cell: (layer, head).
    """
    shown: list[tuple[np.ndarray, str, Any, tuple[float, float]]] = [
        (entropy, entropy_title, SEQUENTIAL, (0.0, _most(entropy)))
    ]
    if rise is not None:
        shown.append((rise, rise_title, DIVERGING, signed(rise)))
    names = [head.format(head=i) for i in range(entropy.shape[1])]
    figure = make_subplots(
        1, len(shown), subplot_titles=[title for _z, title, _c, _r in shown], shared_yaxes=True, horizontal_spacing=0.04
    )
    cells = [[[layer, i] for i in range(len(names))] for layer in layers]
    for column, (z, title, scale, (low, high)) in enumerate(shown, 1):
        form = f"%{{z:{'+' * (column == 2)}.{_decimals(high)}f}}"
        figure.add_heatmap(
            z=z,
            x=names,
            y=list(layers),
            customdata=cells,
            colorscale=scale,
            zmin=low,
            zmax=high,
            showscale=False,
            texttemplate=form,
            textfont={"size": 12},
            xgap=2,
            ygap=2,
            hoverongaps=False,
            row=1,
            col=column,
            hovertemplate=f"%{{y}}, {x_title} %{{x}}<br>{title}: {form}<extra></extra>",
        )
    figure.update_xaxes(title={"text": x_title, "standoff": 4}, type="category", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, automargin=True)
    figure.update_layout(
        height=86 + 40 * len(layers),
        margin={"l": 10, "r": 10, "t": 26, "b": 40},
        showlegend=False,
    )
    figure.update_annotations(font_size=12)
    return figure


def _decimals(most: float) -> int:
    """Enough to tell the largest values apart."""
    return min(8, max(2, 2 - floor(log10(most))))


def _most(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def masked_out(weights: np.ndarray, read: np.ndarray) -> np.ndarray:
    """weights [head, query, key] with NaN where read [query, key] is 0: not 0, but not allowed."""
    return np.where(read.astype(bool)[None], weights, np.nan)
