"""Data: what a data set holds."""

import streamlit as st

from core.catalog.entries import VECTOR
from core.spec import registry
from core.spec.questions import Preview
from core.spec.specs import Experiment
from pages import menu
from pages.build import data_facts
from pages.kit import boundary, exchange, forms, samples, setup, starting, verdict, waiting
from pages.kit.words import Markdown, _, fill
from pages.menu import BUILD, TRAIN

PICTURES, POINTS = 24, 600  # samples asked for


def _train(shown: Experiment) -> None:
    """Start the network of the form, or the first preset that can serve this data; what cannot be is told on Train."""
    setup.serve(verdict.fitting_presets(shown))
    with boundary.answered(gone=None):
        asked = setup.collect({})
        if asked.possible and not verdict.description(asked.experiment).problems:
            starting.start(asked.experiment)


def page() -> None:
    """The whole page."""
    for notice in setup.begin():
        st.warning(fill(_("Part of the link was left aside: {notice}"), notice=notice), icon=":material/link_off:")
    faults: forms.Faults = {}
    controls, stage = st.columns([0.25, 0.75], gap="medium")
    with controls.container(gap="small"):
        setup.entry("data", Markdown(_("data")), registry.DATASETS, setup.new_data)
        go = st.container(horizontal=True, gap="xsmall")
        with st.container(gap="xsmall"):
            setup.data_fields(faults)
    asked = setup.collect(faults)
    with go:
        broken = any(address.startswith("data.") for address in faults)
        if st.button(_("Train on this"), type="primary", disabled=broken, on_click=_train, args=(asked.experiment,)):
            menu.go(TRAIN)
        if st.button(_("Build for it"), disabled=broken):
            setup.serve(verdict.fitting_presets(asked.experiment))
            menu.go(BUILD)
    with stage:
        count = POINTS if verdict.form_of(asked.experiment).kind == VECTOR else PICTURES
        found = waiting.answer(Preview(asked.experiment.data, count))
        if found is not None:
            samples.draw(found)
            picture, words = st.columns([0.56, 0.44], gap="medium")
            with picture:
                data_facts.counts(found)
            with words:
                data_facts.facts(found)
    exchange.write_link(asked)
