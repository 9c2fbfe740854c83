"""What the tests call the pages, and how they come to one. Nothing heavy is imported here."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages import menu

SHORT = {"look_inside": "look", "explain": "explain"}
PAGES = {  # what the tests call a page → its address
    f"{SHORT[entry.section]}_{entry.name}" if entry.section in SHORT else entry.address.split("-")[-1]: entry.address
    for entry in menu.entries()
}
PAGES = {name.replace("model", "build").replace("live", "train"): address for name, address in PAGES.items()}


def switch(at: AppTest, page: str) -> AppTest:
    """Have the next run be that of this page; AppTest's own switch knows pages of files only."""
    at._page_hash = "" if page == "home" else calc_hash(PAGES[page])
    return at
