"""When training samples had their influence, and how it is spread over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

HELP, HARM = "#d9822b", "#4a90d0"  # above and below zero of the signed scale
PATTERNS = ("", "/")  # told apart without colour, too
BINS = 41


@literal
def when(
    steps: Sequence[int], groups: Mapping[str, np.ndarray], *, titles: tuple[str, str], height: int = 250
) -> go.Figure:
    """For each group's name the sums [moment] as bars: the first above zero, the second below."""
    figure = go.Figure()
    places = [str(step) for step in steps]
    for (name, values), color, shape in zip(groups.items(), (HELP, HARM), PATTERNS, strict=False):
        figure.add_bar(
            x=places,
            y=values,
            name=name,
            marker={"color": color, "pattern": {"shape": shape}},
            hovertemplate=f"{titles[0]} %{{x}}: %{{y:.3~g}}<extra></extra>",
        )
    figure.update_layout(
        barmode="relative",
        height=height,
        margin={"l": 64, "r": 8, "t": 8, "b": 44},
        bargap=0.25,
        xaxis={"title": {"text": titles[0], "standoff": 6}, "type": "category"},
        yaxis_title=titles[1],
        showlegend=len(groups) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


@literal
def spread(
    values: np.ndarray, kinds: Mapping[str, np.ndarray], *, titles: tuple[str, str], height: int = 250
) -> go.Figure:
    """How many samples have which value; `kinds`: name → which of them [n] bool. Counts are on a log scale."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    figure = go.Figure()
    for (name, there), color, shape in zip(kinds.items(), (HELP, HARM), PATTERNS, strict=False):
        counts = np.histogram(values[there], edges)[0]
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=np.where(counts > 0, counts, np.nan),
            name=name,
            offsetgroup=name,
            customdata=np.stack([edges[:-1], edges[1:]], 1),
            width=float(edges[1] - edges[0]),
            marker={"color": color, "opacity": 0.7, "pattern": {"shape": shape}},
            hovertemplate="%{customdata[0]:.3~g} – %{customdata[1]:.3~g}: %{y:,}<extra></extra>",
        )
    figure.update_layout(
        barmode="overlay",
        height=height,
        margin={"l": 56, "r": 8, "t": 8, "b": 44},
        bargap=0,
        xaxis={"title": {"text": titles[0], "standoff": 6}},
        yaxis={"title": titles[1], "type": "log", "dtick": 1, "rangemode": "nonnegative"},
        showlegend=len(kinds) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure
