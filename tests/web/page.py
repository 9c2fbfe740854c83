"""A page as LayerLab's train page is laid out: controls left, stage right."""

from __future__ import annotations

import streamlit as st

from pages.kit.live import live_view

st.set_page_config(layout="wide")
run = st.query_params.get("run", "fast-half")
chosen = st.session_state.setdefault("chosen", {"sample": 0, "layer": "conv1"})


def keep() -> None:
    """Take what the reader chose on the stage."""
    said = st.session_state["live"]
    chosen.update({name: said[name] for name in chosen if said.get(name) is not None})


left, right = st.columns([3, 10])
left.slider("learning rate", 0.0, 1.0, 0.1)
left.text(f"chosen {chosen['sample']} {chosen['layer']}")
with right:
    live_view(
        run,
        **chosen,
        layers=["conv1", "relu1", "conv2", "relu2", "gap", "linear"],
        on_sample_change=keep,
        on_layer_change=keep,
    )
