"""What the learner asks for on the train page: the form of an experiment, filled from a link, a file or a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from core import registry, specs
from core.options import declared
from core.specs import Experiment, TrainSpec, option_values
from pages.kit import forms
from pages.kit.words import _

MAIN = ("lr", "steps")  # the fields of TrainSpec that are always in sight
LAYERS = "own.layers"  # a model's own layers, which no field of the form shows
_PARTS = ("data.", "model.", "train.")
_PLACES = {"train.optimizer": registry.OPTIMIZERS, "train.schedule": registry.SCHEDULES}


@dataclass
class Asked:
    """What the form asks for; None when it cannot be, for the faults by address that are shown at their places."""

    experiment: Experiment
    faults: forms.Faults = field(default_factory=dict)

    @property
    def possible(self) -> bool:
        return not self.faults


# ── filling the form ─────────────────────────────────────────────────────────────────────────────────────────────────


def begin() -> list[str]:
    """Fill the form when it is first met: from the address where that asks for something, else with the start.

    A sentence for each parameter that could not be used. A link never starts a training.
    """
    if "model" in st.session_state:
        return []
    made, notices = specs.from_link(st.query_params.to_dict())
    fill(made)
    return notices


def fill(experiment: Experiment) -> None:
    """Make the form ask for this experiment (before its widgets are drawn)."""
    for address in _held(*_PARTS, LAYERS):
        del st.session_state[address]
    st.session_state["model"], st.session_state["data"] = experiment.model.architecture, experiment.data.name
    for address, value in addresses(experiment).items():
        st.session_state[address] = forms.to_widget(value)
    if experiment.model.layers:
        st.session_state[LAYERS] = json.dumps(specs.to_json(experiment.model.layers))


def addresses(experiment: Experiment) -> dict[str, Any]:
    """Everything that the form can show, by address."""
    train, data = experiment.train, experiment.data
    found = {f"data.{k}": v for k, v in option_values(data.options).items()} | {"data.seed": data.seed}
    found |= {f"model.{k}": v for k, v in option_values(experiment.model.options).items()}
    for choice, place in zip((train.optimizer, train.schedule), _PLACES, strict=True):
        found |= {place: choice.name} | {f"train.{k}": v for k, v in option_values(choice.options).items()}
    return found | {f"train.{k}": v for k, v in option_values(train).items()}


def _held(*prefixes: str) -> list[str]:
    return [str(key) for key in st.session_state if str(key).startswith(prefixes)]


def _refill(prefix: str) -> None:
    start = addresses(specs.preset(st.session_state["model"], st.session_state["data"]))
    for address in _held(prefix):
        del st.session_state[address]
    for address, value in start.items():
        if address.startswith(prefix):
            st.session_state[address] = forms.to_widget(value)


def _new_model() -> None:
    _refill("model.")
    start = addresses(specs.preset(st.session_state["model"], st.session_state["data"]))
    recommended = {f"train.{name}" for entry in registry.ARCHITECTURES for name in entry.recommended}
    for address in recommended:
        st.session_state[address] = start[address]


def _new_data() -> None:
    _refill("data.")


# ── drawing it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def draw(verdict: Callable[[Asked], None]) -> Asked:
    """Draw the form; what it asks for. `verdict` says under the preset what is to be said of the model."""
    faults: forms.Faults = {}
    _entry("data", _("data"), registry.DATASETS, _new_data)
    _entry("model", _("preset"), registry.ARCHITECTURES, _new_model)
    place = st.container(gap="xsmall")
    left, right = st.columns(2, gap="small")
    with left:
        _entry("train.optimizer", _("optimizer"), registry.OPTIMIZERS)
    with right:
        _entry("train.schedule", _("schedule"), registry.SCHEDULES)
    _train_fields(faults, MAIN)
    _more(faults)
    asked = Asked(_collect(faults), faults)
    with place:
        verdict(asked)
    return asked


def _entry(address: str, label: str, known: registry.Registry, changed: Any = None) -> None:
    titles = {entry.name: _(entry.title) for entry in known}
    st.selectbox(
        label, titles, format_func=lambda n: titles[n], key=address, on_change=changed, persist_state="session"
    )


def _more(faults: forms.Faults) -> None:
    architecture = registry.ARCHITECTURES.get(st.session_state["model"])
    network, data, training = st.columns(3, gap="xsmall")
    with network.popover(_("Network"), width="stretch"):
        if LAYERS in st.session_state:
            st.caption(_("This model has layers of its own; the preset's options do not act on them."))
            st.button(_("Use the preset's layers"), on_click=lambda: st.session_state.pop(LAYERS))
        else:
            forms.options_form("model", architecture.options, faults)
    with data.popover(_("Data"), width="stretch"):
        forms.options_form("data", registry.DATASETS.get(st.session_state["data"]).options, faults)
        seed = declared(TrainSpec)["seed"]
        words = _("Fixes which samples are for training, validation and test.")
        split = replace(seed[2], help=words, label=_("split seed"))
        forms.field("data.seed", int, 0, split, faults)
    with training.popover(_("Training"), width="stretch"):
        _train_fields(faults, tuple(name for name in declared(TrainSpec) if name not in MAIN))
        for address, known in _PLACES.items():
            forms.options_form("train", known.get(st.session_state[address]).options, faults)


def _train_fields(faults: forms.Faults, names: tuple[str, ...]) -> None:
    known = declared(TrainSpec)
    by_epochs = _number("train.epochs") > 0
    for name in names:
        forms.field(f"train.{name}", *known[name], faults, disabled=name == "steps" and by_epochs)
        if name == "steps" and by_epochs:
            st.caption(_("Epochs decide how long it trains; set them to 0 to count steps."))


def _number(address: str) -> float:
    value = st.session_state.get(address, 0)
    return value if isinstance(value, int | float) else 0


def _collect(faults: forms.Faults) -> Experiment:
    start = specs.preset(st.session_state["model"], st.session_state["data"])
    wanted = {address: st.session_state[address] for address in _held(*_PARTS)}
    own = st.session_state.get(LAYERS, "")
    made = start
    for address in sorted(wanted, key=lambda a: a not in _PLACES):
        if address not in faults and wanted[address] is not None and _is_known(made, address):
            made = specs.assign(made, {address: wanted[address]})
    if own:
        raw = {**specs.to_json(made.model), "layers": json.loads(own)}
        made = replace(made, model=specs.model_from_json(raw))
    return made


def _is_known(experiment: Experiment, address: str) -> bool:
    return address in addresses(experiment)
