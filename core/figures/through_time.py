"""How large the gradient is, step by step back from the end of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

COLORS = {
    "main": "#d55e00",
    "second": "#3a8fc9",
    "plain": "#8b929c",
    "limit": "#b0518f",
    "pace": "#8a6d00",
    "gates": "#00875f",
}  # (each at least 3 : 1 against both themes' backgrounds)
ROOM = 2.0  # decades that a limit may stand out above what it limits


@dataclass(frozen=True)
class Line:
    """values [k]; `role` a key of COLORS, `dash` one of Plotly's."""

    name: str
    values: np.ndarray
    role: str
    dash: str = "solid"
    width: float = 2.0
    frames: bool = True  # does it decide how far the axis goes?


@literal
def back_in_time(
    lines: Sequence[Line], samples: np.ndarray, *, x_title: str, y_title: str, each: str, step: str
) -> go.Figure:
    """`lines` over k = 0, 1, … on a logarithmic axis, behind them thin ones of single samples [sample, k]."""
    figure = go.Figure()
    if samples.size:
        gap = np.full((len(samples), 1), np.nan)
        k = np.arange(samples.shape[1] + 1)
        figure.add_scatter(
            x=np.tile(k, len(samples)),
            y=positive(np.concatenate([samples, gap], 1)).ravel(),
            mode="lines",
            name=each,
            line={"color": COLORS["plain"], "width": 0.8},
            opacity=0.45,
            hoverinfo="skip",
        )
    for line in lines:
        figure.add_scatter(
            x=np.arange(len(line.values)),
            y=positive(line.values),
            mode="lines",
            name=line.name,
            line={"color": COLORS[line.role], "width": line.width, "dash": line.dash},
            hovertemplate=f"{line.name}<br>%{{x}} {step}<br>%{{y:.3g}}<extra></extra>",
        )
    low, high = frame(lines, samples)
    figure.update_xaxes(title={"text": x_title, "standoff": 4}, zeroline=False, rangemode="tozero")
    figure.update_yaxes(
        type="log",
        range=[low, high],
        exponentformat="power",
        title={"text": y_title, "standoff": 4},
        dtick="D2" if high - low < 2.5 else max(1, round((high - low) / 7)),
        minor={"ticks": ""},
    )
    figure.update_layout(
        height=380,
        margin={"l": 62, "r": 10, "t": 8, "b": 42},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
    )
    return figure


def positive(values: np.ndarray) -> np.ndarray:
    """Gaps where there is nothing to draw on a logarithmic axis."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def frame(lines: Sequence[Line], samples: np.ndarray) -> tuple[float, float]:
    """The axis's ends as powers of ten: of the gradients; limits may stand out a little above them."""
    framing = [line.values for line in lines if line.frames]
    found = np.concatenate([np.ravel(v) for v in (*framing, samples)]) if framing or samples.size else np.zeros(0)
    logs = np.log10(found[np.isfinite(found) & (found > 0)])
    if not logs.size:
        return -1.0, 1.0
    low, high = float(logs.min()), float(logs.max())
    limits = [positive(line.values) for line in lines if not line.frames]
    above = [float(np.log10(np.nanmax(v))) for v in limits if np.isfinite(v).any()]
    top = max([high, *(min(a, high + ROOM) for a in above)])
    margin = max(0.2, 0.04 * (top - low))
    return low - margin, top + margin
