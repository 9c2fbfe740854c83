"""The builder's state and verbs: the network on the bench, the layer that is open, what was there before.

The form of the experiment (pages/kit/setup.py) is the only memory; here it is changed layer by layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from core.catalog.entries import DataForm
from core.spec import registry, specs
from core.spec.options import SpecError, coerce, declared
from core.spec.questions import Description, Problem
from core.spec.specs import LayerSpec
from pages.build import layer_list
from pages.build.layer_list import Layers
from pages.kit import boundary, forms, location, setup, verdict
from pages.kit.setup import Asked
from pages.kit.words import _, plain

OPEN = "layer:"  # begins the keys of the open layer's fields
FILLED = "layer:filled"  # the layer as its fields were filled
NOW, BEFORE = "own.now", "own.before"  # models as JSON: as last drawn, and those before the last changes
KEPT = 30  # changes that can be undone


@dataclass(frozen=True)
class Network:
    """The network on the bench: its layers, what the engine says of them, and which one is open."""

    asked: Asked
    layers: Layers
    form: DataForm
    found: Description | None  # None: there is nothing to describe
    selected: str

    @property
    def problem(self) -> Problem | None:
        return self.found.problems[0] if self.found and self.found.problems else None

    @property
    def told(self) -> Problem | None:
        """The fault or, where there is none, what the network would do badly all the same."""
        return self.problem or (self.found.remarks[0] if self.found and self.found.remarks else None)

    @property
    def layer(self) -> LayerSpec | None:
        return next((layer for layer in self.layers if layer.name == self.selected), None)


# ── what stands there ────────────────────────────────────────────────────────────────────────────────────────────────


def network(faults: forms.Faults) -> Network:
    """The network as the form has it now, described by the engine."""
    asked = setup.collect(faults)
    layers, form = _layers(asked), verdict.form_of(asked.experiment)
    found = None
    if layers:
        found = verdict.description(asked.experiment)
        for problem in found.problems[:1]:
            faults["model"] = problem.message
    elif wrong := verdict.misfit(asked.experiment):
        faults["model"] = wrong
    st.session_state[NOW] = json.dumps([specs.to_json(asked.experiment.model), setup.own_layers() is not None])
    return Network(asked, layers, form, found, _selected(layers))


def _layers(asked: Asked) -> Layers:
    """The network's own layers, or those of the preset; none where the preset cannot serve the data."""
    experiment, own = asked.experiment, setup.own_layers()
    if own is not None or verdict.misfit(experiment):
        return own or ()
    model = experiment.model
    made: Layers = registry.ARCHITECTURES.get(model.architecture).layers(model.options, verdict.form_of(experiment))
    return made


def _selected(layers: Layers) -> str:
    """The current layer of all pages where this network has it, else the first one that has options."""
    names = [layer.name for layer in layers]
    if location.layer() in names:
        return location.layer()
    return next((layer.name for layer in layers if declared(type(layer.options))), names[0] if names else "")


# ── changing it ──────────────────────────────────────────────────────────────────────────────────────────────────────


def put(layers: Layers, select: str) -> None:
    """Make these the network's layers and open one of them; it can be undone."""
    _remember()
    setup.keep_layers(layers)
    location.look_at(layer=select)


def _remember() -> None:
    st.session_state[BEFORE] = [*st.session_state.get(BEFORE, []), st.session_state.get(NOW, "")][-KEPT:]


def undoable() -> bool:
    """Is there a change to take back?"""
    return bool(st.session_state.get(BEFORE))


def undo() -> None:
    """Take the last change back."""
    *rest, last = st.session_state[BEFORE]
    st.session_state[BEFORE] = rest
    raw, own = json.loads(last)
    model = specs.model_from_json(raw)
    setup.put_model(replace(model, layers=()), model.layers if own else None)


def reset() -> None:
    """Back to the preset's layers."""
    _remember()
    setup.keep_layers(None)


def clear() -> None:
    """Begin from nothing."""
    put((), "")


def new_preset() -> None:
    """Another preset fills the builder."""
    _remember()
    setup.keep_layers(None)
    setup.new_model()


def use_preset(name: str) -> None:
    """The mend of a preset that cannot serve the data."""
    st.session_state["model"] = name
    new_preset()


def act(verb: str, on: Network, name: str) -> None:
    """One verb on the layer called `name`: open, up, down, copy, delete, mend. A callback."""
    with boundary.answered(gone=None):
        if verb == "mend" and on.told and on.told.mended:
            changed = layer_list.changed_names(on.layers, on.told.mended)
            put(on.told.mended, changed[0] if changed else on.selected)
        elif name in (layer.name for layer in on.layers):
            _VERBS[verb](on.layers, name)


_VERBS: dict[str, Callable[[Layers, str], None]] = {
    "open": lambda _layers, name: location.look_at(layer=name),
    "up": lambda layers, name: put(layer_list.moved(layers, name, -1), name),
    "down": lambda layers, name: put(layer_list.moved(layers, name, 1), name),
    "copy": lambda layers, name: put(*layer_list.copied(layers, name)),
    "delete": lambda layers, name: put(*layer_list.without(layers, name)),
}


def add(on: Network, key: str) -> None:
    """Put the chosen kind of layer after the open one. The callback of the choice under `key`."""
    kind = st.session_state[key]
    st.session_state[key] = None
    if kind:
        with boundary.answered(gone=None):
            put(*layer_list.inserted(on.layers, on.selected, kind, on.form))


# ── the open layer ───────────────────────────────────────────────────────────────────────────────────────────────────


def open_layer(faults: forms.Faults) -> None:
    """The fields of the open layer; a change acts at once, and a value that cannot be is answered under its field."""
    layers = _layers(setup.collect(dict(faults)))
    at = layer_list.index_of(layers, _selected(layers))
    if at < 0:
        st.caption(_("The options of a layer appear here once there is one."))
        return
    layer = layers[at]
    st.markdown(f"**{plain(layer.name)}** · {plain(layer_list.title(layer.kind))}")
    _fill(layer)
    options = type(layer.options)
    if not declared(options):
        st.caption(_("This layer has no options."))
        return
    forms.options_form(f"{OPEN}{layer.name}", options, faults, columns=3 if len(declared(options)) <= 6 else 4)
    changed = layer_list.with_options(layers, layer.name, _values(layer, faults))
    if changed != layers:
        st.session_state[FILLED] = specs.canonical(changed[at])
        put(changed, layer.name)


def _fill(layer: LayerSpec) -> None:
    """Fill the fields from the layer, unless they were filled from just this one already."""
    if st.session_state.get(FILLED) == specs.canonical(layer):
        return
    for key in [key for key in st.session_state if str(key).startswith(OPEN)]:
        del st.session_state[key]
    for name, value in specs.option_values(layer.options).items():
        st.session_state[f"{OPEN}{layer.name}.{name}"] = forms.to_widget(value)
    st.session_state[FILLED] = specs.canonical(layer)


def _values(layer: LayerSpec, faults: forms.Faults) -> dict[str, Any]:
    """What the fields say, but for those that are at fault or not drawn."""
    found = {}
    for name, (kind, _default, option) in declared(type(layer.options)).items():
        address = f"{OPEN}{layer.name}.{name}"
        if address in st.session_state and address not in faults:
            try:
                found[name] = coerce(name, kind, st.session_state[address], option)
            except SpecError:  # a field that does not apply now and holds what cannot be
                continue
    return found
