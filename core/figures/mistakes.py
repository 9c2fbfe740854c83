"""What a network says beside what is: counts of mistakes, trust in its confidence, numbers, steps, and the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal
from core.figures.scales import SEQUENTIAL

GREY = "#8a919c"  # seen on a light and on a dark ground
FAINT = "rgba(138, 145, 156, 0.12)"
WRONG = "#d6453d"
WRITTEN = 20  # classes up to which the counts stand in the cells


@literal
def confusion(
    counts: np.ndarray,
    names: Sequence[str],
    *,
    titles: tuple[str, str],
    hover: str,
    scale_title: str,
    only_mistakes: bool = True,
    chosen: tuple[int, int] = (-1, -1),
    height: int = 440,
) -> go.Figure:
    """Counts [target, predicted]: a row is what the samples are, a column what the network says.

    Classes that never occur are left out. customdata of a cell: [target, predicted], the classes' numbers. `hover` has
    the places {target}, {predicted} and {n}. With only_mistakes the diagonal has no colour, so that a few mistakes
    beside many right answers can be seen. chosen: the row and column that are framed, −1 = all.
    """
    there = [int(one) for one in np.flatnonzero(counts.sum(0) + counts.sum(1))]
    found, k = counts[np.ix_(there, there)], len(there)
    shown = np.where(found > 0, found, np.nan)  # an empty cell has no colour: one mistake is seen beside many
    if only_mistakes:
        np.fill_diagonal(shown, np.nan)
    cells = [[[t, p] for p in there] for t in there]
    said = [[hover.format(target=names[t], predicted=names[p], n=f"{counts[t, p]:,}") for p in there] for t in there]
    most = float(np.nanmax(shown)) if k and np.isfinite(shown).any() else 0.0
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=list(range(k)),
            y=list(range(k)),
            customdata=cells,
            hovertext=said,
            hoverongaps=True,
            hovertemplate="%{hovertext}<extra></extra>",
            colorscale=SEQUENTIAL,
            zmin=0,
            zmax=most or 1.0,
            xgap=1,
            ygap=1,
            colorbar={
                "title": {"text": scale_title, "side": "right"},
                "thickness": 12,
                "tickformat": ",d",
                "tick0": 0,
                "dtick": _step(most),
            },
        )
    )
    if only_mistakes:  # the cells without a colour are as large, can still be clicked, and say what they are
        figure.add_heatmap(
            z=np.where(np.eye(k) > 0, 0.0, np.nan),
            x=list(range(k)),
            y=list(range(k)),
            customdata=cells,
            text=[[f"{n:,}" if i == j else "" for j, n in enumerate(row)] for i, row in enumerate(found.tolist())],
            texttemplate="%{text}" if k <= WRITTEN else None,
            textfont={"color": GREY},
            hovertext=said,
            hovertemplate="%{hovertext}<extra></extra>",
            hoverongaps=False,
            showscale=False,
            xgap=1,
            ygap=1,
            colorscale=[[0, FAINT], [1, FAINT]],
        )
    figure.update_layout(annotations=_written(found, shown, most) if k <= WRITTEN else [])
    for axis, title in ((figure.layout.xaxis, titles[0]), (figure.layout.yaxis, titles[1])):
        axis.update(
            tickvals=list(range(k)),
            ticktext=[names[i] for i in there],
            showgrid=False,
            zeroline=False,
            title={"text": title, "standoff": 6},
            tickfont={"size": 12 if k <= 30 else 8},
            tickangle=0,
            range=[-0.5, k - 0.5],
            constrain="domain",
        )
    figure.update_yaxes(range=[k - 0.5, -0.5], scaleanchor="x")
    figure.update_layout(height=height, margin={"l": 56, "r": 8, "t": 10, "b": 46}, shapes=_frames(there, chosen))
    return figure


def _step(most: float) -> int:
    """From one tick of the counts' scale to the next: 1, 2 or 5 times a power of ten, so that about six are seen."""
    least = max(1.0, most / 6)
    power = 10 ** math.floor(math.log10(least))
    return int(next(power * times for times in (1, 2, 5, 10) if power * times >= least))


def _written(found: np.ndarray, shown: np.ndarray, most: float) -> list[dict[str, object]]:
    """The counts of the coloured cells that are not empty; dark on bright, bright on dark."""
    cells = [(int(t), int(p)) for t, p in np.argwhere((found > 0) & np.isfinite(shown))]
    return [
        {
            "x": p,
            "y": t,
            "text": f"{found[t, p]:,}",
            "showarrow": False,
            "font": {"color": "#101418" if found[t, p] > 0.5 * most else "#ffffff"},
        }
        for t, p in cells
    ]


