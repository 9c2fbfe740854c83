"""Home: one button, one stage, and the ways on from there."""

import math
from contextlib import suppress

import streamlit as st

from core.spec import events, specs
from core.spec.specs import Experiment
from core.store.files import StoreError
from core.store.glance import glance
from core.store.runs import Run
from pages import menu
from pages.kit import engine as doors
from pages.kit import location, setup, stage, starting
from pages.kit.words import _

STAGE = 520  # pixels: it stands under title and button at 1280×720


def first_network() -> Experiment:
    """What the large button trains: small enough to be seen learning, at once."""
    return specs.assign(specs.preset("cnn", "digits"), {"train.steps": 800, "train.batch_size": 32, "train.lr": 0.0003})


def example() -> Run | None:
    """The newest run that has ended well, to show what will be seen; None where there is none."""
    for run in doors.store().runs()[:50]:
        with suppress(StoreError):
            if run.status().state == events.FINISHED and all(map(math.isfinite, glance(run).loss)):
                return run
    return None


def _going_well(run: Run | None) -> Run | None:
    """The current run, None where it has failed: that is no picture to begin with."""
    with suppress(StoreError):
        return run if run and run.status().state != events.FAILED else None
    return None


def links(run: Run) -> None:
    """Where to go from here: only what exists."""
    with st.container(horizontal=True, horizontal_alignment="center", gap="medium"):
        if st.button(_("Change it"), icon=":material/tune:", type="tertiary"):
            location.choose(run.id)
            setup.fill(run.experiment())
            menu.go(menu.TRAIN)
        if st.button(_("Look inside"), icon=":material/visibility:", type="tertiary"):
            location.choose(run.id)
            menu.go(menu.LOOK)
        if st.button(_("Ask why"), icon=":material/psychology_alt:", type="tertiary"):
            location.choose(run.id)
            menu.go(menu.WHY)
        if st.button(_("All runs"), icon=":material/list:", type="tertiary"):
            menu.go(menu.RUNS)


def page() -> None:
    """The whole page."""
    words, button = st.columns([0.66, 0.34], vertical_alignment="center")
    with words, st.container(gap="xsmall"):
        st.title(_("LayerLab"), anchor=False)
        st.markdown(_("Build a small neural network, watch it learn, ask it why."))
    with button, st.container(gap="xsmall"):
        st.button(
            _("Train your first network"),
            type="primary",
            width="stretch",
            on_click=starting.start,
            args=(first_network(),),
        )
        chosen = _going_well(location.current())
        run = chosen or example()
        if run:
            links(run)
    promise = _("Here you will watch it learn: its loss falls, its answers turn right, its maps take shape.")
    stage.draw(run, caption="" if run else promise, height=STAGE, still=run is not chosen)
