"""What the learner asks for on the train page: the form of an experiment, filled from a link, a file or a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from core.catalog.applies import check_experiment
from core.catalog.entries import Architecture
from core.spec import registry, specs
from core.spec.options import SpecError, declared
from core.spec.specs import Experiment, LayerSpec, ModelSpec, TrainSpec, option_values
from pages import menu
from pages.kit import forms, location, visitors
from pages.kit.words import Markdown, _, plain

MAIN = ("lr", "steps")  # the fields of TrainSpec that are always in sight
OWN, BUILT_FOR = "own.box", "own.data"  # the choice in the preset's place; the data that the own layers were made for
LAYERS = "own.layers"  # a model's own layers as JSON, which no field of the form shows; "[]": nothing built yet
NOTHING = "[]"
_PARTS = ("data.", "model.", "train.")
_PLACES = {"train.optimizer": registry.OPTIMIZERS, "train.schedule": registry.SCHEDULES}
AUGMENTATION = "train.augmentation"  # names of a catalog's entries, of which there may be several


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
    made, notices = specs.from_link(location.address())
    fill(made)
    if location.address().get("layers") == NOTHING:
        st.session_state[LAYERS] = NOTHING
    return notices


def fill(experiment: Experiment) -> None:
    """Make the form ask for this experiment (before its widgets are drawn)."""
    for address in _held(*_PARTS, LAYERS, BUILT_FOR):
        del st.session_state[address]
    st.session_state["model"], st.session_state["data"] = experiment.model.architecture, experiment.data.name
    for address, value in addresses(experiment).items():
        st.session_state[address] = forms.to_widget(value)
    keep_layers(experiment.model.layers or None)


def put_model(model: ModelSpec, own: tuple[LayerSpec, ...] | None) -> None:
    """Make the form ask for this model and leave everything else (before its widgets are drawn)."""
    for address in _held("model."):
        del st.session_state[address]
    st.session_state["model"] = model.architecture
    for name, value in option_values(model.options).items():
        st.session_state[f"model.{name}"] = forms.to_widget(value)
    keep_layers(own)


def own_layers() -> tuple[LayerSpec, ...] | None:
    """The network's own layers; None where the preset makes them; empty where nothing is built yet."""
    raw = st.session_state.get(LAYERS)
    return specs.model_from_json({"layers": json.loads(raw)}).layers if raw else None


def keep_layers(layers: tuple[LayerSpec, ...] | None) -> None:
    """Make these the network's own layers (None: the preset's again)."""
    if layers is None:
        st.session_state.pop(LAYERS, None)
        st.session_state.pop(BUILT_FOR, None)
    else:
        st.session_state[LAYERS] = json.dumps(specs.to_json(layers))
        st.session_state[BUILT_FOR] = st.session_state["data"]


def addresses(experiment: Experiment) -> dict[str, Any]:
    """Everything that the form can show, by address."""
    train, data = experiment.train, experiment.data
    found = {f"data.{k}": v for k, v in option_values(data.options).items()} | {"data.seed": data.seed}
    found |= {f"model.{k}": v for k, v in option_values(experiment.model.options).items()}
    found |= {"train.optimizer": train.optimizer.name, "train.schedule": train.schedule.name}
    found[AUGMENTATION] = [choice.name for choice in train.augmentation]
    for chosen in specs.choices_of(train).values():
        for choice in chosen:
            found |= {f"train.{k}": v for k, v in option_values(choice.options).items()}
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


def new_model() -> None:
    """Another preset has been chosen: its own layers and options, and the settings it recommends."""
    keep_layers(None)
    _refill("model.")
    start = addresses(specs.preset(st.session_state["model"], st.session_state["data"]))
    recommended = {f"train.{name}" for entry in registry.ARCHITECTURES for name in entry.recommended}
    for address in recommended:
        st.session_state[address] = start[address]
        if address in _PLACES:
            _new_choice(address)


def serve(presets: list[Architecture]) -> None:
    """Have a model that can serve the data: the chosen one, or else the first of these presets."""
    names = [one.name for one in presets]
    if names and own_layers() is None and st.session_state["model"] not in names:
        st.session_state["model"] = names[0]
        new_model()


def new_data() -> None:
    """Another data set has been chosen: its options."""
    _refill("data.")


def use_data(name: str) -> None:
    """Choose this data set. A callback."""
    st.session_state["data"] = name
    new_data()


def built_for() -> str:
    """The data set that the own network was built for, where another one is chosen now; "" otherwise."""
    name = str(st.session_state.get(BUILT_FOR, ""))
    return name if name in registry.DATASETS and name != st.session_state["data"] else ""


def _new_choice(address: str) -> None:
    """Another optimizer or schedule has been chosen: its own defaults, also where names are shared."""
    for name, (_kind, default, _option) in declared(_PLACES[address].get(st.session_state[address]).options).items():
        st.session_state[f"train.{name}"] = forms.to_widget(default)


# ── drawing it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def draw(verdict: Callable[[Asked], None]) -> Asked:
    """Draw the form; what it asks for. `verdict` says under the preset what is to be said of the model."""
    faults: forms.Faults = {}
    entry("data", Markdown(_("data")), registry.DATASETS, new_data)
    model_entry(Markdown(_("preset")), new_model)
    if own_layers() is not None and st.button(_("Edit"), icon=":material/edit:", type="tertiary", key="own.edit"):
        menu.go(menu.BUILD)
    place = st.container(gap="xsmall")
    left, right = st.columns(2, gap="small")
    with left:
        entry("train.optimizer", Markdown(_("optimizer")), registry.OPTIMIZERS, _new_choice, args=("train.optimizer",))
    with right:
        entry("train.schedule", Markdown(_("schedule")), registry.SCHEDULES, _new_choice, args=("train.schedule",))
    for column, name in zip(st.columns([0.56, 0.44], gap="small"), MAIN, strict=True):
        with column:
            _train_fields(faults, (name,))
    _more(faults)
    asked = collect(faults)
    _misfit(asked)
    with place:
        verdict(asked)
    return asked


