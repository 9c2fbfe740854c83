"""Attribution maps, one small picture each: over a picture, along a sequence, as bars, and as tints for words.

Maps of different methods have different units, so each is coloured by its own largest size: a signed map from −largest
to +largest with zero neutral, a map of sizes from 0 to largest. Hovering tells the values themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.colors import get_colorscale
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL

SIDE = 184  # pixels of a map
CURVES = 4  # features of a sequence that are drawn as curves; of more there is a heat-map
SOME = 24  # steps up to which the marks are large
DARK, LIGHT = "#000000", "#ffffff"  # inks: one of them has at least 4.5 : 1 on any colour
GREY = "#808790"
HIDDEN = {"visible": False, "fixedrange": True}

Colors = Sequence[str]  # of a scale, from its low end to its high end, at even distances


@dataclass(frozen=True)
class Scale:
    """How values become colours: `signed` says whether they have a direction; () is the scale of all other pages."""

    signed: bool = True
    colors: Colors = ()

    def stops(self) -> Colors:
        """The colours as #rrggbb or rgb(…), from low to high."""
        if self.colors:
            return self.colors
        return [str(color) for _at, color in (DIVERGING if self.signed else get_colorscale(SEQUENTIAL))]

    def plotly(self) -> list[list[object]]:
        """As plotly wants it."""
        stops = self.stops()
        return [[i / (len(stops) - 1), color] for i, color in enumerate(stops)]

    def ends(self, values: np.ndarray) -> tuple[float, float]:
        """The values at its ends."""
        most = largest(values) or 1.0  # a map of zeros has no size of its own
        return (-most if self.signed else 0.0), most

    def veil(self) -> list[list[object]]:
        """As plotly wants it, the clearer the closer to zero: a picture below can be seen."""
        made: list[list[object]] = []
        for at in np.linspace(0, 1, 21):
            red, green, blue = (round(v) for v in _at(self.stops(), float(at)))
            seen = abs(2 * at - 1) ** 0.7 if self.signed else 0.25 + 0.7 * at
            made.append([float(at), f"rgba({red},{green},{blue},{seen:.3f})"])
        return made


def largest(values: np.ndarray) -> float:
    """The largest size of a finite value; 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def extremes(values: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the largest and the smallest value are, by index."""
    flat = np.nan_to_num(values)
    return tuple(
        tuple(int(i) for i in np.unravel_index(int(at), values.shape)) for at in (flat.argmax(), flat.argmin())
    )  # type: ignore[return-value]


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def flat(values: np.ndarray) -> np.ndarray:
    """[channel, height, width] summed over the channels: [height, width]."""
    summed: np.ndarray = values.sum(0) if values.ndim == 3 else values
    return summed


def faint(shown: np.ndarray, dark: bool) -> np.ndarray:
    """A picture uint8 [height, width(, 3)] so pale, or in the dark theme so dark, that colours can be read over it."""
    grey = shown.astype(np.float32).mean(-1) if shown.ndim == 3 else shown.astype(np.float32)
    made: np.ndarray = np.rint(grey * 0.42 if dark else 255 - 0.42 * grey).astype(np.uint8)
    return made  # in the light theme its light is ink on paper


@literal
def picture(values: np.ndarray, scale: Scale, *, hover: str, under: str = "", side: int = SIDE) -> go.Figure:
    """[channel, height, width] or [height, width] as a heat-map; over the picture at the data address `under`.

    hover: what hovering says, with the places %{y} (row), %{x} (column) and %{z}.
    """
    shown = flat(values)
    height, width = shown.shape
    low, high = scale.ends(shown)
    fig = go.Figure(
        go.Heatmap(
            z=shown.astype(np.float32),
            zmin=low,
            zmax=high,
            colorscale=scale.veil() if under else scale.plotly(),
            showscale=False,
            hovertemplate=f"{hover}<extra></extra>",
        )
    )
    if under:
        fig.add_layout_image(
            source=under,
            xref="x",
            yref="y",
            x=-0.5,
            y=-0.5,
            sizex=width,
            sizey=height,
            sizing="stretch",
            layer="below",
        )
    fig.update_xaxes(**HIDDEN, range=[-0.5, width - 0.5], constrain="domain")
    fig.update_yaxes(**HIDDEN, range=[height - 0.5, -0.5], scaleanchor="x", constrain="domain")
    return _small(fig, side)


@literal
def table(values: np.ndarray, scale: Scale, *, titles: tuple[str, str], hover: str, side: int = SIDE) -> go.Figure:
    """[row, column] of no picture, such as [step, feature], as a heat-map with the first axis across."""
    low, high = scale.ends(values)
    fig = go.Figure(
        go.Heatmap(
            z=values.T.astype(np.float32),
            zmin=low,
            zmax=high,
            colorscale=scale.plotly(),
            showscale=False,
            hovertemplate=f"{hover}<extra></extra>",
        )
    )
    fig.update_xaxes(title={"text": titles[0], "standoff": 2}, nticks=5, showgrid=False, zeroline=False)
    fig.update_yaxes(title={"text": titles[1], "standoff": 2}, nticks=5, showgrid=False, zeroline=False)
    return _small(fig, side, axes=True)


