"""The loss along lines and over planes through weight space, and a run's path over such a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures.curves import DASHES
from core.figures.literal import literal
from core.figures.scales import SEQUENTIAL

HEIGHT = 420
INK, PAPER = "#16181d", "#ffffff"  # of what is drawn on the filled plane, in both themes
APART = 0.1  # of the plane's side: labels of moments keep so far from each other
TINY = 1e-12  # a loss of zero has no logarithm


@dataclass(frozen=True)
class Path:
    """A run's moments over a plane. place: [moment, 2]; shown: index of the one that is looked at, −1 for none."""

    step: np.ndarray
    place: np.ndarray
    own: np.ndarray  # the loss of each moment's own network
    shown: int = -1
    names: tuple[str, str] = ("step", "loss")  # of a moment's step, and of its own loss


@literal
def lines(
    distance: np.ndarray,
    loss: np.ndarray,
    *,
    names: Sequence[str],
    centre: str,
    x_title: str,
    y_title: str,
    log: bool = False,
) -> go.Figure:
    """loss [direction, point] over distance [point]; `centre` names the model itself, which lies on every line."""
    figure = go.Figure()
    for k, (name, values) in enumerate(zip(names, loss, strict=True)):
        figure.add_scatter(
            x=distance,
            y=_gaps(values),
            name=name,
            mode="lines+markers",
            marker={"size": 4},
            line={"dash": DASHES[k % len(DASHES)], "width": 2},
            hovertemplate="%{y:.4g}",
        )
    middle = len(distance) // 2
    figure.add_scatter(
        x=distance[middle : middle + 1],
        y=_gaps(loss[0, middle : middle + 1]),
        name=centre,
        mode="markers",
        marker={"symbol": "star", "size": 14, "color": "#ffffff", "line": {"color": INK, "width": 1.5}},
        hoverinfo="skip",
        cliponaxis=False,
    )
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": "#80868f"})
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 60, "r": 10, "t": 10, "b": 46},
        hovermode="x unified",
        showlegend=True,
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
        xaxis_title=x_title,
        yaxis_title=y_title,
    )
    figure.update_xaxes(zeroline=False, hoverformat=".3g")
    _loss_axis(figure, loss, log)
    return figure


@literal
def plane(
    xs: np.ndarray,
    ys: np.ndarray,
    loss: np.ndarray,
    *,
    titles: tuple[str, str],
    value: str,
    log: bool = False,
    top: float | None = None,
    path: Path | None = None,
) -> go.Figure:
    """The loss [y, x] as a filled map with contour lines, and over it the path, or a star where the model is.

    titles: of the axes · value: what the loss is called · top: losses above it are drawn in its colour; None where
    that is not needed.
    """
    shown = np.where(np.isfinite(loss), loss, np.nan)
    shown = np.minimum(shown, top) if top is not None else shown
    figure = go.Figure(
        go.Contour(
            x=xs,
            y=ys,
            z=_gaps2(_scaled(shown, log)),
            customdata=_gaps2(loss),
            colorscale=SEQUENTIAL,
            ncontours=18,
            contours={"coloring": "heatmap", "showlines": True},
            line={"width": 0.6, "color": "rgba(255,255,255,0.55)"},
            colorbar=_bar(shown, value, log),
            hovertemplate=f"{titles[0]} %{{x:.3g}}<br>{titles[1]} %{{y:.3g}}<br>{value} %{{customdata:.4g}}"
            "<extra></extra>",
        )
    )
    if path is None:
        figure.add_scatter(x=[0], y=[0], mode="markers", marker=_star(), hoverinfo="skip")
    else:
        _draw_path(figure, path, (xs, ys))
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 60, "r": 10, "t": 10, "b": 46},
        showlegend=False,
        xaxis_title=titles[0],
        yaxis_title=titles[1],
        hoverlabel_align="left",
    )
    figure.update_xaxes(range=[xs[0], xs[-1]], constrain="domain", zeroline=False, showgrid=False)
    figure.update_yaxes(range=[ys[0], ys[-1]], constrain="domain", zeroline=False, showgrid=False)
    if path is None:
        figure.update_yaxes(scaleanchor="x")
    return figure


@literal
def rings(
    xs: np.ndarray, ys: np.ndarray, loss: np.ndarray, *, x_title: str, y_title: str, log: bool = False
) -> go.Figure:
    """Every point of a plane: its loss [y, x] over its distance from the middle."""
    far = np.hypot(*np.meshgrid(xs, ys)).ravel()
    figure = go.Figure(
        go.Scatter(
            x=far,
            y=_gaps(loss.ravel()),
            mode="markers",
            marker={"size": 4, "opacity": 0.7},
            hovertemplate=f"{x_title} %{{x:.3g}}<br>{y_title} %{{y:.4g}}<extra></extra>",
        )
    )
    figure.update_layout(
        height=HEIGHT, margin={"l": 60, "r": 10, "t": 10, "b": 46}, xaxis_title=x_title, yaxis_title=y_title
    )
    figure.update_xaxes(zeroline=False)
    _loss_axis(figure, loss, log)
    return figure