def _misfit(asked: Asked) -> None:
    """A setting that the chosen data cannot use, said in sight: its field may be folded away."""
    try:
        check_experiment(asked.experiment)
    except SpecError as error:
        asked.faults[error.field] = error.message
        forms.mistake(error.message)


def entry(address: str, label: Markdown, known: registry.Registry, changed: Any = None, **more: Any) -> None:
    """The choice of one entry of a catalog, kept at its address."""
    titles = {one.name: _(one.title) for one in known}
    st.selectbox(
        label, titles, format_func=lambda n: titles[n], key=address, on_change=changed, persist_state="session", **more
    )


def model_entry(label: Markdown, changed: Callable[[], None], **more: Any) -> None:
    """The choice of a preset. A network that was built layer by layer stands there first, as what it is."""
    own = own_layers()
    if own is None:
        entry("model", label, registry.ARCHITECTURES, changed, **more)
        return
    titles = {OWN: _("Your own network")}  # a browser sends it back as it is written: it must not change by itself
    titles |= {one.name: _(one.title) for one in registry.ARCHITECTURES}
    st.selectbox(
        label,
        list(titles),
        format_func=lambda n: titles[n],
        key=OWN,
        on_change=_leave_own,
        args=(changed,),
        **more,
    )


def _leave_own(changed: Callable[[], None]) -> None:
    name = st.session_state.pop(OWN)
    if name != OWN:
        use_preset(name, changed)


def use_preset(name: str, changed: Callable[[], None] | None = None) -> None:
    """Take this preset with the settings that it recommends; an own network's layers are let go. A callback.

    changed: what is done instead where the page keeps what was there before.
    """
    st.session_state["model"] = name
    if changed is None:
        changed = new_model
    changed()


def network_fields(faults: forms.Faults) -> None:
    """The preset's options; where the network has its own layers, the way back to the preset's."""
    if LAYERS in st.session_state:
        st.caption(_("This model has layers of its own; the preset's options do not act on them."))
        st.button(_("Use the preset's layers"), on_click=keep_layers, args=(None,))
        return
    options = registry.ARCHITECTURES.get(st.session_state["model"]).options
    if declared(options):
        forms.options_form("model", options, faults)
    else:
        st.caption(_("This preset has no options."))


def data_fields(faults: forms.Faults) -> None:
    """The options of the data set, and the seed of its split."""
    options = registry.DATASETS.get(st.session_state["data"]).options
    forms.options_form("data", options, faults)
    for address in (f"data.{name}" for name in declared(options) if name == "path"):
        if fault := visitors.file_fault(st.session_state[address]):
            faults[address] = fault
            forms.mistake(fault)
    seed = declared(TrainSpec)["seed"]
    words = _("Fixes which samples are for training, validation and test.")
    split = replace(seed[2], help=words, label=_("split seed"))
    forms.field("data.seed", int, 0, split, faults)


def _more(faults: forms.Faults) -> None:
    network, data, training = st.columns(3, gap="xsmall")
    with network.popover(_("Network"), width="stretch"):
        network_fields(faults)
    with data.popover(_("Data"), width="stretch"):
        data_fields(faults)
    with training.popover(_("Training"), width="stretch"):
        training_fields(faults)


def training_fields(faults: forms.Faults) -> None:
    """All settings of the training but those in sight: plain ones, the choices' own, then group by group."""
    grouped: dict[str, list[str]] = {}
    for name, (_kind, _default, option) in declared(TrainSpec).items():
        if name not in MAIN and forms.applies("train", TrainSpec, option):
            grouped.setdefault(option.group, []).append(name)
    _train_fields(faults, tuple(grouped.pop("", [])))
    for address, known in _PLACES.items():
        chosen = known.get(st.session_state[address])
        _section(_(chosen.title), chosen.options, faults)
    st.caption(_("Augmentation"))
    help = plain(_("How training pictures are varied."))
    forms.several(AUGMENTATION, plain(_("augmentation")), registry.AUGMENTATIONS, help)
    for name in st.session_state[AUGMENTATION]:
        forms.options_form("train", registry.AUGMENTATIONS.get(name).options, faults)
    for group, names in grouped.items():
        st.caption(_(group))
        _train_fields(faults, tuple(names))


def _section(title: str, options: type, faults: forms.Faults) -> None:
    if declared(options):
        st.caption(plain(title))
        forms.options_form("train", options, faults)


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


def collect(faults: forms.Faults) -> Asked:
    """What the form asks for, without the fields that cannot be."""
    start = specs.preset(st.session_state["model"], st.session_state["data"])
    wanted = {address: st.session_state[address] for address in _held(*_PARTS)}
    made, own = start, own_layers()
    for address in sorted(wanted, key=lambda a: a not in (*_PLACES, AUGMENTATION)):
        if address not in faults and wanted[address] is not None and _is_known(made, address):
            made = specs.assign(made, {address: wanted[address]})
    if own is not None:
        made = replace(made, model=replace(made.model, layers=own))
    if own == ():
        faults["model"] = _("The network has no layers yet.")
    return Asked(made, faults)


def _is_known(experiment: Experiment, address: str) -> bool:
    return address in addresses(experiment)
