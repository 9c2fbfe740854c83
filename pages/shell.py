"""The frame of every page: the menu, the run bar, the error boundary."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from pages import menu, sessions
from pages.kit import boundary, draft, location, run_bar, trouble
from pages.kit.words import plain

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT.parent / "assets"


DRAFTING = (menu.BUILD, menu.DATA)  # pages about what is not trained yet


def _bar(page: StreamlitPage) -> DeltaGenerator:
    counting = page.url_path != menu.TRAIN  # whose stage counts the steps
    return run_bar.draw(plain(page.title), counting=counting, drafting=page.url_path in DRAFTING)


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
        place = _bar(page) if page.url_path else None
        page.run()
        if place is not None and page.url_path in DRAFTING:
            with place:
                draft.draw(location.current())
        location.write()  # what the page has changed
    with top:
        trouble.draw()


main()
