"""A window over a picture, the map it makes, and the arithmetic under it.

The window is drawn solid, the receptive field dashed; both with a light edge, so that they stand out on any colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import DIVERGING, SEQUENTIAL, signed

WINDOW, FIELD, EDGE = "#c2006f", "#00795a", "rgba(255, 255, 255, 0.9)"
PADDING = "#c9ced6"
SIDE = 216  # pixels of a map's height
WIDE = 860  # pixels that the arithmetic may take
LEAST_CELL = 25  # pixels of a cell with a number in it
Titles = tuple[str, str]  # of the column axis, of the row axis


@dataclass(frozen=True)
class Window:
    """Which rows [k] and columns [l] of a picture lie under the kernel; below 0 or beyond the end in the padding."""

    rows: np.ndarray
    columns: np.ndarray
    around: tuple[int, int, int, int] = (0, 0, 0, 0)  # pixels of padding at the left, right, top and bottom


@literal
def sample(
    shown: np.ndarray, field: np.ndarray, window: Window | None, *, titles: Titles, height: int = SIDE
) -> go.Figure:
    """The network's input uint8 [height, width(, 3)], dimmed outside the receptive field bool [height, width].

    `window`: of a convolution that reads the picture itself; there it is the receptive field.
    """
    colored = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, -1)
    figure = go.Figure(go.Image(z=colored, hovertemplate=f"{titles[1]} %{{y}}, {titles[0]} %{{x}}<extra></extra>"))
    dim = np.where(field, np.nan, 1.0)
    veil = [[0, "rgba(120, 128, 140, 0.5)"], [1, "rgba(120, 128, 140, 0.5)"]]
    figure.add_heatmap(z=dim, colorscale=veil, showscale=False, hoverinfo="skip")
    if window is None:
        _line(figure, *outline(field), FIELD, dash="4px,3px")
    else:
        _draw_window(figure, window)
    return _framed(figure, field.shape, window, titles, height)


@literal
def given(values: np.ndarray, window: Window, *, titles: Titles, value: str, height: int = SIDE) -> go.Figure:
    """One map [height, width] of what a convolution gets, with the window over it."""
    figure = go.Figure(_heat(values, titles, value))
    _draw_window(figure, window)
    return _framed(figure, values.shape, window, titles, height)


@literal
def made(values: np.ndarray, row: int, column: int, *, titles: Titles, value: str, height: int = SIDE) -> go.Figure:
    """One map [height, width] of what a convolution gives, with the cell (row, column) outlined; made to be clicked."""
    figure = go.Figure(_heat(values, titles, value))
    cell = np.zeros(values.shape, dtype=bool)
    cell[row, column] = True
    _line(figure, *outline(cell), WINDOW)
    return _framed(figure, values.shape, None, titles, height)


def outline(mask: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """The border of the True cells of bool [height, width] as (x, y) of a broken line."""
    x: list[float | None] = []
    y: list[float | None] = []
    around = np.pad(mask, 1).astype(int)
    for row, column in np.argwhere(np.diff(around, axis=0)[:, 1:-1]):  # borders that lie flat
        x += [column - 0.5, column + 0.5, None]
        y += [row - 0.5, row - 0.5, None]
    for row, column in np.argwhere(np.diff(around, axis=1)[1:-1]):
        x += [column - 0.5, column - 0.5, None]
        y += [row - 0.5, row + 0.5, None]
    return x, y


def _heat(values: np.ndarray, titles: Titles, value: str) -> go.Heatmap:
    """Signed values around a neutral zero; magnitudes where none is negative."""
    low, high = signed(values)
    signs = bool((values < 0).any())
    return go.Heatmap(
        z=values,
        colorscale=DIVERGING if signs else SEQUENTIAL,
        zmin=low if signs else 0.0,
        zmax=high,
        colorbar={"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 10}, "nticks": 5, "xpad": 4},
        hovertemplate=f"{titles[1]} %{{y}}, {titles[0]} %{{x}}<br>{value} %{{z:.4g}}<extra></extra>",
    )


def _line(figure: go.Figure, x: Sequence[float | None], y: Sequence[float | None], color: str, dash: str = "") -> None:
    """A line with a light edge."""
    for width, paint, style in ((4.5, EDGE, ""), (2.2, color, dash)):
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"width": width, "color": paint, "dash": style or "solid"},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
        )


def _draw_window(figure: go.Figure, window: Window) -> None:
    """Its outline; where the kernel has gaps, each of its places too."""
    rows, columns = window.rows, window.columns
    x0, x1, y0, y1 = columns[0] - 0.5, columns[-1] + 0.5, rows[0] - 0.5, rows[-1] + 0.5
    if len(rows) * len(columns) < (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1):
        x: list[float | None] = []
        y: list[float | None] = []
        for row in rows:
            for column in columns:
                x += [column - 0.5, column + 0.5, column + 0.5, column - 0.5, column - 0.5, None]
                y += [row - 0.5, row - 0.5, row + 0.5, row + 0.5, row - 0.5, None]
        _line(figure, x, y, WINDOW)
    else:
        _line(figure, [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], WINDOW)


def _framed(figure: go.Figure, shape: tuple[int, ...], window: Window | None, titles: Titles, height: int) -> go.Figure:
    """Square cells, row 0 at the top, the padding in grey around them."""
    left, right, top, bottom = window.around if window is not None else (0, 0, 0, 0)
    x, y = (-0.5 - left, shape[1] - 0.5 + right), (shape[0] - 0.5 + bottom, -0.5 - top)
    if left or right or top or bottom:
        figure.add_shape(
            type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], fillcolor=PADDING, line_width=0, layer="below"
        )
    plain = {"showgrid": False, "zeroline": False, "nticks": 6, "tickfont": {"size": 10}, "constrain": "domain"}
    figure.update_xaxes(range=x, title={"text": titles[0], "standoff": 5}, **plain)
    figure.update_yaxes(range=y, title={"text": titles[1], "standoff": 2}, scaleanchor="x", scaleratio=1, **plain)
    figure.update_layout(height=height, margin={"l": 38, "r": 8, "t": 6, "b": 40}, showlegend=False)
    return figure


# ── the arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Products:
    """Patch, kernel and products [map, k, l] of the input maps that are shown, and the padding bool [k, l]."""

    patch: np.ndarray
    kernel: np.ndarray
    products: np.ndarray
    padding: np.ndarray

    def parts(self) -> tuple[np.ndarray, ...]:
        """The three in the order in which they are read."""
        return self.patch, self.kernel, self.products


@literal
def arithmetic(
    shown: Products, *, columns: Sequence[str], parts: Sequence[str], patch_ends: tuple[float, float], padding: str
) -> go.Figure:
    """Patch ⊙ kernel = products. One input map: side by side; several: one column each, one below the other.

    columns: a title for each input map; parts: the names of patch, kernel and products; padding: the word for it.
    """
    several = len(columns) > 1
    grid = (3, len(columns)) if several else (1, 3)
    side = square(len(columns))
    figure = make_subplots(
        *grid,
        horizontal_spacing=0.012 if several else 0.09,
        vertical_spacing=0.045 if several else 0.0,
        column_titles=list(columns) if several else list(parts),
        row_titles=None,
    )
    k, j = shown.padding.shape
    cell = side / max(k, j)
    size = int(np.clip(cell / 3.4, 8, 14)) if cell >= LEAST_CELL else 0
    ends = (patch_ends, signed(shown.kernel), signed(shown.products))
    for index, values in enumerate(shown.parts()):
        for at in range(len(columns)):
            place = (index + 1, at + 1) if several else (1, index + 1)
            _cells(figure, place, values[at], ends[index], size)
            if index == 0 and shown.padding.any():
                _padding(figure, place, values[at], shown.padding, padding, size)
        if several:
            figure.update_yaxes(title={"text": parts[index], "standoff": 4}, row=index + 1, col=1)
    _squares(figure, (k, j))
    if not several:
        _signs(figure, "×", "=")
    tall = (3 * side + 60) if several else side + 36
    used = grid[1] * side * (1.0 if several else 1.28)
    margin = {"l": 34, "r": max(4, int(WIDE - used - 34)), "t": 24, "b": 6}
    figure.update_layout(height=int(tall), margin=margin, showlegend=False)
    figure.update_annotations(font_size=12)
    figure.update_annotations(font_size=22, selector=lambda note: note.text in ("×", "="))
    return figure


def square(maps: int) -> float:
    """Pixels of the side of one patch."""
    return 156.0 if maps == 1 else min(140.0, (WIDE - 40) / maps * 0.97)


def _cells(figure: go.Figure, place: tuple[int, int], values: np.ndarray, ends: tuple[float, float], size: int) -> None:
    written = {"texttemplate": "%{z:.2f}", "textfont": {"size": size}} if size else {}
    figure.add_heatmap(
        z=values,
        colorscale=DIVERGING,
        zmin=ends[0],
        zmax=ends[1],
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="%{z:.5g}<extra></extra>",
        row=place[0],
        col=place[1],
        **written,
    )


def _padding(
    figure: go.Figure, place: tuple[int, int], values: np.ndarray, outside: np.ndarray, word: str, size: int
) -> None:
    """What lies outside the picture is crossed out lightly, and says what it is."""
    rows, columns = np.nonzero(outside)
    figure.add_heatmap(
        z=np.where(outside, values, np.nan),
        colorscale=[[0, PADDING], [1, PADDING]],
        showscale=False,
        xgap=1,
        ygap=1,
        row=place[0],
        col=place[1],
        hovertemplate=f"{word}: %{{z:.4g}}<extra></extra>",
        **({"texttemplate": "%{z:.2~f}", "textfont": {"size": size, "color": "#3a404a"}} if size else {}),
    )
    x, y = [np.stack([at - 0.5, at + 0.5, np.full(len(at), np.nan)], 1).ravel() for at in (columns, rows)]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": "rgba(90, 98, 110, 0.35)", "width": 1},
        hoverinfo="skip",
        row=place[0],
        col=place[1],
    )


def _signs(figure: go.Figure, *signs: str) -> None:
    """Between the squares that stand side by side."""
    for left, sign in enumerate(signs, 1):
        ends = figure.layout[f"xaxis{left if left > 1 else ''}"].domain[1], figure.layout[f"xaxis{left + 1}"].domain[0]
        figure.add_annotation(text=sign, x=sum(ends) / 2, y=0.5, xref="paper", yref="paper", showarrow=False)


def _squares(figure: go.Figure, shape: tuple[int, int]) -> None:
    k, j = shape
    hidden = {"showticklabels": False, "ticks": "", "showline": False, "showgrid": False, "zeroline": False}
    hidden |= {"constrain": "domain"}
    figure.update_xaxes(range=[-0.5, j - 0.5], **hidden)
    figure.update_yaxes(range=[k - 0.5, -0.5], **hidden)
    for axis in figure.select_yaxes():
        axis.update(scaleanchor=axis.anchor, scaleratio=1)
