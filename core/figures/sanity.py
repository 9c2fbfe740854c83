"""How alike a map stays to the trained network's own while layer after layer is randomised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

LINE, HERE = "#3a8fc9", "#d55e00"  # at least 3 : 1 against both themes' backgrounds
BAND, CHANCE = "rgba(58, 143, 201, 0.25)", "rgba(128, 134, 143, 0.25)"
ROOM = 42  # characters of names that stand side by side; more of them are slanted
NAMED = 9  # depths up to which each is named by the layer that it adds; of more they are counted


@dataclass(frozen=True)
class Cascade:
    """correlation [depth, seed] at `depths` [depth]; `added` names the layer that each depth draws anew besides.

    random: correlations of maps of random values [draw] · given: that of |input|, NaN where there is none · here: the
    depth that is looked at.
    """

    depths: Sequence[int]
    correlation: np.ndarray
    added: Sequence[str]
    random: np.ndarray
    given: float
    here: int


@dataclass(frozen=True)
class Words:
    """What is written: titles of the axes and names of the lines; `hover` has the places {mean}, {low} and {high}."""

    x: str
    y: str
    mean: str
    band: str
    random: str
    given: str
    hover: str


@literal
def curve(shown: Cascade, words: Words, *, height: int = 330) -> go.Figure:
    """The mean over the seeds with their range, over what random maps have by chance; clicked points are depths."""
    mean, low, high = mean_and_range(shown.correlation)
    x = list(shown.depths)
    figure = go.Figure()
    spread = 2 * float(np.nanstd(shown.random)) if np.isfinite(shown.random).any() else 0.0
    _band(figure, [x[0], x[-1]], [-spread] * 2, [spread] * 2, CHANCE, words.random)
    _band(figure, x, _gaps(low), _gaps(high), BAND, words.band)
    if np.isfinite(shown.given):
        figure.add_scatter(
            x=[x[0], x[-1]],
            y=[shown.given] * 2,
            mode="lines",
            name=words.given,
            line={"color": "#8a8f99", "width": 1.5, "dash": "dash"},
            hovertemplate=f"{words.given}: %{{y:.2f}}<extra></extra>",
        )
    rows = zip(mean, low, high, strict=True)
    said = [words.hover.format(mean=_two(m), low=_two(a), high=_two(b)) for m, a, b in rows]
    figure.add_scatter(
        x=x,
        y=_gaps(mean),
        mode="lines+markers",
        name=words.mean,
        line={"color": LINE, "width": 2.5},
        marker={"size": 7},
        customdata=x,
        text=said,
        hovertemplate="%{text}<extra></extra>",
    )
    at = x.index(shown.here)
    figure.add_scatter(
        x=[shown.here],
        y=_gaps(mean[at : at + 1]),
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={"size": 14, "symbol": "circle-open", "color": HERE, "line": {"width": 3}},
        cliponaxis=False,
    )
    figure.add_vline(x=shown.here, line={"width": 1.2, "dash": "dot", "color": HERE})
    least = float(np.nanmin([0.0, -spread, *low[np.isfinite(low)], shown.given]))
    figure.update_yaxes(range=[max(-1.05, least - 0.12), 1.06], title={"text": words.y, "standoff": 4}, zeroline=True)
    named = len(x) <= NAMED
    slanted = sum(map(len, shown.added)) > ROOM
    figure.update_xaxes(
        title={"text": words.x, "standoff": 4},
        range=[x[0] - 0.3, x[-1] + 0.3],
        showgrid=False,
        zeroline=False,
        tickvals=x if named else None,
        ticktext=list(shown.added) if named else None,
        tickfont={"size": 11},
        tickangle=-35 if named and slanted else 0,
        automargin=True,
    )
    figure.update_layout(
        height=height,
        margin={"l": 52, "r": 10, "t": 8, "b": 44},
        hovermode="closest",
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
    )
    return figure


def mean_and_range(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Over the seeds of [depth, seed]: mean, least and largest [depth]; NaN where no seed has a number."""
    there = np.isfinite(correlation)
    counts = there.sum(1)
    some = counts > 0
    mean = np.where(some, np.where(there, correlation, 0).sum(1) / np.maximum(counts, 1), np.nan)
    low, high = np.where(there, correlation, np.inf).min(1), np.where(there, correlation, -np.inf).max(1)
    return mean, np.where(some, low, np.nan), np.where(some, high, np.nan)


def _band(
    figure: go.Figure,
    x: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    color: str,
    name: str,
) -> None:
    figure.add_scatter(x=x, y=low, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=x, y=high, mode="lines", line={"width": 0}, fill="tonexty", fillcolor=color, name=name, hoverinfo="skip"
    )


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _gaps(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
