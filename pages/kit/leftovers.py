"""What the session keeps of one run, checked against the next.

A drawing, a sample's number, a layer, a head, a class: each was chosen for one network and one data set. Before a page
is drawn, what does not fit the current run gives way to the nearest thing that does, without a word: nobody asked for
it here. `location` calls this for every page.
"""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from core.catalog.entries import PICTURE, DataForm
from core.spec import registry
from core.spec.options import DATA, NETWORK, SpecError, declared
from core.spec.specs import LayerSpec
from core.store.files import StoreError
from core.store.runs import Run
from pages.kit import engine as doors
from pages.kit.network import made_of

_OF, _LAST = "kept.of", "kept.last_sample"  # the run that the choices were made for; run → its last test sample
WHY_TARGET, TARGET = "why.target", "target"  # the answer that is explained: in the session, in the address


def fit(run: Run) -> list[str]:
    """Make what the session keeps fit this run; the address's parameters that are to go."""
    try:
        layers, form = made_of(run)
    except (StoreError, SpecError):
        return []
    gone = _forget_places(run)
    if form.kind != PICTURE:
        st.session_state["drawn"] = ""
    if not _has(layers, form, st.session_state.get("layer", "")):
        st.session_state["layer"] = ""
    last = st.session_state.get(_LAST, {}).get(run.id)
    if last is not None:
        st.session_state["sample"] = min(st.session_state.get("sample", 0), last)
    return gone


def shown(run_id: str, sample: int, asked: int) -> bool:
    """Note that `sample` was shown where `asked` was asked for; True where that has told the run's last sample."""
    known = st.session_state.setdefault(_LAST, {})
    if sample >= asked or known.get(run_id) == sample:
        return False
    known[run_id] = sample
    return True


def last_sample(run_id: str, most: int) -> int:
    """The run's last test sample as far as it is known, else `most`."""
    return int(st.session_state.get(_LAST, {}).get(run_id, most))


def _has(layers: tuple[LayerSpec, ...], form: DataForm, name: str) -> bool:
    """Is this a layer, a module inside one, or something that a view offers as such?"""
    return name.partition(".")[0] in {layer.name for layer in layers} or any(
        name in view.layers(layers, form) for view in registry.VIEWS if view.applies(layers, form)
    )


def _forget_places(run: Run) -> list[str]:
    """Let go of what names a place in another network or another data set than this run's."""
    before = st.session_state.get(_OF, "")
    st.session_state[_OF] = run.id
    if before in ("", run.id):
        return []
    places = list(_places(*_changed(before, run)))
    for key, _parameter in places:
        st.session_state.pop(key, None)
    return [parameter for _key, parameter in places]


def _changed(before: str, run: Run) -> tuple[bool, bool]:
    """Has the run another network, and other data, than the run called `before`?"""
    try:
        other = doors.store().run(before, whole=True)
        data = other.experiment().data != run.experiment().data
        return data or made_of(other) != made_of(run), data
    except (StoreError, SpecError):
        return True, True


def _places(network: bool, data: bool) -> Iterator[tuple[str, str]]:
    """(key in the session, parameter of the address) of what names a place in what has changed."""
    gone = {kind for kind, yes in ((NETWORK, network), (DATA, data)) if yes}
    forms = [(f"look_{view.name}", view.options) for view in registry.VIEWS]
    forms += [(f"why_{method.name}", method.options) for method in registry.METHODS]
    for part, options in forms:
        for name, (_kind, _default, option) in declared(options).items():
            if option.place_in in gone:
                yield f"{part}.{name}", f"{part}.{name}"
    if data:
        yield WHY_TARGET, TARGET
