"""A sample before and after a change: pictures side by side, answers as bars, the answer against the change's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL, signed

BEFORE, AFTER, GREY = "#3a8fc9", "#d55e00", "#8a919c"  # at least 3 : 1 against both themes' backgrounds
CLASSES = 12  # with bars; of more the likeliest
NAMES = 40  # along an axis; more cannot be read


@dataclass(frozen=True)
class Panel:
    """One picture: uint8 [H, W] or [H, W, 3] as it looks, or signed values [H, W] on the scale that all share."""

    title: str
    values: np.ndarray
    signed: bool = False


@literal
def beside(panels: Sequence[Panel], *, scale_title: str, height: int = 290) -> go.Figure:
    """Panels from left to right; those with signed values share one scale, zero in its neutral middle."""
    figure = make_subplots(1, len(panels), subplot_titles=[panel.title for panel in panels], horizontal_spacing=0.03)
    values = [panel.values.ravel() for panel in panels if panel.signed]
    low, high = signed(np.concatenate(values)) if values else (-1.0, 1.0)
    shows = next((i for i in reversed(range(len(panels))) if panels[i].signed), -1)
    for i, panel in enumerate(panels):
        figure.add_trace(_signed(panel, low, high) if panel.signed else _picture(panel), 1, i + 1)
        figure.update_yaxes(scaleanchor=f"x{i + 1}" if i else "x", col=i + 1)
    if shows >= 0:  # the scale stands to the right of all panels
        bar = {"title": {"text": scale_title, "side": "right"}, "thickness": 12}
        figure.data[shows].update(showscale=True, colorbar=bar)
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare, autorange="reversed")
    figure.update_annotations(font_size=13)
    figure.update_layout(height=height, margin={"l": 4, "r": 4, "t": 26, "b": 4})
    return figure


def _picture(panel: Panel) -> go.Image:
    pixels = panel.values if panel.values.ndim == 3 else np.repeat(panel.values[..., None], 3, -1)
    return go.Image(z=pixels.astype(np.uint8), hovertemplate="%{x}, %{y}: %{z[0]}<extra></extra>")


def _signed(panel: Panel, low: float, high: float) -> go.Heatmap:
    return go.Heatmap(
        z=panel.values,
        colorscale=DIVERGING,
        zmin=low,
        zmax=high,
        showscale=False,
        hovertemplate="%{x}, %{y}: %{z:.3~g}<extra></extra>",
    )


@literal
def rows(
    values: np.ndarray, names: Sequence[str], titles: Sequence[str], *, scale_title: str, is_signed: bool = True
) -> go.Figure:
    """values [row, n]: one row above the other on one scale; names [n] below, titles [row] at the left."""
    at = list(range(values.shape[1]))
    low, high = signed(values) if is_signed else (float(values.min()), float(values.max()))
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=at,
            y=list(range(len(titles))),
            zmin=low,
            zmax=high,
            ygap=3,
            colorscale=DIVERGING if is_signed else SEQUENTIAL,
            customdata=[list(names)] * len(titles),
            hovertemplate="%{customdata}: %{z:.3~g}<extra></extra>",
            colorbar={"title": {"text": scale_title, "side": "right"}, "thickness": 12},
        )
    )
    every = max(1, -(-len(names) // NAMES))
    figure.update_xaxes(
        tickvals=at[::every], ticktext=list(names)[::every], showgrid=False, zeroline=False, automargin=True
    )
    figure.update_yaxes(
        tickvals=list(range(len(titles))),
        ticktext=list(titles),
        autorange="reversed",
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    figure.update_layout(height=90 + 34 * len(titles), margin={"l": 10, "r": 8, "t": 6, "b": 44})
    return figure


@literal
def probabilities(
    classes: Sequence[str], values: np.ndarray, names: Sequence[str], *, titles: tuple[str, str], height: int = 290
) -> go.Figure:
    """values [n, class] from 0 to 1: for each class n bars beside each other, called `names` [n]."""
    chosen = sorted(np.argsort(-values.max(0), kind="stable")[:CLASSES].tolist())
    figure = go.Figure()
    for i, (name, row) in enumerate(zip(names, values, strict=True)):
        figure.add_bar(
            x=list(range(len(chosen))),
            y=row[chosen],
            name=name,
            customdata=[classes[k] for k in chosen],
            marker={
                "color": (BEFORE, AFTER, GREY)[i],
                "pattern": {"shape": ("", "/", ".")[i], "fgopacity": 0.5, "fillmode": "overlay"},
            },
            hovertemplate=f"{name}, %{{customdata}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(
        title={"text": titles[0], "standoff": 4},
        tickvals=list(range(len(chosen))),
        ticktext=[classes[k] for k in chosen],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(title=titles[1], tickformat=".0%", range=[0, 1.03])
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        height=height,
        margin={"l": 56, "r": 8, "t": 8, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


@dataclass(frozen=True)
class Line:
    """A curve of probabilities, from 0 to 1; with `low` and `high` a band around it."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@literal