def _frames(there: list[int], chosen: tuple[int, int]) -> list[dict[str, object]]:
    """A frame around the chosen cell, row or column."""
    ends = []
    for one in chosen:
        if one >= 0 and one not in there:
            return []
        ends.append((there.index(one) - 0.5, there.index(one) + 0.5) if one >= 0 else (-0.5, len(there) - 0.5))
    if chosen == (-1, -1):
        return []
    (y0, y1), (x0, x1) = ends
    return [{"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "line": {"color": WRONG, "width": 3}}]


@literal
def reliability(  # noqa: PLR0913 (all but four are by keyword)
    edges: np.ndarray,
    count: np.ndarray,
    confidence: np.ndarray,
    accuracy: np.ndarray,
    *,
    titles: tuple[str, str, str],
    names: tuple[str, str],
    hover: str,
    colors: Sequence[str] = (),
    height: int = 400,
) -> go.Figure:
    """How often answers are right, by how sure the network is; on the dashed line the two agree. Below: how many.

    titles: of the confidence, the accuracy and the counts · names: of the bars and of the line · hover has the places
    {low}, {high}, {n}, {confidence}, {accuracy}.
    """
    accent = colors[0] if colors else "#1b62a8"
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.05)
    middle, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    said = [
        hover.format(
            low=f"{edges[i]:.0%}",
            high=f"{edges[i + 1]:.0%}",
            n=f"{int(count[i]):,}",
            confidence=f"{confidence[i]:.1%}",
            accuracy=f"{accuracy[i]:.1%}",
        )
        if count[i]
        else ""
        for i in range(len(count))
    ]
    bars = {"x": middle, "width": width * 0.94, "hovertext": said, "hovertemplate": "%{hovertext}<extra></extra>"}
    figure.add_bar(y=accuracy, name=names[0], marker_color=accent, row=1, col=1, **bars)
    dashes = {"dash": "dash", "color": GREY, "width": 2}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name=names[1], line=dashes, hoverinfo="skip", row=1, col=1)
    figure.add_scatter(
        x=confidence,
        y=accuracy,
        mode="markers",
        showlegend=False,
        hovertext=said,
        row=1,
        col=1,
        cliponaxis=False,
        marker={"color": accent, "size": 8, "line": {"color": "#ffffff", "width": 1.5}},
        hovertemplate="%{hovertext}<extra></extra>",
    )
    figure.add_bar(y=count, showlegend=False, marker_color=GREY, row=2, col=1, **bars)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, row=2, col=1)
    figure.update_yaxes(range=[0, 1.03], tickformat=".0%", title=titles[1], row=1, col=1)
    figure.update_yaxes(title=titles[2], nticks=3, row=2, col=1)
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 22, "t": 8, "b": 44},
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
    )
    return figure


@literal
def per_class(
    names: Sequence[str],
    precision: np.ndarray,
    recall: np.ndarray,
    *,
    titles: tuple[str, str],
    measures: tuple[str, str],
    colors: Sequence[str] = (),
    height: int = 400,
) -> go.Figure:
    """For each class a line from its precision to its recall, the worst class first; NaN is left out."""
    worst = np.fmin(np.nan_to_num(precision, nan=1.0), np.nan_to_num(recall, nan=1.0))
    order = np.argsort(worst, kind="stable")
    figure = go.Figure()
    at = list(range(len(order)))
    lines = [(i, i, None) for i in at]
    ends = [(precision[k], recall[k], None) for k in order]
    figure.add_scatter(
        x=[x for line in lines for x in line],
        y=[y for end in ends for y in end],
        mode="lines",
        line={"color": GREY, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    for i, (name, values) in enumerate(zip(measures, (precision, recall), strict=True)):
        figure.add_scatter(
            x=at,
            y=values[order],
            mode="markers",
            name=name,
            customdata=[names[k] for k in order],
            hovertemplate="%{customdata}: %{y:.1%}",
            marker={
                "size": 10,
                "symbol": ("circle", "diamond")[i],
                "color": colors[i % len(colors)] if colors else None,
            },
        )
    figure.update_xaxes(
        title={"text": titles[0], "standoff": 6},
        tickvals=at,
        ticktext=[names[k] for k in order],
        tickfont={"size": 12 if len(at) <= 30 else 8},
        tickangle=0 if len(at) <= 50 else -60,
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(title=titles[1], tickformat=".0%")
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 8, "t": 8, "b": 46},
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
    )
    return figure


@literal
def numbers(  # noqa: PLR0913 (all but two are by keyword)
    target: np.ndarray,
    predicted: np.ndarray,
    *,
    samples: np.ndarray,
    titles: tuple[str, str],
    line: str,
    name: str,
    current: int,
    current_name: str,
    colors: Sequence[str] = (),
    height: int = 440,
) -> go.Figure:
    """What the network answers against what is right; on the dashed line they are one. customdata: the sample."""
    accent = colors[0] if colors else "#1b62a8"
    ends = [float(np.nanmin(target)), float(np.nanmax(target))]
    figure = go.Figure(
        go.Scatter(
            x=target,
            y=predicted,
            mode="markers",
            customdata=samples.tolist(),
            name=name,
            marker={"size": 5, "color": accent, "opacity": 0.55},
            hovertemplate="%{customdata}: %{x:.3f} → %{y:.3f}",
        )
    )
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name=line, line={"dash": "dash", "color": GREY, "width": 2}, hoverinfo="skip"
    )
    at = np.flatnonzero(samples == current)
    figure.add_scatter(
        x=target[at],
        y=predicted[at],
        mode="markers",
        name=current_name,
        marker={"symbol": "circle-open", "size": 17, "color": WRONG, "line": {"width": 3}},
        hovertemplate="%{x:.3f} → %{y:.3f}",
    )
    figure.update_xaxes(title={"text": titles[0], "standoff": 6}, zeroline=False)
    figure.update_yaxes(title=titles[1], zeroline=False)
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 8, "t": 8, "b": 46},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
    )
    return figure


