"""How the layers of a network share its parameters, its arithmetic and its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.literal import literal

ROW = 19  # pixels a layer


@dataclass(frozen=True)
class Measure:
    """One number a layer: `title` names it with its unit, `values` in the order of the layers."""

    title: str
    values: Sequence[float]

    def shares(self) -> list[float]:
        """In percent of the sum; all zero where the sum is."""
        total = sum(self.values)
        return [100 * value / total if total else 0.0 for value in self.values]


@literal
def shares(
    names: Sequence[str], measures: Sequence[Measure], *, y_title: str, x_title: str, colors: Sequence[str] = ()
) -> go.Figure:
    """One column of bars a measure over the same layers, each bar the share of its layer."""
    figure = make_subplots(
        1,
        len(measures),
        shared_yaxes=True,
        subplot_titles=[measure.title for measure in measures],
        horizontal_spacing=0.04,
    )
    for column, measure in enumerate(measures, 1):
        figure.add_bar(
            y=list(names),
            x=measure.shares(),
            customdata=list(measure.values),
            orientation="h",
            row=1,
            col=column,
            marker_color=colors[(column - 1) % len(colors)] if colors else None,
            hovertemplate="%{y}: %{customdata:,} (%{x:.1f} %)<extra></extra>",
        )
    figure.update_xaxes(range=[0, 100], tickvals=[0, 50], title={"text": x_title, "standoff": 4})
    figure.update_yaxes(autorange="reversed", tickfont={"size": 11}, type="category")
    figure.update_yaxes(title_text=y_title, row=1, col=1)
    figure.update_layout(
        height=90 + ROW * len(names),
        margin={"l": 10, "r": 10, "t": 26, "b": 40},
        showlegend=False,
        bargap=0.3,
    )
    figure.update_annotations(font_size=12)
    return figure


def alt(names: Sequence[str], measures: Sequence[Measure], sentence: str) -> str:
    """The picture in words; `sentence` has the places {title}, {name} and {share} of the layer with most."""
    said = []
    for measure in measures:
        found = measure.shares()
        if names and max(found) > 0:
            most = max(range(len(names)), key=lambda i: found[i])
            said.append(sentence.format(title=measure.title, name=names[most], share=f"{found[most]:.0f} %"))
    return " ".join(said)
