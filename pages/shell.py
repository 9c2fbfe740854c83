"""The frame of every page: the menu made from the folders, the run bar, the error boundary."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from pages.kit import boundary, here, run_bar, sessions, trouble
from pages.kit.titles import title
from pages.kit.words import _, plain

ROOT = Path(__file__).resolve().parent
LIVE = "train-live"  # its stage counts the steps
ASSETS = ROOT.parent / "assets"


def main() -> None:
    """Draw the frame, then the page."""
    st.set_page_config(page_title="LayerLab", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    page = st.navigation(menu(), position="top")
    st.html(ASSETS / "page.css")
    sessions.note()
    top = st.container(key="trouble")
    with boundary.answered():
        for notice in here.follow():
            st.warning(plain(notice), icon=":material/link_off:")
        if page.url_path:
            run_bar.draw(plain(page.title), counting=page.url_path != LIVE)
        page.run()
        here.write()  # what the page has changed
    with top:
        trouble.draw()


def menu() -> dict[str, list[st.Page]]:
    """Folder = section, number = order, first line of the docstring = title, address = section-stem."""
    home = ROOT / "home.py"
    sections = {"": [st.Page(home, title=_(title(home, home.stat().st_mtime)), default=True)]}
    for folder in sorted(ROOT.glob("[0-9]*_*/"), key=lambda path: _order(path)):
        name = _stem(folder)
        sections[_(name.replace("_", " ").capitalize())] = [
            st.Page(file, title=_(title(file, file.stat().st_mtime)), url_path=f"{name}-{_stem(file)}")
            for file in sorted(folder.glob("[0-9]*_*.py"), key=lambda path: _order(path))
        ]
    return {section: found for section, found in sections.items() if found}


def _order(path: Path) -> tuple[int, str]:
    return int(path.name.partition("_")[0]), path.name


def _stem(path: Path) -> str:
    return re.sub(r"^\d+_", "", path.stem)


main()
