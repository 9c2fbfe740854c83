"""The draft: the experiment that Build, Data and Train show, beside the run that the bar names."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from core.spec import specs
from core.spec.options import SpecError
from core.spec.specs import Experiment
from core.store.files import StoreError
from core.store.runs import Run
from pages.kit import setup
from pages.kit.words import Markdown, _, fill


def draw(run: Run | None, *, named: bool = True) -> None:
    """Say what the form holds: the run's own experiment, or a draft, which is not trained yet.

    named=False leaves out what the draft is, where the form that says so stands right below.
    """
    try:
        asked = setup.collect({}).experiment
    except SpecError:  # what cannot be is said under its field
        return
    trained = _experiment(run)
    if trained == asked:
        st.markdown(_(":material/check: The settings of this run."))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="draft"):
        st.markdown(words(asked) if named else _(":material/edit_note: **Draft**"), width="content")
        if run and trained:
            st.button(
                fill(_("Open run {id}"), id=f"#{run.id[:4]}"),
                key="draft.take",
                type="tertiary",
                icon=":material/undo:",
                help=_("Fill this page with the settings of the run above. The draft is lost."),
                on_click=setup.fill,
                args=(trained,),
            )


def words(asked: Experiment) -> Markdown:
    """One line."""
    return fill(_(":material/edit_note: **Draft**, not trained yet: {what}"), what=specs.title(asked))


def _experiment(run: Run | None) -> Experiment | None:
    with suppress(StoreError):
        return run.experiment() if run else None
    return None
