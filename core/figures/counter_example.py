"""A picture with some of its pieces outlined."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

EDGE = "#d55e00"


@literal
def outlined(figure: go.Figure, chosen: np.ndarray, column: int) -> go.Figure:
    """The figure with a line around the chosen pixels, bool [H, W], of its panel number `column`, counted from 1."""
    x, y = outline(chosen)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": EDGE, "width": 2.5},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=column,
    )
    return figure


def outline(chosen: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """x and y of all edges between chosen pixels, bool [H, W], and others: two ends and None for each straight run."""
    framed = np.pad(chosen, 1).astype(int)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for row, first, end in _runs(np.diff(framed, axis=0)):  # edge above pixel row `row`
        xs += [first - 1.5, end - 1.5, None]
        ys += [row - 0.5, row - 0.5, None]
    for column, first, end in _runs(np.diff(framed, axis=1).T):
        xs += [column - 0.5, column - 0.5, None]
        ys += [first - 1.5, end - 1.5, None]
    return xs, ys


def _runs(edges: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, first, end) of each run of equal values other than 0 in edges [row, place]."""
    found = []
    for row, values in enumerate(edges):
        changes = np.flatnonzero(np.diff(np.concatenate([[0], values, [0]])))
        starts = [int(at) for at in changes if at < len(values) and values[at] != 0]
        found += [(row, at, int(changes[changes > at][0])) for at in starts]
    return found
