"""How much a class depends on concepts: their pictures, and the scores of every repeat beside those of chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal

GREY = "#8a919c"  # seen on a light and on a dark ground
FOR, AGAINST = "#d9822b", "#4a90d0"  # of the signed scale, such that both are seen on both grounds
LOOKS = {  # verdict → colour, symbol; told apart without colour, too
    "for": (FOR, "triangle-right"),
    "against": (AGAINST, "triangle-left"),
    "none": (GREY, "circle"),
    "unseen": (GREY, "x"),
    "random": (GREY, "diamond"),
}
ROW = 58  # pixels
PICTURE, NAME, SCALE = 0.052, 0.225, (0.385, 0.80)  # of the width: one picture, where the name stands, the axis


@dataclass(frozen=True)
class Row:
    """One concept: data addresses of some pictures, scores [repeat], its verdict, and what stands behind."""

    name: str
    pictures: Sequence[str]
    scores: np.ndarray
    verdict: str
    note: str
    hover: str


@literal
def scores(rows: Sequence[Row], *, x_title: str) -> go.Figure:
    """One row for each concept, the last for chance, whose spread is the band behind all."""
    random = rows[-1].scores
    mean, spread = float(random.mean()), float(random.std())
    figure = go.Figure()
    figure.add_vrect(x0=max(0.0, mean - spread), x1=min(1.0, mean + spread), fillcolor=GREY, opacity=0.16, line_width=0)
    figure.add_vline(x=mean, line={"color": GREY, "width": 1.5, "dash": "dot"})
    for i, row in enumerate(rows):
        color, symbol = LOOKS[row.verdict]
        height = -i + 0.3 * np.sin(7.0 * np.arange(len(row.scores)))  # side by side, always the same way
        figure.add_scatter(
            x=row.scores,
            y=height,
            mode="markers",
            hoverinfo="skip",
            showlegend=False,
            marker={"color": color, "size": 5, "opacity": 0.45},
        )
        figure.add_scatter(
            x=[float(row.scores.mean())],
            y=[-i],
            mode="markers",
            showlegend=False,
            marker={"color": color, "size": 15, "symbol": symbol, "line": {"width": 1.5, "color": "#ffffff"}},
            error_x={"array": [float(row.scores.std())], "color": color, "thickness": 2, "width": 5},
            hovertext=[row.hover],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.update_layout(
        images=[_image(source, k, i) for i, row in enumerate(rows) for k, source in enumerate(row.pictures)],
        annotations=[_text(row.name, NAME, i) for i, row in enumerate(rows)]
        + [_text(row.note, SCALE[1] + 0.02, i, 11) for i, row in enumerate(rows)],
        height=len(rows) * ROW + 58,
        margin={"l": 0, "r": 0, "t": 6, "b": 44},
        hovermode="closest",
    )
    figure.update_xaxes(
        domain=SCALE, range=[-0.03, 1.03], title={"text": x_title, "standoff": 6}, tickformat=".0%", zeroline=False
    )
    figure.update_yaxes(visible=False, range=[0.5 - len(rows), 0.5], fixedrange=True)
    return figure


def _image(source: str, k: int, i: int) -> dict[str, object]:
    return {
        "source": source,
        "xref": "paper",
        "yref": "y",
        "x": k * PICTURE,
        "y": -i,
        "sizex": 0.92 * PICTURE,
        "sizey": 0.82,
        "xanchor": "left",
        "yanchor": "middle",
        "sizing": "contain",
    }


def _text(text: str, x: float, i: int, size: int = 13) -> dict[str, object]:
    return {
        "text": text,
        "xref": "paper",
        "yref": "y",
        "x": x,
        "y": -i,
        "xanchor": "left",
        "yanchor": "middle",
        "align": "left",
        "showarrow": False,
        "font": {"size": size},
    }
