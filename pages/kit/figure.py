"""A figure on a page: drawn in place without flicker, in the theme's colours; its clicks come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.figures.literal import unescaped
from pages.kit.boundary import answered
from pages.kit.web_parts import web_part
from pages.kit.words import _

HEIGHT = 360  # pixels of a figure that does not say how high it is

_mount = web_part("figure", 40)


def show(fig: go.Figure, *, key: str, alt: str, on_click: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Show `fig`; `alt` says in words what is in it.

    `on_click` hears of a clicked point before the page's next rerun: curve, x, y, z, text and customdata, None where
    the trace has none. What can be done by a click must also be reachable by a widget.
    """
    height = int(fig.layout.height or HEIGHT)
    fig.update_layout(template="none")
    _mount(
        key=key,
        data={
            "figure": fig.to_json(),
            "alt": alt,
            "height": height,
            "name": key,
            "clicks": on_click is not None,
            "words": {"png": _("Download as a PNG picture")},
        },
        height=height,
        on_click_change=lambda: _clicked(key, on_click),
    )


def _clicked(key: str, on_click: Callable[[dict[str, Any]], None] | None) -> None:
    point = st.session_state[key].click
    if on_click and point:
        with answered(gone=None):
            on_click({name: unescaped(value) for name, value in dict(point).items()})
