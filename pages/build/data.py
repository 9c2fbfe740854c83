"""Data: what a data set holds."""

import streamlit as st

from core.catalog.entries import VECTOR
from core.spec import registry
from core.spec.questions import Preview
from pages import menu
from pages.build import data_facts
from pages.kit import exchange, forms, samples, setup, verdict, waiting
from pages.kit.words import _, fill
from pages.menu import BUILD, TRAIN

PICTURES, POINTS = 24, 600  # samples asked for


def page() -> None:
    """The whole page."""
    for notice in setup.begin():
        st.warning(fill(_("Part of the link was left aside: {notice}"), notice=notice), icon=":material/link_off:")
    faults: forms.Faults = {}
    controls, stage = st.columns([0.25, 0.75], gap="medium")
    with controls.container(gap="small"):
        setup.entry("data", _("data"), registry.DATASETS, setup.new_data)
        go = st.container(horizontal=True, gap="xsmall")
        with st.container(gap="xsmall"):
            setup.data_fields(faults)
    asked = setup.collect(faults)
    with go:
        broken = any(address.startswith("data.") for address in faults)
        for label, kind, address in (
            (_("Train on this"), "primary", TRAIN),
            (_("Build for it"), "secondary", BUILD),
        ):
            if st.button(label, type=kind, disabled=broken):
                setup.serve(verdict.fitting_presets(asked.experiment))
                menu.go(address)
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
