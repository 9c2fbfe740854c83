"""The frame of every page: the menu, the run bar, the error boundary."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages import menu, sessions
from pages.kit import boundary, location, run_bar, trouble
from pages.kit.words import plain

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT.parent / "assets"


def main() -> None:
    """Draw the frame, then the page."""
    st.set_page_config(page_title="LayerLab", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    location.follow_language()
    page = st.navigation(menu.sections(), position="top")
    st.html(ASSETS / "page.css")
    sessions.note()
    top = st.container(key="trouble")
    with boundary.answered():
        for notice in location.follow():
            st.warning(plain(notice), icon=":material/link_off:")
        if page.url_path:
            run_bar.draw(plain(page.title), counting=page.url_path != menu.TRAIN)  # its stage counts the steps
        page.run()
        location.write()  # what the page has changed
    with top:
        trouble.draw()


main()
