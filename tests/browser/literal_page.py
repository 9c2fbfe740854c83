"""Hostile values by the two ways that a page has for them: Markdown and figures. `streamlit run` by test_literal.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import streamlit as st

from core.figures import curves
from core.figures.curves import Curve
from pages.kit.words import fill, plain
from tests.hostile import ACTING, BROKEN, sendable

for i, text in enumerate((*ACTING, *BROKEN)):
    with st.container(key=f"plain{i}"):
        st.markdown(plain(text))
    with st.container(key=f"fill{i}"):
        st.warning(fill("**{name}** is wrong.", name=sendable(text)))
names = [Curve(text, [1, 2], [1.0, 2.0]) for text in ACTING]
with st.container(key="figure"):
    st.plotly_chart(curves.overlay(names, x_title=ACTING[9], y_title=ACTING[9]), key="curves")
st.text("drawn")
