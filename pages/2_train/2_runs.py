"""Runs"""

import streamlit as st

from pages.kit import cards, runs_table
from pages.kit import engine as doors
from pages.kit.words import _, fill, size

TRAIN, LOOK = "2_train/1_live.py", "3_look_inside/1_feature_maps.py"
SHOWN_AT_ONCE = 8  # curves in one picture

runs = doors.store().runs()
if not runs:
    st.info(_("No runs yet. Train a network, and it will be listed here."), icon=":material/list:")
    st.stop()

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
runs_table.actions(marked, TRAIN, LOOK)
if not marked:
    st.caption(_("Mark runs on the left to open, rename or delete them, or to lay their curves over each other."))
else:
    runs_table.damages(marked)
    if whole := [doors.store().run(row["id"]) for row in marked if not row["damage"]]:
        cards.overlay(whole[:SHOWN_AT_ONCE], len(whole))
total = _("{n} runs use {size} of disk space in {folder}")
st.caption(fill(total, n=len(runs), size=size(sum(run.bytes() for run in runs)), folder=str(doors.store().root)))
