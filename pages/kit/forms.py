"""Forms drawn from declared options: one widget a field, its range and unit in its help, its fault under it.

The widgets are the form's only memory: a field's key is its address (`train.lr`, `model.kernel`), kept for the
session. A value that cannot be stays in its widget with a sentence under it, and is left out of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.spec.options import Option, SpecError, coerce, declared
from core.spec.registry import Registry
from pages.kit import location
from pages.kit.words import Markdown, _, choice_word, plain

Faults = dict[str, str]  # address → why its value cannot be
_KEEP: dict[str, Any] = {"persist_state": "session"}


def options_form(
    part: str, cls: type, faults: Faults, columns: int = 1, offers: Callable[[str], bool] = lambda _name: True
) -> None:
    """One widget for each declared option of `cls`, keyed `part.name`; those that do not apply are left out.

    In several columns the sentences on what cannot be stand above them all: under a narrow field none can be read.
    """
    known = declared(cls)
    if part.startswith(("look_", "why_")):  # the forms of an experiment have a link of their own (pages.kit.exchange)
        for name in filter(offers, known):
            _keep_in_address(f"{part}.{name}", *known[name])
    above = st.container(gap="xsmall") if columns > 1 else None
    drawn = [name for name, (_k, _d, option) in known.items() if offers(name) and applies(part, cls, option)]
    places = st.columns(columns, gap="small") if columns > 1 else [nullcontext()]
    for at, name in enumerate(drawn):
        with places[at % columns]:
            field(f"{part}.{name}", *known[name], faults, told=above)


def _keep_in_address(address: str, kind: Any, default: Any, option: Option) -> None:
    def read(text: str) -> Any:
        with suppress(SpecError):
            return to_widget(coerce(address, kind, text, option))

    location.keep(address, None if option.auto and default == option.low else to_widget(default), read)


def field(
    address: str,
    kind: Any,
    default: Any,
    option: Option,
    faults: Faults,
    *,
    disabled: bool = False,
    told: DeltaGenerator | None = None,
) -> None:
    """The widget of one option, and the sentence under it (or in `told`) when its value cannot be."""
    st.session_state.setdefault(address, None if option.auto and default == option.low else to_widget(default))
    name = address.partition(".")[2]
    label = _(option.label or name.replace("_", " "))
    widget(address, plain(label), kind, option, disabled=disabled)
    if option.auto and st.session_state[address] is None:
        return
    try:
        coerce(label, kind, st.session_state[address], option)
    except SpecError as error:
        faults[address] = error.message
        with told or nullcontext():
            mistake(error.message)


def mistake(message: str, mend: str = "") -> None:
    """A mistake, where it was made: small, in the warning colour, and one way to mend it."""
    st.markdown(f":red[:small[{plain(message)}]]" + (f" :small[{plain(mend)}]" if mend else ""))


def widget(address: str, label: Markdown, kind: Any, option: Option, **more: Any) -> None:
    """The widget that fits the option's type; its key is the address, its value is in the session state."""
    more |= {"key": address, "help": help_text(kind, option)}
    if option.choices:
        st.selectbox(label, option.choices, format_func=choice_word, **_KEEP, **more)
    elif kind is bool:
        st.toggle(label, **_KEEP, **more)
    elif option.log:
        grid = steps_between(kind, option, st.session_state[address])
        st.select_slider(label, grid, format_func=lambda v: f"{v:g}", **_KEEP, **more)
    elif option.slider and option.low is not None and option.high is not None:
        ends = (kind(option.low), kind(option.high))
        step = 1 if kind is int else step_of(option)  # of the same kind as the ends
        st.slider(label, *ends, step=step, **_KEEP, **more)  # type: ignore[call-overload]
    elif option.auto:
        st.number_input(label, value=None, step=1, format="%d", placeholder=_(option.auto), **_KEEP, **more)
    elif kind is int:
        st.number_input(label, step=1, format="%d", **_KEEP, **more)
    elif kind is float:
        st.number_input(label, step=step_of(option), format="%g", **_KEEP, **more)
    else:
        st.text_input(label, **_KEEP, **more)


def to_widget(value: Any) -> Any:
    """A value as its widget holds it: sizes as text with commas, names as a list."""
    return list(value) if isinstance(value, list) else ", ".join(map(str, value)) if isinstance(value, tuple) else value


def help_text(kind: Any, option: Option) -> str:
    """One line of help, the range and the unit."""
    unit = f" {_(option.unit)}" if option.unit and not option.unit.startswith("(") else ""
    if kind is bool or option.choices or option.low is None or option.high is None:
        return _(option.help)
    low, high = (f"{v:,.0f}" if v == int(v) and abs(v) >= 1 else f"{v:g}" for v in (option.low, option.high))
    each = _("each ") if kind not in (int, float) else ""
    return f"{_(option.help)} ({each}{low} – {high}{unit})"


def steps_between(kind: Any, option: Option, value: Any) -> list[Any]:
    """The marks of a logarithmic slider: powers of two for counts, 1-2-5 a decade for the rest, and `value`."""
    if kind is int:
        marks = {2**i for i in range(32)}
    else:
        marks = {float(f"{m}e{e}") for e in range(-12, 12) for m in (1, 2, 3, 5)}
    inside = {m for m in marks if (option.low or 0) <= m <= (option.high or 1e12)}
    return sorted(inside | ({value} if isinstance(value, int | float) else set()))


def step_of(option: Option) -> float:
    """How far one press of a number field's arrows goes."""
    span = (option.high if option.high is not None else 1.0) - (option.low or 0.0)
    return 0.05 if span <= 1 else 0.1 if span <= 10 else 1.0


def several(address: str, label: Markdown, known: Registry, help: Markdown) -> None:
    """The choice of any number of a catalog's entries; its value is the list of their names."""
    st.session_state.setdefault(address, [])
    titles = {one.name: _(one.title) for one in known}
    st.multiselect(
        label, titles, format_func=lambda n: titles[n], key=address, help=help, placeholder=_("none"), **_KEEP
    )


def applies(part: str, cls: type, option: Option) -> bool:
    """Does this option of `cls` matter, as the form stands?"""
    if option.applies is None:
        return True
    known = declared(cls)
    values = {name: st.session_state.get(f"{part}.{name}", default) for name, (_k, default, _o) in known.items()}
    try:
        return option.applies(cls(**values))
    except SpecError:
        return True
