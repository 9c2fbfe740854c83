"""Build: a network layer by layer, with what is wrong of it and how to mend it."""

import streamlit as st

from core.spec import registry
from pages import menu
from pages.build import builder, inspector_panel, stack
from pages.kit import exchange, forms, setup, starting
from pages.kit.words import Markdown, _, fill


def page() -> None:
    """The whole page."""
    for notice in setup.begin():
        st.warning(fill(_("Part of the link was left aside: {notice}"), notice=notice), icon=":material/link_off:")
    faults: forms.Faults = {}
    data, preset, more, buttons = st.columns([0.2, 0.22, 0.14, 0.44], gap="small", vertical_alignment="center")
    with data:
        setup.entry(
            "data",
            Markdown(_("data")),
            registry.DATASETS,
            setup.new_data,
            label_visibility="collapsed",
            icon=":material/dataset:",
        )
    with preset:
        setup.model_entry(
            Markdown(_("preset")), builder.new_preset, label_visibility="collapsed", icon=":material/layers:"
        )
    with more.popover(_("Options"), width="stretch"):
        st.markdown(_("**Preset**"))
        setup.network_fields(faults)
        st.markdown(_("**Data**"))
        setup.data_fields(faults)

    left, right = st.columns([0.62, 0.38], gap="medium")
    with right.container(height=226, border=True, gap="xsmall", key="build.layer"):
        builder.open_layer(faults)
    network = builder.network(faults)
    with left.container(gap="small"):
        stack.draw(network)
        choice, total = st.columns([0.37, 0.63], gap="small", vertical_alignment="center")
        with choice:
            stack.add(network)
        with total:
            stack.totals(network)
    with right:
        inspector_panel.draw(network)
    with buttons.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall"):
        _buttons(network)
    if not exchange.write_link(network.asked):
        st.caption(
            _("This network is too large for a link: a reload would lose it. Keep it as a file on the Train page.")
        )


def _buttons(network: builder.Network) -> None:
    """What is done with the whole network."""
    st.button(
        _("Undo"), icon=":material/undo:", type="tertiary", on_click=builder.undo, disabled=not builder.undoable()
    )
    st.button(
        _("Reset"),
        icon=":material/restart_alt:",
        type="tertiary",
        on_click=builder.reset,
        help=_("Back to the layers of the preset."),
        disabled=setup.own_layers() is None,
    )
    st.button(
        _("Clear"),
        icon=":material/clear_all:",
        type="tertiary",
        on_click=builder.clear,
        help=_("Begin from nothing."),
        disabled=not network.layers,
    )
    if st.button(
        _("Train this"),
        type="primary",
        disabled=not network.asked.possible,
        on_click=starting.start,
        args=(network.asked.experiment,),
    ):
        menu.go(menu.TRAIN)
