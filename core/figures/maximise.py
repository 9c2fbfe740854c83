"""How a unit's answer rises while a picture is made for it, beside its answers to real pictures."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.figures.literal import literal


@literal
def climb(  # noqa: PLR0913 (all but three are by keyword)
    steps: np.ndarray,
    made: np.ndarray,
    real: np.ndarray,
    *,
    x_title: str,
    y_title: str,
    made_name: str,
    best_name: str,
    mean_name: str,
    height: int = 300,
) -> go.Figure:
    """made [frame] after `steps` [frame] as a line; the largest and the mean of real [sample] as level lines."""
    hover = f"{x_title} %{{x}}<br>{y_title} %{{y:.3~g}}<extra></extra>"
    fig = go.Figure(go.Scatter(x=steps, y=made, mode="lines", name=made_name, hovertemplate=hover, line={"width": 2.5}))
    ends = [int(steps[0]), int(steps[-1])]
    for name, value, dash in ((best_name, real.max(), "dash"), (mean_name, real.mean(), "dot")):
        fig.add_trace(
            go.Scatter(
                x=ends,
                y=[float(value)] * 2,
                mode="lines",
                name=name,
                line={"width": 1.5, "dash": dash},
                hovertemplate=f"{name} %{{y:.3~g}}<extra></extra>",
            )
        )
    fig.update_layout(
        height=height,
        xaxis_title=x_title,
        yaxis_title=y_title,
        margin={"l": 56, "r": 8, "t": 8, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return fig
