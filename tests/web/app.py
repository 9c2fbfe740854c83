"""The stage in a real Streamlit, over the harness's routes: `streamlit run tests/web/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import streamlit as st

from tests.web.harness import ROUTES

app = st.App(Path(__file__).with_name("page.py"), routes=ROUTES)
