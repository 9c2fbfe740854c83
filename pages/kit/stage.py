"""The live stage of the current run: joins the component to the one current sample and layer."""

from __future__ import annotations

import streamlit as st

from core.catalog.loss_floor import floor, given_labels
from core.spec import registry
from core.store.files import StoreError
from core.store.runs import Run
from pages.kit import location
from pages.kit.live import HEIGHT, live_view
from pages.kit.network import made_of
from pages.kit.words import _


def draw(run: Run | None, *, caption: str = "", height: int = HEIGHT, still: bool = False) -> None:
    """Show `run` as it goes on, or the empty stage with its caption. `still`: nobody chose this run; it says so."""
    layers = shown_layers(run)
    layer = location.layer() if location.layer() in layers else ""
    floor, labels = loss_floor(run)
    live_view(
        run.id if run else None,
        sample=location.sample(),
        layer=layer,
        layers=layers,
        caption=caption,
        key="live",
        floor=floor,
        labels=labels,
        height=height,
        words={"state_finished": _("a finished run")} if still else None,
        on_sample_change=_sample_chosen,
        on_layer_change=_layer_chosen,
    )


def loss_floor(run: Run | None) -> tuple[float, str]:
    """What the run's training loss cannot fall below, and what is done to its labels; 0 where nothing is."""
    try:
        experiment = run.experiment() if run else None
    except StoreError:
        return 0.0, ""
    if experiment is None:
        return 0.0, ""
    form = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
    return floor(experiment.train, form.classes), given_labels(experiment.train)


def shown_layers(run: Run | None) -> list[str]:
    """The addresses of the run's layers, in the order of the network; none where its experiment cannot be read."""
    try:
        return [layer.name for layer in made_of(run)[0]] if run else []
    except StoreError:
        return []


def _sample_chosen() -> None:
    location.look_at(sample=int(st.session_state["live"].sample))


def _layer_chosen() -> None:
    location.look_at(layer=str(st.session_state["live"].layer))
