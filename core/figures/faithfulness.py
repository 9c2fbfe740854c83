"""What becomes of the answer while pieces of the input are deleted, or inserted, in the order of several maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.curves import DASHES
from core.figures.literal import literal

GREY, BAND = "#8a8f99", "rgba(128, 134, 143, 0.28)"


@dataclass(frozen=True)
class Lines:
    """One panel: of each method the followed number [point]; of random orders [seed, point]."""

    title: str
    x_title: str
    methods: Sequence[np.ndarray]
    random: np.ndarray


@literal
def panels(
    share: np.ndarray,
    shown: Sequence[Lines],
    names: Sequence[str],
    *,
    y_title: str,
    random: str,
    ends: tuple[float, float] | None = None,
    colors: Sequence[str] = (),
    height: int = 360,
) -> go.Figure:
    """Panels side by side over `share` [point] of the pieces, one colour and dash for a method in all of them.

    The band goes from the lowest of the random orders to the highest, the dotted line is their mean.
    """
    colors = [color for color in colors if not _grey(color)]  # grey is the random orders'
    figure = make_subplots(
        1, len(shown), subplot_titles=[one.title for one in shown], horizontal_spacing=0.07, shared_yaxes=True
    )
    x = (100 * share).tolist()
    for column, one in enumerate(shown, 1):
        first = column == 1
        for values, fill in ((one.random.min(0), None), (one.random.max(0), "tonexty")):
            figure.add_scatter(
                x=x,
                y=values,
                mode="lines",
                line={"width": 0},
                fill=fill,
                fillcolor=BAND,
                showlegend=False,
                hoverinfo="skip",
                legendgroup=random,
                row=1,
                col=column,
            )
        figure.add_scatter(
            x=x,
            y=one.random.mean(0),
            mode="lines",
            name=random,
            legendgroup=random,
            showlegend=first,
            line={"color": GREY, "width": 2, "dash": "dot"},
            hovertemplate=f"{random}: %{{y:.3g}}<extra></extra>",
            row=1,
            col=column,
        )
        for i, (name, values) in enumerate(zip(names, one.methods, strict=True)):
            figure.add_scatter(
                x=x,
                y=values,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=first,
                row=1,
                col=column,
                line={
                    "color": colors[i % len(colors)] if colors else None,
                    "width": 2,
                    "dash": DASHES[i % len(DASHES)],
                },
                hovertemplate=f"{name}: %{{y:.3g}}<extra></extra>",
            )
        figure.update_xaxes(
            title={"text": one.x_title, "standoff": 4}, range=[0, 100], zeroline=False, row=1, col=column
        )
    figure.update_yaxes(title={"text": y_title, "standoff": 4}, row=1, col=1)
    figure.update_yaxes(zeroline=True, range=list(ends) if ends else None)
    figure.update_annotations(font_size=13)
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 16, "t": 24, "b": 40},
        hovermode="x",
        showlegend=True,
        legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0, "font": {"size": 12}},
    )
    return figure


def _grey(color: str) -> bool:
    """Is `#rrggbb` hardly coloured?"""
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return max(channels) - min(channels) < 40
