"""Where the learner is: one current run, sample, layer and moment, kept in the session and in the address.

The address is the truth where it names them; a page that was reached by the menu has lost its address, and the
session writes it back. So a reload, a shared link and a second tab show the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.spec import drawings
from core.spec.questions import NEWEST
from core.spec.quoting import clean, whole
from core.store import languages
from core.store.files import StoreError
from core.store.runs import Run
from pages.kit import engine as doors
from pages.kit import leftovers
from pages.kit.words import _, read_in, reader

LAST_SAMPLE = 9_999  # as far as the sample can be counted up
LAST_STEP = 999_999_999


def address() -> dict[str, str]:
    """What the address asks for, as clean text: a link may come from anybody."""
    asked: dict[str, str] = clean(st.query_params.to_dict())
    return asked


def say(values: dict[str, str]) -> None:
    """Make the address say these values; an empty one is left out."""
    for name, value in values.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def keep(key: str, default: Any, read: Callable[[str], Any]) -> None:
    """Have the address say what the widget under `key` says; to be called before the widget is drawn.

    A link's value comes into the session where the session has none yet. read: the value of a text, None where it can
    be none. The widget's value when the page begins is `default`, of which the address says nothing.
    """
    if key not in st.session_state and (text := address().get(key)) is not None:
        value = read(text)
        if value is not None:
            st.session_state[key] = value
    value = st.session_state.setdefault(key, default)
    say({key: "" if value is None or value == default else str(int(value) if isinstance(value, bool) else value)})


def steered(name: str, value: Any) -> str:
    """The key of a widget that shows `value`, which the page changes, too; the widget has it.

    Where something else than the widget has changed the value, it is another widget: a rerun that left the browser
    before the change still brings the old value, which would be taken for a choice and undo the change.
    """
    number = int(st.session_state.get(f"{name}.times", 0))
    key = f"{name}.{number}" if number else name
    if key in st.session_state and st.session_state[key] != value:
        st.session_state[f"{name}.times"] = number + 1
        key = f"{name}.{number + 1}"
    st.session_state[key] = value
    return key


def keep_choice(key: str, names: Sequence[Any], default: Any = None) -> None:
    """As keep, for a choice among `names`; what is none of them gives way to the default, else to the first."""
    first = names[0] if default is None else default
    known = {str(int(name) if isinstance(name, bool) else name): name for name in names}
    if key in st.session_state and st.session_state[key] not in names:
        st.session_state[key] = first
    keep(key, first, known.get)


def follow_language() -> None:
    """Speak the language that the address asks for; else the one that was chosen before, else the session's own."""
    asked = address().get("language")
    if asked in languages.names():
        st.session_state["language"] = asked
    st.session_state.setdefault("language", "")
    read_in(None)
    reader()


def follow() -> list[str]:
    """Take over what the address says, write the rest back into it; a sentence for everything that cannot be."""
    notices: list[str] = []
    given = address()
    _follow_run(given.get("run") or st.session_state.get("run", ""), notices)
    raw = given.get("sample")
    if raw is not None:
        wanted = whole(raw, LAST_SAMPLE)
        if wanted is not None:
            st.session_state["sample"] = wanted
        else:
            notices.append(
                _("The link's sample is not a number from 0 to {last}; sample {n} is shown.").format(
                    last=f"{LAST_SAMPLE:,}", n=st.session_state.get("sample", 0)
                )
            )
    st.session_state.setdefault("sample", 0)
    if given.get("layer"):
        st.session_state["layer"] = given["layer"][:60]
    st.session_state.setdefault("layer", "")
    _follow_moment(given.get("step"), given.get("drawn"), notices)
    if run := current():
        say(dict.fromkeys(leftovers.fit(run), ""))
    write()
    return notices


def _follow_run(wanted: str, notices: list[str]) -> None:
    st.session_state["run"] = ""
    if wanted:
        try:
            st.session_state["run"] = doors.store().run(wanted, whole=True).id
        except StoreError:
            notices.append(_("The run of this link does not exist here; it may have been deleted. Choose another run."))


def _follow_moment(step: str | None, drawn: str | None, notices: list[str]) -> None:
    if step is not None:
        wanted = whole(step, LAST_STEP)
        if wanted is not None:
            st.session_state["step"] = wanted
        else:
            notices.append(_("The link's step is not a number from 0 on; the newest weights are shown."))
    if drawn:
        try:
            drawings.decode(drawn)
            st.session_state["drawn"] = drawn
        except drawings.DrawingError:
            notices.append(_("The link's drawing cannot be read; a test sample is shown."))
    st.session_state.setdefault("step", NEWEST)
    st.session_state.setdefault("drawn", "")


def write() -> None:
    """Make the address say where the learner is; what a page keeps there besides stays."""
    values = {
        name: str(st.session_state.get(name, "") or "") for name in ("run", "sample", "layer", "drawn", "language")
    }
    say(values | {"step": "" if step() == NEWEST else str(step())})


def current() -> Run | None:
    """The current run, None where none is chosen or it has just been deleted."""
    wanted = st.session_state.get("run", "")
    try:
        return doors.store().run(wanted, whole=True) if wanted else None
    except StoreError:
        return None


def choose(run_id: str) -> None:
    """Make a run the current one (an empty id: none). What was chosen for another gives way where it does not fit."""
    st.session_state["run"] = run_id
    st.session_state["step"] = NEWEST
    if run := current():
        say(dict.fromkeys(leftovers.fit(run), ""))
    write()


def sample() -> int:
    """The current sample's number in the test set."""
    return int(st.session_state.get("sample", 0))


def layer() -> str:
    """The current layer; empty: the run's first one that can be shown."""
    return str(st.session_state.get("layer", ""))


def step() -> int:
    """The step of the training that is looked at; NEWEST follows the run."""
    return int(st.session_state.get("step", NEWEST))


def drawing() -> str:
    """The drawing (core.spec.drawings) that stands in the place of a test sample; empty: none does."""
    return str(st.session_state.get("drawn", ""))


def look_at(
    *, sample: int | None = None, layer: str | None = None, step: int | None = None, drawing: str | None = None
) -> None:
    """Change what is looked at. Another sample takes the drawing's place."""
    if sample is not None:
        st.session_state["sample"] = max(0, min(LAST_SAMPLE, sample))
        st.session_state["drawn"] = ""
    if layer is not None:
        st.session_state["layer"] = layer
    if step is not None:
        st.session_state["step"] = step
    if drawing is not None:
        st.session_state["drawn"] = drawing
    write()
