"""Samples as points, the plane as a network divides it, and how well the classes are apart at every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal
from core.figures.samples import MARKS
from core.figures.scales import SEQUENTIAL

MARKS_3D = ("circle", "square", "diamond", "cross", "x", "circle-open", "square-open", "diamond-open")
GREY = "#8a919c"  # seen on a light and on a dark ground
MARK = "#e0218a"  # the current sample: no class has this colour


@dataclass(frozen=True)
class Group:
    """Points that look alike: `members` are their indices; a `letter` is drawn in the place of a mark."""

    name: str
    members: np.ndarray
    letter: str = ""


def by_class(classes: np.ndarray, names: Sequence[str], *, letters: int = 8) -> list[Group]:
    """A group for each class [n] that occurs. Of more than `letters` classes with short names, each is its name."""
    there = [int(k) for k in np.unique(classes)]
    short = len(there) > letters and all(len(names[k]) <= 2 for k in there)
    return [Group(names[k], np.flatnonzero(classes == k), names[k] if short else "") for k in there]


@literal
def cloud(  # noqa: PLR0913 (all but two are by keyword)
    points: np.ndarray,
    groups: Sequence[Group],
    *,
    samples: np.ndarray,
    hover: Sequence[str],
    titles: Sequence[str],
    marked: np.ndarray,
    marked_name: str,
    colors: Sequence[str] = (),
    height: int = 440,
) -> go.Figure:
    """Points [n, 2 or 3] with a colour and a mark for each group; customdata is the sample of each point.

    hover [n]: what is said of a point · marked [m, 2 or 3]: where the current sample is.
    """
    figure = go.Figure()
    deep = points.shape[1] == 3
    for i, group in enumerate(groups):
        color = colors[i % len(colors)] if colors else None
        symbol = (MARKS_3D if deep else MARKS)[(i + i // (len(colors) or 8)) % 8]
        at = group.members
        look = {"mode": "text", "text": [group.letter] * len(at), "textfont": {"color": color, "size": 13}}
        if not group.letter:
            look = {"mode": "markers", "marker": {"color": color, "symbol": symbol, "size": 4 if deep else 7}}
        figure.add_trace(
            _scatter(
                points[at],
                name=group.name,
                customdata=samples[at].tolist(),
                hovertext=[hover[j] for j in at],
                showlegend=not group.letter,
                **look,
            )
        )
    return _framed(figure, marked, marked_name, titles, height)


@literal
def shaded(  # noqa: PLR0913 (all but two are by keyword)
    points: np.ndarray,
    values: np.ndarray,
    *,
    samples: np.ndarray,
    hover: Sequence[str],
    titles: Sequence[str],
    marked: np.ndarray,
    marked_name: str,
    scale_title: str,
    height: int = 440,
) -> go.Figure:
    """Points [n, 2 or 3] coloured by a magnitude [n]; the rest as in `cloud`."""
    figure = go.Figure()
    marker = {
        "color": values,
        "colorscale": SEQUENTIAL,
        "size": 4 if points.shape[1] == 3 else 7,
        "colorbar": {"title": {"text": scale_title, "side": "right"}, "thickness": 12},
    }
    figure.add_trace(
        _scatter(
            points,
            mode="markers",
            marker=marker,
            customdata=samples.tolist(),
            hovertext=list(hover),
            showlegend=False,
            name="",
        )
    )
    return _framed(figure, marked, marked_name, titles, height)


def _scatter(points: np.ndarray, **more: object) -> go.Scatter | go.Scatter3d:
    hover = {"hovertemplate": "%{hovertext}<extra></extra>"}
    if points.shape[1] == 3:
        return go.Scatter3d(x=points[:, 0], y=points[:, 1], z=points[:, 2], **hover, **more)
    return go.Scatter(x=points[:, 0], y=points[:, 1], **hover, **more)


def _framed(figure: go.Figure, marked: np.ndarray, name: str, titles: Sequence[str], height: int) -> go.Figure:
    deep = marked.shape[1] == 3
    if len(marked):
        size, thick = (12 if deep else 17, 3) if len(marked) == 1 else (8 if deep else 11, 1.5)
        ring = {"symbol": "circle-open", "size": size, "color": MARK, "line": {"width": thick, "color": MARK}}
        figure.add_trace(_scatter(marked, mode="markers", marker=ring, name=name, hovertext=[name] * len(marked)))
    tall = sum(trace.showlegend is not False for trace in figure.data) > 14
    legend: dict[str, object] = {"itemsizing": "constant", "font": {"size": 11}}
    legend |= {} if tall else {"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0}
    figure.update_layout(
        height=height, legend=legend, showlegend=True, hovermode="closest", margin={"l": 52, "r": 8, "t": 8, "b": 42}
    )
    if deep:
        axis = {"backgroundcolor": "rgba(0,0,0,0)", "gridcolor": GREY, "zerolinecolor": GREY, "showbackground": False}
        axes = {f"{a}axis": {**axis, "title": {"text": t}} for a, t in zip("xyz", titles, strict=True)}
        camera = {"eye": {"x": 1.6, "y": 1.6, "z": 1.1}}  # from farther off: the axes are not cut
        figure.update_layout(scene={**axes, "aspectmode": "data", "camera": camera})
        figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0})
        return figure
    figure.update_xaxes(title={"text": titles[0], "standoff": 6}, zeroline=False)
    figure.update_yaxes(title={"text": titles[1], "standoff": 4}, zeroline=False, scaleanchor="x")
    return figure


@literal
def boundary(  # noqa: PLR0913 (all but three are by keyword)
    named: np.ndarray,
    sure: np.ndarray,
    axes: tuple[np.ndarray, np.ndarray],
    *,
    names: Sequence[str],
    points: np.ndarray,
    target: np.ndarray,
    samples: np.ndarray,
    hover: Sequence[str],
    titles: Sequence[str],
    marked: np.ndarray,
    marked_name: str,
    colors: Sequence[str],
    height: int = 440,
) -> go.Figure:
    """The plane in the colour of the class named there [row, column], the surer the stronger, and points [n, 2] on it.

    axes: the places of the columns and of the rows · sure [row, column]: probability of the named class.
    """
    figure = go.Figure()
    for k, name in enumerate(names):
        color = colors[k % len(colors)]
        figure.add_heatmap(
            z=np.where(named == k, sure, np.nan).round(3),
            x=axes[0],
            y=axes[1],
            showscale=False,
            zmin=1 / len(names),
            zmax=1.0,
            colorscale=[[0, _faint(color, 0.06)], [1, _faint(color, 0.5)]],
            hoverongaps=False,
            name=name,
            hovertemplate=f"%{{x:.2f}}, %{{y:.2f}}: {name} %{{z:.0%}}<extra></extra>",
        )
    for k, name in enumerate(names):
        at = np.flatnonzero(target == k)
        figure.add_scatter(
            x=points[at, 0],
            y=points[at, 1],
            mode="markers",
            name=name,
            customdata=samples[at].tolist(),
            hovertext=[hover[int(i)] for i in at],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={
                "color": colors[k % len(colors)],
                "symbol": MARKS[k % 8],
                "size": 7,
                "line": {"width": 1, "color": "#ffffff"},
            },
        )
    _framed(figure, marked, marked_name, titles, height)
    figure.update_xaxes(range=[float(axes[0][0]), float(axes[0][-1])], showgrid=False, constrain="domain")
    figure.update_yaxes(range=[float(axes[1][0]), float(axes[1][-1])], showgrid=False, constrain="domain")
    return figure


def _faint(color: str, strength: float) -> str:
    """#rrggbb as rgba(…) of this strength, 0…1."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


@literal
def by_layer(
    layers: Sequence[str],
    values: np.ndarray,
    *,
    chosen: str,
    chance: float,
    titles: tuple[str, str],
    chance_name: str,
    colors: Sequence[str] = (),
    height: int = 230,
) -> go.Figure:
    """A bar for each layer, from first to last; customdata is its name. The dashed line is what chance would have."""
    accent = colors[0] if colors else "#1b62a8"
    figure = go.Figure(
        go.Bar(
            x=list(layers),
            y=values,
            customdata=list(layers),
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
            marker={"color": [accent if name == chosen else GREY for name in layers]},
        )
    )
    figure.add_hline(
        y=chance,
        line={"dash": "dash", "width": 1.5, "color": MARK},
        annotation_text=chance_name,
        annotation_position="top left",
    )
    tilt = -40 if len(layers) > 8 else 0
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, type="category", tickangle=tilt)
    figure.update_yaxes(title=titles[1], tickformat=".0%", range=[min(0.0, float(np.nanmin(values))), 1.02])
    figure.update_layout(
        height=height, margin={"l": 60, "r": 8, "t": 14, "b": 70 if tilt else 44}, bargap=0.25, showlegend=False
    )
    return figure
