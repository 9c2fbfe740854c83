"""The scoreboard's pictures: bars with their spread over seeds beside what chance gives, and masks as outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal

GREY = "#8a919c"  # seen on a light and on a dark ground
ROW, GAP, HEAD = 9, 6, 96  # pixels: of one bar, between two methods, and of the titles and the axis
FAINT = 0.38  # opacity of the controls' bars


@dataclass(frozen=True)
class Series:
    """One measure of every method: its mean and spread (None: not measured); `random`: what the random control has."""

    name: str
    means: Sequence[float | None]
    spreads: Sequence[float | None]
    random: float | None
    color: int = 0  # of the theme's categories


@dataclass(frozen=True)
class Panel:
    """Measures that share an axis of shares."""

    title: str
    series: tuple[Series, ...]


@literal
def bars(
    methods: Sequence[str],
    panels: Sequence[Panel],
    *,
    controls: int,
    x_title: str,
    hover: str,
    random: str,
    colors: Sequence[str] = (),
    chosen: int = -1,
) -> go.Figure:
    """Panels side by side, one row a method, the first on top; the last `controls` of them are faint, below a line.

    Whiskers are one spread to either side; the dotted lines are what the random control has (`random` is their name).
    hover has the places {method}, {measure}, {panel}, {mean} and {spread}; customdata is the method's place.
    """
    figure = make_subplots(
        1, len(panels), shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=[panel.title for panel in panels]
    )
    places, seen = list(range(len(methods))), set()
    for column, panel in enumerate(panels, 1):
        for series in panel.series:
            color = colors[series.color] if series.color < len(colors) else GREY
            figure.add_bar(
                x=list(series.means),
                y=places,
                orientation="h",
                name=series.name,
                legendgroup=series.name,
                showlegend=series.name not in seen,
                customdata=places,
                row=1,
                col=column,
                marker={"color": color, "opacity": [1.0] * (len(places) - controls) + [FAINT] * controls},
                error_x={"type": "data", "array": list(series.spreads), "color": GREY, "thickness": 1.2, "width": 3},
                hovertext=[_said(hover, methods[i], panel, series, i) for i in places],
                hovertemplate="%{hovertext}<extra></extra>",
            )
            seen.add(series.name)
            if series.random is not None:
                figure.add_scatter(
                    x=[series.random] * 2,
                    y=[-0.5, len(methods) - 0.5],
                    mode="lines",
                    hoverinfo="skip",
                    name=random,
                    line={"dash": "dot", "color": color, "width": 1.5},
                    legendgroup=random,
                    showlegend=random not in seen,
                    legendrank=2000,
                    row=1,
                    col=column,
                )
                seen.add(random)
        if controls:
            figure.add_hline(y=len(methods) - controls - 0.5, line={"color": GREY, "width": 1}, row=1, col=column)
    most = max((len(panel.series) for panel in panels), default=1)
    names = [f"<b>{name}</b>" if i == chosen else name for i, name in enumerate(methods)]
    figure.update_yaxes(
        range=[len(methods) - 0.5, -0.5],
        tickvals=places,
        ticktext=names,
        showgrid=False,
        zeroline=False,
        automargin=True,
        tickfont={"size": 12},
    )
    ends = [
        m + (s or 0)
        for panel in panels
        for one in panel.series
        for m, s in zip(one.means, one.spreads, strict=True)
        if m is not None
    ]
    figure.update_xaxes(
        range=[0, min(1.0, 1.06 * max(ends, default=1.0)) + 0.01],
        tickformat=".0%",
        dtick=0.25,
        title={"text": x_title, "standoff": 4},
    )
    figure.update_layout(
        height=HEAD + len(methods) * (ROW * max(2, most) + GAP),
        barmode="group",
        bargap=0.22,
        bargroupgap=0.0,
        margin={"l": 8, "r": 20, "t": 56, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container", "traceorder": "normal"},
    )
    return figure


def _said(hover: str, method: str, panel: Panel, series: Series, i: int) -> str:
    mean, spread = series.means[i], series.spreads[i]
    if mean is None or spread is None:
        return ""
    shares = {"mean": f"{mean:.1%}", "spread": f"{spread:.1%}"}
    return hover.format(method=method, measure=series.name, panel=panel.title, **shares)


@literal
def outlined(figure: go.Figure, mask: np.ndarray, color: str, name: str) -> go.Figure:
    """The same figure of a picture with a line around the mask [height, width]; `name` is what it is."""
    x, y = outline(mask)
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": color, "width": 2.5}, name=name, hoverinfo="skip", showlegend=False
    )
    return figure


def outline(mask: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """The edges between a mask [height, width] and the rest as one line with gaps (None), in pixels."""
    padded = np.pad(mask.astype(bool), 1)
    x: list[float | None] = []
    y: list[float | None] = []
    for row, column in np.argwhere(padded[1:] != padded[:-1]):  # between two rows
        x += [column - 1.5, column - 0.5, None]
        y += [row - 0.5, row - 0.5, None]
    for row, column in np.argwhere(padded[:, 1:] != padded[:, :-1]):  # between two columns
        x += [column - 0.5, column - 0.5, None]
        y += [row - 1.5, row - 0.5, None]
    return x, y