def against(
    lines: Sequence[Line],
    *,
    titles: tuple[str, str],
    marked: float | None,
    marked_name: str,
    log: bool,
    height: int = 290,
) -> go.Figure:
    """Up to three curves over a size; at `marked` a dotted line. On a logarithmic axis the size 0 is left out."""
    figure = go.Figure()
    for i, line in enumerate(lines):
        there = line.x > 0 if log else np.ones(len(line.x), bool)
        color, dash = (BEFORE, AFTER, GREY)[i], ("solid", "dash", "dot")[i]
        if line.low is not None and line.high is not None:
            x = np.concatenate([line.x[there], line.x[there][::-1]])
            y = np.concatenate([line.high[there], line.low[there][::-1]])
            figure.add_scatter(
                x=x,
                y=y,
                fill="toself",
                mode="none",
                fillcolor="rgba(138,145,156,0.25)",
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=line.x[there],
            y=line.y[there],
            mode="lines+markers",
            name=line.name,
            marker={"size": 5, "color": color},
            line={"width": 2, "color": color, "dash": dash},
            hovertemplate="%{x:.3~g}: %{y:.1%}",
        )
    if marked is not None:
        figure.add_scatter(
            x=[marked, marked],
            y=[0, 1.05],
            mode="lines",
            name=marked_name,
            hoverinfo="name+x",
            line={"width": 1.5, "dash": "dashdot", "color": GREY},
        )
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, type="log" if log else "linear", zeroline=False)
    if log:
        figure.update_xaxes(dtick="D2" if _decades(lines) < 1.5 else 1)
    elif max(float(line.x.max()) for line in lines) <= 10:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title=titles[1], tickformat=".0%", range=[-0.02, 1.05])
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 8, "t": 8, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def _decades(lines: Sequence[Line]) -> float:
    """How many powers of ten the curves reach over."""
    x = np.concatenate([line.x[line.x > 0] for line in lines])
    return float(np.log10(x.max() / x.min())) if len(x) else 0.0


@literal
def grouped(
    values: np.ndarray, features: Sequence[str], names: Sequence[str], *, titles: tuple[str, str], height: int = 240
) -> go.Figure:
    """values [n, feature] as bars: for each feature n beside each other."""
    figure = go.Figure()
    for i, (name, row) in enumerate(zip(names, values, strict=True)):
        figure.add_bar(
            x=list(features),
            y=row,
            name=name,
            marker_color=(BEFORE, AFTER, GREY)[i],
            hovertemplate=f"{name}, %{{x}}: %{{y:.3~g}}<extra></extra>",
        )
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, type="category")
    figure.update_yaxes(title=titles[1])
    figure.update_layout(
        barmode="group",
        height=height,
        margin={"l": 56, "r": 8, "t": 8, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure
