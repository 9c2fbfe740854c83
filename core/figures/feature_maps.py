"""Feature maps made ready to be painted: a page of maps as bytes; a sequence as a heat-map, a vector as bars."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL, signed

PER_PAGE = 256  # maps: each still has some 25 pixels on a projector
SIDE = 64  # rows and columns of a map on the page of maps
LARGE_SIDE = 256  # of the one that is drawn large
KERNELS = 64  # input channels of one kernel that are drawn
TICKS = 20  # names that fit below bars
CELLS = 65_536  # of a heat-map


@dataclass(frozen=True)
class Painted:
    """Arrays as bytes: q stands for low + q / 255 · (high − low), low and high of each of the first axis."""

    data: np.ndarray  # uint8 [n, height, width]
    low: np.ndarray  # [n]
    high: np.ndarray  # [n]


def painted(values: np.ndarray) -> Painted:
    """[n, height, width] as bytes, each of the n on its own 256 levels. What is not finite is painted as zero."""
    clean = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = clean.min((1, 2)), clean.max((1, 2))
    span = np.where(high > low, high - low, 1.0)
    levels = np.rint((clean - low[:, None, None]) / span[:, None, None] * 255)
    return Painted(levels.astype(np.uint8), low, high)


def pages(count: int) -> int:
    """How many pages so many maps take."""
    return max(1, ceil(count / PER_PAGE))


def on_page(order: list[int], page: int) -> list[int]:
    """The units of a page, counted from 1; a page that is not there is the nearest one."""
    page = min(max(1, page), pages(len(order)))
    return order[(page - 1) * PER_PAGE : page * PER_PAGE]


def coarse(maps: np.ndarray, side: int) -> np.ndarray:
    """[n, height, width] averaged over k×k squares, k the smallest with which no side is longer than `side`."""
    height, width = maps.shape[1:]
    k = ceil(max(height, width) / side)
    if k <= 1:
        return maps
    rows, columns = np.arange(0, height, k), np.arange(0, width, k)
    summed = np.add.reduceat(np.add.reduceat(maps, rows, axis=1), columns, axis=2)
    counts = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    averaged: np.ndarray = summed / counts
    return averaged.astype(np.float32)


@literal
def sequence(values: np.ndarray, unit: int, *, x_title: str, y_title: str, z_title: str) -> tuple[go.Figure, int]:
    """[step, feature] as a heat-map, features upwards; and by how many steps one column goes on where all are too many.

    A line marks the chosen feature.
    """
    every = max(1, ceil(values.size / CELLS))
    shown = values[::every]
    hover = f"{x_title} %{{x}}<br>{y_title} %{{y}}<br>{z_title} %{{z:.3~g}}<extra></extra>"
    fig = go.Figure(
        go.Heatmap(
            z=shown.T, x=np.arange(0, len(values), every), hovertemplate=hover, colorbar=_bar(z_title), **_scale(values)
        )
    )
    for edge in (unit - 0.5, unit + 0.5):
        fig.add_hline(edge, line={"width": 1, "dash": "dot"})
    fig.update_layout(height=380, xaxis_title=x_title, yaxis_title=y_title, margin={"l": 56, "r": 8, "t": 8, "b": 44})
    return fig, every


@literal
def vector(
    values: np.ndarray, units: list[int], names: list[str], unit: int, *, x_title: str, y_title: str
) -> go.Figure:
    """Values [unit], those of a page as bars in the order of `units`, the chosen one outlined; `names`: of these."""
    outline = [2.0 if one == unit else 0.0 for one in units]
    hover = f"{x_title} %{{customdata}}<br>{y_title} %{{y:.3~g}}<extra></extra>"
    scale = _scale(values)
    marker = {
        "color": values[units],
        "colorscale": scale["colorscale"],
        "cmin": scale["zmin"],
        "cmax": scale["zmax"],
        "line": {"width": outline, "color": "#808080"},
    }
    at = list(range(len(units)))
    fig = go.Figure(go.Bar(x=at, y=values[units], customdata=units, marker=marker, hovertemplate=hover))
    every = ceil(len(units) / TICKS)
    ticks = {"tickvals": at[::every], "ticktext": names[::every]}
    fig.update_layout(height=340, bargap=0.1, margin={"l": 56, "r": 8, "t": 8, "b": 44})
    fig.update_xaxes(title=x_title, **ticks)
    fig.update_yaxes(title=y_title)
    return fig


def _bar(title: str) -> dict[str, object]:
    return {"title": {"text": title, "side": "right"}, "thickness": 10}


def _scale(values: np.ndarray) -> dict[str, object]:
    """Magnitudes on the sequential scale, from zero; signed values on the diverging one."""
    low, high = signed(values)
    if values.size and np.nan_to_num(values).min() >= 0:
        return {"colorscale": SEQUENTIAL, "zmin": 0.0, "zmax": high}
    return {"colorscale": DIVERGING, "zmin": low, "zmax": high}