@literal
def moments(
    step: np.ndarray,
    own: np.ndarray,
    drawn: np.ndarray,
    *,
    names: tuple[str, str],
    x_title: str,
    y_title: str,
    log: bool = False,
) -> go.Figure:
    """The moments of a path, one beside the other: the loss of each itself, and that of its shadow on the plane."""
    figure = go.Figure()
    for name, values, dash, symbol in zip(names, (own, drawn), DASHES, ("circle", "diamond-open"), strict=False):
        figure.add_scatter(
            x=[f"{s:,}" for s in step],
            y=_gaps(values),
            name=name,
            mode="lines+markers",
            hovertemplate="%{y:.4g}",
            line={"dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 7},
        )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 60, "r": 10, "t": 10, "b": 46},
        hovermode="x unified",
        showlegend=True,
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
        xaxis_title=x_title,
        yaxis_title=y_title,
    )
    figure.update_xaxes(type="category", zeroline=False, nticks=9, tickangle=0)
    _loss_axis(figure, np.concatenate([own, drawn]), log)
    return figure


def ceiling(loss: np.ndarray, keep: Sequence[float] | np.ndarray = ()) -> float | None:
    """Up to where colours are told apart, so that a few high points leave some for the rest; None: as far as it goes.

    It is the loss that 9 of 10 points stay below, and never less than the losses to `keep`.
    """
    finite = loss[np.isfinite(loss)]
    if not finite.size:
        return None
    kept = [float(v) for v in keep if np.isfinite(v)]
    top = max([float(np.quantile(finite, 0.9)), *kept])
    return top if float(finite.max()) > 1.5 * top else None


def labelled(place: np.ndarray, spans: tuple[float, float]) -> list[int]:
    """Indices of moments that have room for a label: the last, the first, then each far from those before it."""
    chosen: list[int] = []
    scaled = place / np.where(np.array(spans) > 0, spans, 1.0)
    for i in dict.fromkeys([len(place) - 1, 0, *range(len(place))]):
        if all(np.hypot(*(scaled[i] - scaled[k])) > APART for k in chosen):
            chosen.append(i)
    return sorted(chosen)


def _draw_path(figure: go.Figure, path: Path, axes: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = path.place.T
    figure.add_scatter(x=x, y=y, mode="lines", line={"width": 5, "color": INK}, hoverinfo="skip")
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"width": 2.2, "color": PAPER},
        marker={"size": 8, "color": PAPER, "line": {"color": INK, "width": 1.5}},
        customdata=np.stack([path.step, path.own], -1).tolist(),
        hovertemplate=f"{path.names[0]} %{{customdata[0]:,}}<br>{path.names[1]} %{{customdata[1]:.4g}}<extra></extra>",
    )
    if path.shown >= 0:
        figure.add_scatter(
            x=x[path.shown :][:1], y=y[path.shown :][:1], mode="markers", marker=_star(), hoverinfo="skip"
        )
    spans = (float(np.ptp(axes[0])), float(np.ptp(axes[1])))
    for i in labelled(path.place, spans):
        figure.add_annotation(
            x=x[i],
            y=y[i],
            text=f"{path.step[i]:,}",
            showarrow=False,
            yshift=15,
            bgcolor="rgba(22,24,29,0.7)",
            font={"color": PAPER, "size": 11},
            borderpad=1,
        )


def _star() -> dict[str, object]:
    return {"symbol": "star", "size": 15, "color": PAPER, "line": {"color": INK, "width": 1.5}}


def _scaled(loss: np.ndarray, log: bool) -> np.ndarray:
    return np.asarray(np.log10(np.maximum(loss, TINY))) if log else loss


def _bar(shown: np.ndarray, value: str, log: bool) -> dict[str, object]:
    """The colour bar; on a logarithmic scale its marks are losses, 1, 2 and 5 a decade while there is room."""
    bar: dict[str, object] = {"title": {"text": value, "side": "right"}, "thickness": 12, "outlinewidth": 0}
    finite = shown[np.isfinite(shown)]
    if not log or not finite.size:
        return bar
    low, high = (float(v) for v in _scaled(np.array([finite.min(), finite.max()]), True))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    marks = [m * 10.0**e for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in steps]
    inside = [m for m in marks if low <= np.log10(m) <= high]
    return {**bar, "tickvals": [float(np.log10(m)) for m in inside], "ticktext": [f"{m:g}" for m in inside]}


def _loss_axis(figure: go.Figure, loss: np.ndarray, log: bool) -> None:
    finite = loss[np.isfinite(loss)]
    if log and finite.size and finite.max() > 0:
        figure.update_yaxes(type="log", dtick=1 if finite.max() > 1e3 * max(float(finite.min()), TINY) else None)
    else:
        figure.update_yaxes(rangemode="tozero")


def _gaps(values: np.ndarray) -> list[float | None]:
    """Numbers that cannot be drawn are gaps."""
    return [float(v) if np.isfinite(v) else None for v in values]


def _gaps2(values: np.ndarray) -> list[list[float | None]]:
    return [_gaps(row) for row in values]
