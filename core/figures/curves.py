"""Curves of several runs over one axis of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.figures.literal import literal

POINTS = 1500  # drawn of one curve; more cannot be told apart
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # told apart without colour


@dataclass(frozen=True)
class Curve:
    """One line: `steps` rise, `values` may hold non-finite numbers, which are gaps."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    best: int | None = None  # the step that is marked as the best

    def finite(self) -> list[tuple[int, float]]:
        """The points that can be drawn."""
        return [(s, v) for s, v in zip(self.steps, self.values, strict=True) if math.isfinite(v)]


@literal
def overlay(
    curves: Sequence[Curve], *, x_title: str, y_title: str, log: bool = False, colors: Sequence[str] = ()
) -> go.Figure:
    """The curves over each other; each has its own colour (of `colors`, else of the template) and dash."""
    figure = go.Figure()
    for i, curve in enumerate(curves):
        points = thinned(curve)
        figure.add_scatter(
            x=[s for s, _v in points],
            y=[v if math.isfinite(v) else None for _s, v in points],
            name=curve.name,
            mode="lines+markers" if len(points) < 40 else "lines",
            marker={"size": 5},
            hovertemplate="%{y:.4g}",
            line={"dash": DASHES[i % len(DASHES)], "width": 2, "color": colors[i % len(colors)] if colors else None},
        )
    for i, curve in enumerate(curves):  # after all lines, so that each keeps its colour
        if mark := [(s, v) for s, v in curve.finite() if s == curve.best]:
            figure.add_scatter(
                x=[s for s, _v in mark],
                y=[v for _s, v in mark],
                mode="markers",
                showlegend=False,
                name=curve.name,
                hovertemplate="%{y:.4g} ★",
                marker={"size": 13, "symbol": "star", "color": colors[i % len(colors)] if colors else None},
            )
    figure.update_layout(
        xaxis_title=x_title,
        yaxis_title=y_title,
        hovermode="x unified",
        showlegend=True,
        height=340,
        margin={"l": 60, "r": 10, "t": 10, "b": 45},
        yaxis_type="log" if log else "linear",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def thinned(curve: Curve) -> list[tuple[int, float]]:
    """Of at most POINTS / 2 stretches the lowest and the highest point, and the last of all: no spike is lost."""
    points = list(zip(curve.steps, curve.values, strict=True))
    if len(points) <= POINTS:
        return points
    size, kept = math.ceil(2 * len(points) / POINTS), set[int]()
    for start in range(0, len(points), size):
        stretch = [i for i in range(start, min(len(points), start + size)) if math.isfinite(points[i][1])]
        if stretch:
            kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
        else:
            kept.add(start)  # a gap
    return [points[i] for i in sorted(kept | {len(points) - 1})]


def table(curves: Sequence[Curve]) -> list[dict[str, float | str | int | None]]:
    """One row a curve: how it began, its best and its last value."""
    rows: list[dict[str, float | str | int | None]] = []
    for curve in curves:
        points = curve.finite()
        values = [v for _s, v in points]
        rows.append(
            {
                "name": curve.name,
                "points": len(points),
                "first": values[0] if values else None,
                "lowest": min(values, default=None),
                "highest": max(values, default=None),
                "last": values[-1] if values else None,
                "last_step": points[-1][0] if points else None,
            }
        )
    return rows


def alt(curves: Sequence[Curve], sentence: str) -> str:
    """The picture in words; `sentence` has the places {name}, {first}, {last} and {step}."""
    said = []
    for row in table(curves):
        if row["points"]:
            said.append(
                sentence.format(
                    name=row["name"],
                    first=f"{row['first']:.3g}",
                    last=f"{row['last']:.3g}",
                    step=row["last_step"],
                )
            )
    return " ".join(said)
