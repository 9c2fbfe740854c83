"""The gradient through the layers: over the training beside now, what layers give, and units that pass nothing on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import SEQUENTIAL

BAR, CHOSEN, ASIDE = "#3a8fc9", "#d55e00", "#8b929c"  # at least 3 : 1 against both themes' backgrounds
COLUMNS = 240  # readings drawn; more cannot be told apart
DECADES = 20  # of a logarithmic scale; what is smaller has the colour or the length of its lower end
ROW, MOST, LEAST = 15, 340, 180  # pixels: of a layer, and of all together
MULTIPLES = 190


@dataclass(frozen=True)
class Bars:
    """One number a layer. `aside`: layers that are not compared; `chosen`: the one that is looked at."""

    names: Sequence[str]
    values: np.ndarray
    aside: frozenset[str] = frozenset()
    chosen: str = ""

    def colors(self) -> list[str]:
        """Of every bar."""
        return [CHOSEN if n == self.chosen else ASIDE if n in self.aside else BAR for n in self.names]


@literal
def flow(
    steps: np.ndarray,
    history: np.ndarray,
    now: Bars,
    *,
    x_title: str,
    y_title: str,
    value: str,
    now_title: str,
    shown: int | None = None,
) -> go.Figure:
    """Left, history [layer, reading] at `steps` as a strip with a logarithmic colour; right, the bars of this moment.

    The first layer is on top in both. shown: the step of this moment, marked in the strip. Without readings the bars
    stand alone.
    """
    names = list(now.names)
    if not steps.size:
        figure = go.Figure(_bars(now, now_title))
        _log_axis(figure, now.values, now_title)
    else:
        figure = make_subplots(1, 2, shared_yaxes=True, column_widths=[0.62, 0.38], horizontal_spacing=0.05)
        places = np.unique(np.linspace(0, len(steps) - 1, min(COLUMNS, len(steps))).round().astype(int))
        figure.add_trace(_strip(steps[places], history[:, places], names, x_title, value), row=1, col=1)
        figure.add_trace(_bars(now, now_title), row=1, col=2)
        _log_axis(figure, now.values, now_title, row=1, col=2)
        figure.update_xaxes(title={"text": x_title, "standoff": 4}, showgrid=False, zeroline=False, row=1, col=1)
        if shown is not None:
            figure.add_vline(x=shown, line={"color": CHOSEN, "width": 2, "dash": "dot"}, row=1, col=1)
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"size": 10}, showgrid=False, automargin=True)
    figure.update_layout(yaxis_title={"text": y_title, "standoff": 4})
    figure.update_layout(
        height=min(MOST, max(LEAST, 60 + ROW * len(names)) + (32 if steps.size else 0)),
        margin={"l": 10, "r": 12, "t": 52 if steps.size else 8, "b": 46},
        showlegend=False,
        bargap=0.25,
    )
    return figure


def _strip(steps: np.ndarray, table: np.ndarray, names: list[str], x_title: str, value: str) -> go.Heatmap:
    logs = logarithms(table)
    low, high = _ends(logs)
    ticks = np.arange(np.ceil(low), np.floor(high) + 1, max(1, (high - low) // 5))
    bar = {"orientation": "h", "thickness": 8, "outlinewidth": 0, "tickfont": {"size": 10}}
    bar |= {"x": 0, "xanchor": "left", "len": 0.56, "y": 1, "yanchor": "bottom", "ypad": 4}  # above: never on the bars
    bar |= {"tickvals": ticks, "ticktext": [f"1e{int(tick)}" for tick in ticks]}
    bar["title"] = {"text": value, "side": "top", "font": {"size": 11}}
    return go.Heatmap(
        x=steps,
        y=names,
        z=np.maximum(logs, low),
        zmin=low,
        zmax=high,
        customdata=table,
        colorscale=SEQUENTIAL,
        colorbar=bar,
        hovertemplate=f"%{{y}}<br>{x_title} %{{x}}<br>{value} %{{customdata:.3g}}<extra></extra>",
        hoverongaps=False,
    )


def _bars(now: Bars, title: str) -> go.Bar:
    return go.Bar(
        y=list(now.names),
        x=np.where(np.isfinite(now.values) & (now.values > 0), now.values, np.nan),
        orientation="h",
        marker={"color": now.colors()},
        customdata=[f"{value:.3g}" for value in now.values.tolist()],
        hovertemplate=f"%{{y}}<br>{title} %{{customdata}}<extra></extra>",
    )


def _log_axis(figure: go.Figure, values: np.ndarray, title: str, **place: Any) -> None:
    low, high = _ends(logarithms(values))
    figure.update_xaxes(
        type="log",
        range=[np.floor(low) - 0.3, np.ceil(high + 0.05)],
        title={"text": title, "standoff": 4},
        exponentformat="power",
        tickfont={"size": 11},
        dtick=max(1, round((high - low) / 5)),
        **place,
    )


def logarithms(values: np.ndarray) -> np.ndarray:
    """Base 10; gaps where a value is no finite number, and far below everything for zero."""
    clean = np.where(np.isfinite(values), values, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(clean == 0, -300.0, np.log10(clean))


def _ends(logs: np.ndarray) -> tuple[float, float]:
    """The ends of a logarithmic scale: of all values, but no more than DECADES, and at least one."""
    known = logs[np.isfinite(logs) & (logs > -300)]
    if not known.size:
        return -1.0, 0.0
    high = float(known.max())
    return min(max(float(known.min()), high - DECADES), high - 1), high


@literal
def histograms(
    names: Sequence[str],
    counts: Sequence[np.ndarray],
    edges: Sequence[np.ndarray],
    *,
    chosen: str,
    x_title: str,
    y_title: str,
) -> go.Figure:
    """How many outputs of each layer lie where: small pictures side by side, the counts on one logarithmic scale."""
    many = max(1, len(names))
    figure = make_subplots(1, many, subplot_titles=list(names), shared_yaxes=True, horizontal_spacing=0.03)
    for column, (name, count, edge) in enumerate(zip(names, counts, edges, strict=True), 1):
        figure.add_bar(
            x=(edge[:-1] + edge[1:]) / 2,
            y=np.where(count > 0, count, np.nan),
            width=np.diff(edge),
            row=1,
            col=column,
            marker={"color": CHOSEN if name == chosen else BAR, "line": {"width": 0}},
            customdata=np.stack([edge[:-1], edge[1:]], -1),
            hovertemplate=f"{name}<br>{x_title} %{{customdata[0]:.3g}} … %{{customdata[1]:.3g}}<br>"
            f"{y_title} %{{y:,}}<extra></extra>",
        )
        figure.update_xaxes(range=[float(edge[0]), float(edge[-1])], nticks=3, zeroline=False, row=1, col=column)
    figure.update_yaxes(type="log", dtick=2, exponentformat="power", tickfont={"size": 10}, automargin=True)
    figure.update_yaxes(title={"text": y_title, "standoff": 4}, row=1, col=1)
    figure.update_xaxes(exponentformat="e", tickfont={"size": 10})
    figure.update_xaxes(title={"text": x_title, "standoff": 2}, row=1, col=1 + len(names) // 2)
    figure.update_annotations(font_size=11)
    figure.update_layout(
        height=MULTIPLES, margin={"l": 10, "r": 8, "t": 20, "b": 46}, showlegend=False, bargap=0, barmode="overlay"
    )
    return figure


@literal
def shares(shown: Bars, *, x_title: str, limit: float | None = None) -> go.Figure:
    """A share of every activation as bars from 0 to 100 %; `limit` is where alarm begins.

    A bar of no length has no text in Plotly, so its 0 % is a note: an empty chart would look like one that failed.
    """
    figure = go.Figure(
        go.Bar(
            y=list(shown.names),
            x=100 * shown.values,
            orientation="h",
            marker={"color": shown.colors()},
            text=[f"{100 * value:.0f} %" for value in shown.values.tolist()],
            textposition="auto",
            textfont={"size": 10},
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    for name, value in zip(shown.names, shown.values.tolist(), strict=True):
        if value == 0:
            figure.add_annotation(x=0, y=name, text="0 %", showarrow=False, xanchor="left", xshift=2, font={"size": 10})
    if limit is not None:
        figure.add_vline(x=100 * limit, line={"color": CHOSEN, "width": 1.5, "dash": "dot"})
    figure.update_xaxes(range=[0, 100], tickvals=[0, 50, 100], title={"text": x_title, "standoff": 2}, zeroline=False)
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"size": 10}, showgrid=False, automargin=True)
    figure.update_layout(height=MULTIPLES, margin={"l": 10, "r": 12, "t": 20, "b": 46}, showlegend=False, bargap=0.3)
    return figure
