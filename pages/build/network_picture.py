"""The network as a picture: one box a layer, drawn as large as what comes out of it; a click opens the layer."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from core.catalog.entries import WORDS, Form
from pages.build import builder, layer_list
from pages.build.builder import Network
from pages.kit.web_parts import web_part
from pages.kit.words import _

KEY = "picture"
HEIGHT = 228

_mount = web_part("picture", HEIGHT)


def draw(network: Network, *, height: int = HEIGHT) -> None:
    """The boxes in the order of the network."""
    _mount(
        key=KEY,
        data={"boxes": boxes(network), "selected": network.selected, "height": height, "words": _words()},
        on_open_change=partial(_opened, network),
    )


def _opened(network: Network) -> None:
    builder.act("open", network, str(st.session_state[KEY].open or ""))


def boxes(network: Network) -> list[dict[str, Any]]:
    """The input and every layer, each with the form that comes out of it; no form below a fault."""
    found = network.found.layers if network.found else ()
    forms = layer_list.forms(found, network.form)
    learning = {row.name for row in found if row.params}
    guilty = network.problem.layer if network.problem else ""
    shown = [_box("", _("input"), "", forms[""])]
    for layer in network.layers:
        box = _box(layer.name, layer.name, layer_list.title(layer.kind), forms.get(layer.name))
        shown.append(box | {"learns": layer.name in learning, "fault": layer.name == guilty})
    return shown


def _box(name: str, label: str, kind: str, form: Form | None) -> dict[str, Any]:
    words = f"{label}, {kind}" if kind else label
    if form:
        words += f": {_(WORDS[form.kind])} {layer_list.shape(form.shape)}"
    return {
        "name": name,
        "label": label,
        "words": words,
        "form": form.kind if form else "",
        "sizes": list(form.shape) if form else [],
        "shape": layer_list.shape(form.shape) if form else "",
        "learns": False,
        "fault": False,
    }


def _words() -> dict[str, str]:
    return {
        "picture": _("Picture of the network"),
        "legend": _("Filled: learns weights. Drawn to the logarithm of the sizes."),
    }
