"""The one list of pages: their sections, order, titles and addresses. The pages of views come from their catalog."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import NamedTuple

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.catalog.entries import View
from core.spec import registry
from pages.kit.words import _

# addresses of pages that others lead to
HOME, BUILD, DATA, TRAIN, RUNS = "home", "build-model", "build-data", "train-live", "train-runs"
LOOK, WHY = "look_inside-feature_maps", "explain-side_by_side"


class Entry(NamedTuple):
    """A page. Its module, pages.SECTION.NAME, has a function `page` that draws it; of a view it draws the answer."""

    section: str  # a folder of pages; "" for home
    order: int  # within the section
    name: str
    title: str
    view: View | None = None

    @property
    def address(self) -> str:
        """What the page is called in a link."""
        return f"{self.section}-{self.name}" if self.section else self.name


def sections() -> dict[str, list[StreamlitPage]]:
    """Title of a section → its pages, for st.navigation."""
    titles = _titles()
    found: dict[str, list[StreamlitPage]] = {title: [] for title in titles.values()}
    for entry in entries():
        found[titles[entry.section]].append(_made(entry))
    return found


def page(address: str) -> StreamlitPage:
    """The page with this address."""
    return next(_made(entry) for entry in entries() if entry.address == address)


def go(address: str) -> None:
    """Leave for the page with this address."""
    st.switch_page(page(address))


def entries() -> list[Entry]:
    """Every page, in the order of the menu."""
    own = [
        Entry("", 0, "home", _("Home")),
        Entry("build", 10, "model", _("Build")),
        Entry("build", 20, "data", _("Data")),
        Entry("train", 10, "live", _("Train")),
        Entry("train", 20, "runs", _("Runs")),
        Entry("explain", 10, "side_by_side", _("Ask why")),
        Entry("explain", 40, "scoreboard", _("Scoreboard")),
    ]
    views = [Entry(view.section, view.order, view.name, _(view.title), view) for view in registry.VIEWS]
    places = list(_titles())
    return sorted([*own, *views], key=lambda entry: (places.index(entry.section), entry.order))


def _titles() -> dict[str, str]:
    """Section → its title, in the order of the menu."""
    return {"": "", "build": _("Build"), "train": _("Train"), "look_inside": _("Look inside"), "explain": _("Explain")}


def _made(entry: Entry) -> StreamlitPage:
    draw = partial(_draw, entry)
    return st.Page(draw, title=entry.title, url_path=entry.address, default=entry.address == HOME)


def _draw(entry: Entry) -> None:
    parts = import_module(f"pages.{entry.section}.{entry.name}" if entry.section else f"pages.{entry.name}")
    if entry.view is None or entry.view.draws_itself:
        parts.page()
    else:
        from pages.kit import look  # which itself leads to other pages

        look.show(entry.view, parts.page)