# ── sequences, and a few numbers ─────────────────────────────────────────────────────────────────────────────────────


@literal
def series(
    values: np.ndarray | None,
    shown: np.ndarray,
    scale: Scale,
    *,
    x_title: str,
    y_title: str,
    hover: str,
    side: int = SIDE,
) -> go.Figure:
    """A sequence `shown` [step, feature] as curves, one above the other, each mark in the colour of its contribution.

    values: [step, feature], None for the curves alone · y_title has the place {n}, the feature · hover has the places
    %{x}, %{y} and %{customdata}, the contribution.
    """
    steps, features = shown.shape
    low, high = scale.ends(values) if values is not None else (0.0, 1.0)
    fig = make_subplots(features, 1, shared_xaxes=True, vertical_spacing=0.06)
    for n in range(features):
        marker: dict[str, object] = {"size": 4, "color": GREY}
        if values is not None:
            marker = {
                "size": 8 if steps <= SOME else 6,
                "color": values[:, n],
                "cmin": low,
                "cmax": high,
                "colorscale": scale.plotly(),
                "line": {"width": 0.6, "color": GREY},
            }
        fig.add_scatter(
            x=list(range(steps)),
            y=shown[:, n],
            mode="lines+markers",
            line={"width": 1, "color": GREY},
            marker=marker,
            customdata=None if values is None else values[:, n],
            showlegend=False,
            row=n + 1,
            col=1,
            hovertemplate=f"{hover}<extra></extra>",
        )
        title = y_title.format(n=n) if features > 1 else ""
        fig.update_yaxes(title={"text": title, "standoff": 2, "font": {"size": 10}}, row=n + 1, col=1)
    fig.update_yaxes(nticks=3, zeroline=False, tickfont={"size": 10})
    fig.update_xaxes(nticks=5, zeroline=False, tickfont={"size": 10})
    fig.update_xaxes(title={"text": x_title, "standoff": 2, "font": {"size": 11}}, row=features, col=1)
    return _small(fig, side, axes=True)


@literal
def bars(values: np.ndarray, names: Sequence[str], scale: Scale, *, hover: str, side: int = SIDE) -> go.Figure:
    """[n] numbers, one bar each; hover has the places %{x} (the name) and %{y}."""
    low, high = scale.ends(values)
    fig = go.Figure(
        go.Bar(
            x=list(names),
            y=values.astype(np.float32),
            hovertemplate=f"{hover}<extra></extra>",
            marker={
                "color": values,
                "cmin": low,
                "cmax": high,
                "colorscale": scale.plotly(),
                "line": {"width": 0.6, "color": GREY},
            },
        )
    )
    fig.update_yaxes(range=[min(0.0, low) * 1.08, high * 1.08], nticks=5, tickfont={"size": 10})
    fig.update_xaxes(type="category", tickfont={"size": 11}, tickangle=0, nticks=12)
    return _small(fig, side, axes=True)


def _small(fig: go.Figure, side: int, axes: bool = False) -> go.Figure:
    margin = {"l": 40, "r": 4, "t": 4, "b": 34} if axes else {"l": 0, "r": 0, "t": 0, "b": 0}
    fig.update_layout(height=side, margin=margin, showlegend=False, dragmode=False)
    return fig


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Tint:
    """The ground of a word and the ink on it, as #rrggbb."""

    ground: str
    ink: str


def tints(values: np.ndarray, scale: Scale) -> list[Tint]:
    """Each value's colour, with the ink that can be read on it. What is not finite counts as zero."""
    low, high = scale.ends(values)
    share = (np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) - low) / (high - low)
    return [_tint(_at(scale.stops(), float(s))) for s in np.clip(share, 0, 1)]


def _tint(color: np.ndarray) -> Tint:
    ground = "#" + "".join(f"{round(v):02x}" for v in color)
    return Tint(ground, max((DARK, LIGHT), key=lambda ink: contrast(ink, ground)))


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: np.ndarray) -> float:
    share = color / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _at(stops: Colors, share: float) -> np.ndarray:
    """The colour at `share` (0 to 1) of a scale, [red, green, blue] from 0 to 255."""
    known = np.array([_rgb(color) for color in stops])
    places = np.linspace(0, 1, len(known))
    return np.array([np.interp(share, places, known[:, c]) for c in range(3)])


def _rgb(color: str) -> np.ndarray:
    if color.startswith("rgb"):
        return np.array([float(v) for v in color[color.index("(") + 1 : -1].split(",")[:3]])
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], float)
