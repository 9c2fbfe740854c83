"""Runs: every run, to open, rename, delete and compare."""

import streamlit as st

from pages.kit import cards
from pages.kit import engine as doors
from pages.kit.words import _, fill, size
from pages.train import runs_table

SHOWN_AT_ONCE = 8  # curves in one picture


def page() -> None:
    """The whole page."""
    runs = doors.store().runs()
    if not runs:
        st.info(_("No runs yet. Train a network, and it will be listed here."), icon=":material/list:")
        return

    rows = runs_table.rows(runs)
    words = st.text_input(
        _("Filter"),
        key="runs.filter",
        persist_state="session",
        placeholder=_("name, preset, data or state"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    found = runs_table.matching(rows, words)
    marked = runs_table.table(found)
    runs_table.actions(marked)
    if not marked:
        st.caption(_("Mark runs on the left to open, rename or delete them, or to lay their curves over each other."))
    else:
        runs_table.damages(marked)
        if whole := [doors.store().run(row["id"]) for row in marked if not row["damage"]]:
            cards.overlay(whole[:SHOWN_AT_ONCE], len(whole))
    total = _("{n} runs use {size} of disk space in {folder}")
    st.caption(fill(total, n=len(runs), size=size(sum(run.bytes() for run in runs)), folder=str(doors.store().root)))
