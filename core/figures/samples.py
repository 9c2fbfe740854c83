"""What a data set holds: how often each class occurs, and where points lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

# told apart without colour
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down")


@literal
def counts(
    parts: Mapping[str, Mapping[str, int]], *, x_title: str, y_title: str, colors: Sequence[str] = (), height: int = 230
) -> go.Figure:
    """Bars: for each class how often it is the answer in each part of the data, the parts on top of each other."""
    figure = go.Figure()
    for i, (part, found) in enumerate(parts.items()):
        figure.add_bar(
            x=list(found),
            y=list(found.values()),
            name=part,
            marker_color=colors[i % len(colors)] if colors else None,
            hovertemplate="%{x}: %{y:,}",
            marker_pattern={"shape": ("", "/", ".")[i % 3], "fillmode": "overlay", "fgopacity": 0.45},
        )
    figure.update_layout(
        barmode="stack",
        height=height,
        margin={"l": 60, "r": 10, "t": 10, "b": 45},
        showlegend=True,
        bargap=0.25,
        xaxis={"title": x_title, "type": "category"},
        yaxis_title=y_title,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )
    return figure


@literal
def points(
    places: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    titles: tuple[str, str],
    colors: Sequence[str] = (),
    height: int = 330,
) -> go.Figure:
    """Points [n, 2] in the plane, each class with its own colour and mark; labels: int64 [n]."""
    figure = go.Figure()
    for i, name in enumerate(classes):
        x, y = places[labels == i].T
        figure.add_scatter(
            x=x,
            y=y,
            name=name,
            mode="markers",
            hovertemplate="%{x:.2f}, %{y:.2f}",
            marker={"symbol": MARKS[i % len(MARKS)], "size": 7, "color": colors[i % len(colors)] if colors else None},
        )
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 10, "t": 10, "b": 45},
        xaxis_title=titles[0],
        yaxis_title=titles[1],
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        showlegend=True,
    )
    figure.update_yaxes(scaleanchor="x")
    return figure


def alt(parts: Mapping[str, Mapping[str, int]], sentence: str) -> str:
    """The bars in words; `sentence` has the places {part}, {n}, {classes}, {low} and {high}."""
    return " ".join(
        sentence.format(
            part=part, n=sum(found.values()), classes=len(found), low=min(found.values()), high=max(found.values())
        )
        for part, found in parts.items()
        if found
    )
