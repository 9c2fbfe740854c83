"""Train: what is asked for on the left, the network learning on the right."""

import streamlit as st

from core.spec import events
from core.spec.commands import COMMANDS
from pages.kit import boundary, draft, exchange, location, run_bar, setup, stage, verdict
from pages.kit.words import _, fill
from pages.train import steer


def page() -> None:
    """The whole page."""
    notices = setup.begin()
    run = location.current()
    state = run_bar.state_of(run) if run else None
    steerable = state is not None and COMMANDS["set"].offers(state.status)

    controls, pictures = st.columns([0.27, 0.73], gap="medium")
    controls = controls.container(gap="xsmall")
    with pictures:
        stage.draw(
            run, caption=state.status.words if state else _("Choose what to train on the left, then press Start.")
        )
    with controls:
        for notice in notices:
            st.warning(fill(_("Part of the link was left aside: {notice}"), notice=notice), icon=":material/link_off:")
        bar = st.container()
        if steerable and run:
            with boundary.answered(gone=False):
                steer.sliders(run)
        elif state is not None and run and state.status.state == events.FINISHED:
            with boundary.answered(gone=False):
                steer.train_on(run, state)
        if run:
            draft.draw(run, named=False)
        asked = setup.draw(verdict.draw)
        with st.popover(_("As a file"), icon=":material/description:", width="stretch"):
            exchange.file_corner(asked)
        with bar, boundary.answered(gone=False):
            steer.buttons(asked.experiment if asked.possible else None, run)
    exchange.write_link(asked)
