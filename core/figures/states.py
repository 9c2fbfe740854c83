"""The memory of a recurrent cell: states and gates over a sequence, the path of the state, what it says on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL, signed

PATH = "#d55e00"  # of the sample looked at; at least 3 : 1 against both themes' backgrounds
BAR = "#3a8fc9"
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "pentagon", "x", "triangle-down", "hexagon", "star")
CLASSES = 12  # rows of answers drawn; of more the most likely ones
TICKS = 14  # names along an axis; more run into each other
PANEL = 205  # pixels


@dataclass(frozen=True)
class Panel:
    """One picture [step, unit]: a gate from 0 to 1, or a signed value."""

    title: str
    values: np.ndarray
    gate: bool = False


@literal
def panels(
    shown: Sequence[Panel],
    steps: Sequence[str],
    order: Sequence[int],
    *,
    x_title: str,
    y_title: str,
    scales: tuple[str, str] = ("", ""),
) -> go.Figure:
    """Signed panels above, gates below; units from top to bottom in `order`. scales: names of their two colour bars.

    Signed panels within ±1 share that scale; one that goes beyond has its own, told in its title.
    """
    rows = [row for row in ([p for p in shown if not p.gate], [p for p in shown if p.gate]) if row]
    columns = max(len(row) for row in rows)
    titles = [row[i].title + _scale_words(row[i]) if i < len(row) else "" for row in rows for i in range(columns)]
    figure = make_subplots(
        len(rows),
        columns,
        subplot_titles=titles,
        horizontal_spacing=0.035,
        vertical_spacing=0.11,
        shared_xaxes="all",
        shared_yaxes="all",
    )
    for r, row in enumerate(rows, 1):
        for c, panel in enumerate(row, 1):
            trace = _heat(panel, order, x_title, y_title, len(steps))
            if c == 1:
                trace.update(showscale=True, colorbar=_bar(r, len(rows), scales[panel.gate]))
            figure.add_trace(trace, row=r, col=c)
    places, names = ticks(steps)
    figure.update_xaxes(tickvals=[p + 1 for p in places], ticktext=names, showgrid=False, zeroline=False, tickangle=0)
    figure.update_yaxes(autorange="reversed", type="category", nticks=8, showgrid=False, tickfont={"size": 10})
    figure.update_yaxes(title={"text": y_title, "standoff": 4}, automargin=True, col=1)
    figure.update_xaxes(title={"text": x_title, "standoff": 4}, row=len(rows))
    figure.update_annotations(font_size=12)
    figure.update_layout(height=60 + PANEL * max(len(rows), 1.3), margin={"l": 10, "r": 10, "t": 22, "b": 40})
    return figure


def _scale_words(panel: Panel) -> str:
    most = signed(panel.values)[1]
    return "" if panel.gate or most <= 1 else f" (±{most:.3g})"


def _heat(panel: Panel, order: Sequence[int], x_title: str, y_title: str, steps: int) -> go.Heatmap:
    low, high = (0.0, 1.0) if panel.gate else signed(panel.values)
    if not panel.gate and high <= 1:
        low, high = -1.0, 1.0
    return go.Heatmap(
        z=panel.values.T[list(order)].astype(np.float32),
        x=list(range(1, steps + 1)),
        y=[str(unit) for unit in order],
        zmin=low,
        zmax=high,
        colorscale=SEQUENTIAL if panel.gate else DIVERGING,
        showscale=False,
        hovertemplate=f"{panel.title}<br>{x_title} %{{x}}<br>{y_title} %{{y}}<br>%{{z:.3f}}<extra></extra>",
    )


def _bar(row: int, rows: int, title: str) -> dict[str, object]:
    share = 1 / rows
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickfont": {"size": 10},
        "len": share * 0.86,
        "nticks": 5,
        "y": 1 - (row - 0.5) * share,
        "yanchor": "middle",
        "title": {"text": title, "side": "right", "font": {"size": 11}},
    }


def ticks(names: Sequence[str], most: int = TICKS) -> tuple[list[int], list[str]]:
    """(places from 0, names there): all, or every few of them."""
    stride = max(1, math.ceil(len(names) / most))
    places = list(range(0, len(names), stride))
    return places, [str(names[p])[:8] for p in places]


@dataclass(frozen=True)
class Route:
    """trajectory [step, 2] among ends [sample, 2]: of classes with `names`, or of numbers where there are none."""

    trajectory: np.ndarray
    ends: np.ndarray
    targets: np.ndarray  # [sample]
    names: Sequence[str]
    steps: Sequence[str]


@literal
def path(route: Route, *, titles: tuple[str, str], step: str, start: str, end: str, sample: str) -> go.Figure:
    """The way of the state through a plane, among the places where other samples end."""
    trajectory, ends, targets, names, steps = route.trajectory, route.ends, route.targets, route.names, route.steps
    figure = go.Figure()
    if names:
        _classes(figure, ends, targets.astype(int), names, sample)
    else:
        figure.add_scattergl(
            x=ends[:, 0],
            y=ends[:, 1],
            mode="markers",
            showlegend=False,
            customdata=list(range(len(ends))),
            marker={
                "size": 6,
                "color": targets,
                "colorscale": SEQUENTIAL,
                "showscale": True,
                "colorbar": {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 10}},
            },
            hovertemplate=f"{sample} %{{customdata}}: %{{marker.color:.3f}}<extra></extra>",
        )
    said = [f"{t + 1}" if name == str(t + 1) else f"{t + 1} ({name})" for t, name in enumerate(steps)]
    figure.add_scatter(
        x=trajectory[:, 0],
        y=trajectory[:, 1],
        mode="lines+markers",
        showlegend=False,
        text=said,
        line={"color": PATH, "width": 2},
        marker={"size": 4, "color": PATH},
        hovertemplate=f"{step} %{{text}}<extra></extra>",
    )
    for place, text in ((0, start), (-1, end)):
        figure.add_scatter(
            x=[trajectory[place, 0]],
            y=[trajectory[place, 1]],
            mode="markers+text",
            text=[f"<b>{text}</b>"],
            textposition="top center",
            showlegend=False,
            hoverinfo="skip",
            marker={"size": 11, "color": PATH, "symbol": "circle-open" if place == 0 else "star", "line": {"width": 2}},
        )
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, zeroline=False)
    figure.update_yaxes(title={"text": titles[1], "standoff": 4}, zeroline=False)
    figure.update_layout(height=330, margin={"l": 50, "r": 8, "t": 8, "b": 42}, hovermode="closest")
    return figure


def _classes(figure: go.Figure, ends: np.ndarray, targets: np.ndarray, names: Sequence[str], sample: str) -> None:
    """One trace a class, its name written where its points lie."""
    for label in sorted(set(targets.tolist())):
        places = np.flatnonzero(targets == label)
        name = names[label] if 0 <= label < len(names) else str(label)
        figure.add_scatter(
            x=ends[places, 0],
            y=ends[places, 1],
            mode="markers",
            name=name,
            customdata=places.tolist(),
            opacity=0.55,
            marker={"size": 6, "symbol": SYMBOLS[label % len(SYMBOLS)]},
            showlegend=False,
            hovertemplate=f"{sample} %{{customdata}}: {name}<extra></extra>",
        )
        x, y = np.median(ends[places], 0)
        figure.add_annotation(x=x, y=y, text=f"<b>{name}</b>", showarrow=False, font={"size": 13})


@literal
def answers(
    told: np.ndarray, names: Sequence[str], steps: Sequence[str], *, right: int, x_title: str, y_title: str, value: str
) -> go.Figure:
    """told [step, class], one row a class; that of the class that is right is written bold."""
    shown = np.sort(np.argsort(-told.max(0), kind="stable")[:CLASSES])
    labels = [str(names[k])[:14] if k < len(names) else str(k) for k in shown]
    figure = go.Figure(
        go.Heatmap(
            z=told[:, shown].T.astype(np.float32),
            x=list(range(1, len(told) + 1)),
            y=list(range(len(shown))),
            zmin=0,
            zmax=1,
            colorscale=SEQUENTIAL,
            customdata=[[label] * len(told) for label in labels],
            colorbar={
                "thickness": 10,
                "outlinewidth": 0,
                "tickfont": {"size": 10},
                "nticks": 5,
                "title": {"text": value, "side": "right", "font": {"size": 11}},
            },
            hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{customdata}}<br>{value} %{{z:.3f}}<extra></extra>",
        )
    )
    places, said = ticks(steps)
    bold = [f"<b>▸ {label}</b>" if k == right else label for k, label in zip(shown, labels, strict=True)]
    figure.update_xaxes(
        title={"text": x_title, "standoff": 4},
        tickvals=[p + 1 for p in places],
        ticktext=said,
        showgrid=False,
        zeroline=False,
        tickangle=0,
    )
    figure.update_yaxes(
        title={"text": y_title, "standoff": 4},
        tickvals=list(range(len(shown))),
        ticktext=bold,
        autorange="reversed",
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    figure.update_layout(height=330, margin={"l": 10, "r": 8, "t": 8, "b": 42})
    return figure


@literal
def number(told: np.ndarray, target: float | None, steps: Sequence[str], *, x_title: str, y_title: str) -> go.Figure:
    """told [step, 1]: the number after every step, and the one that was asked for."""
    figure = go.Figure(
        go.Scatter(
            x=list(range(1, len(told) + 1)),
            y=told[:, 0],
            mode="lines+markers",
            line={"color": BAR, "width": 2},
            marker={"size": 5},
            hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{y:.3f}}<extra></extra>",
            showlegend=False,
        )
    )
    if target is not None:
        figure.add_hline(y=target, line={"color": PATH, "width": 2, "dash": "dot"})
    places, said = ticks(steps)
    figure.update_xaxes(title={"text": x_title, "standoff": 4}, tickvals=[p + 1 for p in places], ticktext=said)
    figure.update_yaxes(title={"text": y_title, "standoff": 4})
    figure.update_layout(height=330, margin={"l": 55, "r": 8, "t": 8, "b": 42})
    return figure


@literal
def separation(values: np.ndarray, best: Sequence[int], *, x_title: str, unit: str) -> go.Figure:
    """The units that tell the classes apart best, as bars, with the middle one of all units dotted."""
    figure = go.Figure(
        go.Bar(
            x=[float(values[k]) for k in best],
            y=[f"{unit} {k}" for k in best],
            orientation="h",
            marker={"color": BAR},
            hovertemplate=f"%{{y}}<br>{x_title} %{{x:.3f}}<extra></extra>",
        )
    )
    figure.add_vline(x=float(np.median(values)), line={"color": PATH, "width": 2, "dash": "dot"})
    figure.update_xaxes(range=[0, 1], title={"text": x_title, "standoff": 4}, tickformat=".0%")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, automargin=True)
    figure.update_layout(height=60 + 24 * max(4, len(best)), margin={"l": 10, "r": 12, "t": 6, "b": 42}, bargap=0.3)
    return figure