@literal
def by_step(
    accuracy: np.ndarray, asked: np.ndarray, *, titles: tuple[str, str], colors: Sequence[str] = (), height: int = 400
) -> go.Figure:
    """The share answered right at each step of the rows; steps at which nothing is asked have none."""
    figure = go.Figure(
        go.Scatter(
            x=list(range(len(accuracy))),
            y=accuracy,
            customdata=asked,
            mode="lines+markers",
            line={"color": colors[0] if colors else None, "width": 2},
            marker={"size": 6},
            hovertemplate="%{x}: %{y:.1%} (%{customdata:,})<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": titles[0], "standoff": 6}, zeroline=False)
    figure.update_yaxes(title=titles[1], tickformat=".0%", range=[-0.02, 1.02])
    figure.update_layout(height=height, margin={"l": 60, "r": 8, "t": 10, "b": 46}, showlegend=False)
    return figure


@dataclass(frozen=True)
class Tile:
    """One sample of a gallery: the address of its picture, what stands under it, what hovering says."""

    source: str
    caption: str
    hover: str
    sample: int
    wrong: bool = False
    current: bool = False


@literal
def gallery(tiles: Sequence[Tile], *, columns: int = 12, height: int = 92) -> go.Figure:
    """Samples side by side, wrong ones framed; customdata is the sample's number.

    height: pixels of a row of tiles.
    """
    rows = -(-len(tiles) // columns)
    at = [(i % columns, -(i // columns)) for i in range(len(tiles))]
    figure = go.Figure(
        go.Scatter(
            x=[x for x, _y in at],
            y=[y + 0.12 for _x, y in at],
            mode="markers",
            customdata=[t.sample for t in tiles],
            hovertext=[t.hover for t in tiles],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={"symbol": "square", "size": height * 0.68, "opacity": 0.01, "color": GREY},
        )
    )
    figure.add_scatter(
        x=[x for x, _y in at],
        y=[y - 0.4 for _x, y in at],
        mode="text",
        text=[t.caption for t in tiles],
        hoverinfo="skip",
        textfont={"color": [WRONG if t.wrong else GREY for t in tiles], "size": 12},
    )
    half = 0.36
    figure.update_layout(
        images=[
            {
                "source": t.source,
                "xref": "x",
                "yref": "y",
                "x": x,
                "y": y + 0.12,
                "xanchor": "center",
                "yanchor": "middle",
                "sizex": 0.84,
                "sizey": 0.72,
                "sizing": "contain",
                "layer": "below",
            }
            for t, (x, y) in zip(tiles, at, strict=True)
        ],
        shapes=[
            {
                "type": "rect",
                "x0": x - 0.44,
                "x1": x + 0.44,
                "y0": y + 0.12 - half - 0.02,
                "y1": y + 0.14 + half,
                "line": {"color": WRONG, "width": 3},
            }
            for t, (x, y) in zip(tiles, at, strict=True)
            if t.current
        ],
        height=rows * height + 8,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
        showlegend=False,
        hovermode="closest",
    )
    figure.update_xaxes(visible=False, range=[-0.5, columns - 0.5], fixedrange=True)
    figure.update_yaxes(visible=False, range=[0.5 - rows, 0.5], fixedrange=True)
    return figure
