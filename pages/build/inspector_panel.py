"""What stands beside the stack: the network's picture, its PyTorch code, and where its sizes come from."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.figures import layers as figures
from core.figures.layers import Measure
from pages.build import network_picture
from pages.build.builder import Network
from pages.kit.cards import colors
from pages.kit.words import _

HEIGHT = 224  # pixels of what is chosen: with it the page ends at 720


def draw(network: Network) -> None:
    """One of the three, as chosen."""
    titles = {"picture": _("Picture"), "code": _("PyTorch"), "sizes": _("Sizes")}
    with st.container(horizontal=True, vertical_alignment="center", key="build.views"):
        view = st.segmented_control(
            _("view"),
            list(titles),
            format_func=lambda v: titles[v],
            default="picture",
            required=True,
            key="build.view",
            persist_state="session",
            label_visibility="collapsed",
        )
        if view == "code" and network.found and network.found.code:
            st.download_button(
                _("Download"),
                network.found.code,
                "network.py",
                "text/x-python",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key="build.code",
            )
    {"picture": network_picture.draw, "code": _code, "sizes": _sizes}[view](network)


def _code(network: Network) -> None:
    if network.found and network.found.code:
        st.code(network.found.code, language="python", height=HEIGHT)
    else:
        st.caption(_("The code of a network that cannot work is not written; mend it first."))


def _sizes(network: Network) -> None:
    rows = network.found.layers if network.found else ()
    if not rows:
        st.caption(_("There are no layers to compare yet."))
        return
    names = [row.name for row in rows]
    measures = [
        Measure(_("parameters"), [row.params for row in rows]),
        Measure(_("multiply-adds"), [row.macs for row in rows]),
        Measure(_("output (bytes)"), [row.activations for row in rows]),
    ]
    with st.container(height=HEIGHT, border=False):
        picture = figures.shares(names, measures, y_title=_("layer"), x_title=_("share (%)"), colors=colors())
        words = figures.alt(names, measures, _("Most {title}: {name}, {share}."))
        st.plotly_chart(picture, key="build.sizes", alt=words, config={"displayModeBar": False})
        with st.expander(_("Table"), icon=":material/table:"):
            st.dataframe(_table(names, measures), hide_index=True)


def _table(names: list[str], measures: list[Measure]) -> list[dict[str, Any]]:
    columns = {measure.title: measure.values for measure in measures}
    return [
        {_("layer"): name} | {title: values[i] for title, values in columns.items()} for i, name in enumerate(names)
    ]
