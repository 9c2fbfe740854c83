"""The picture of the page "Through time", its verdict and its sliders."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.catalog.views.through_time import (
    BOUND,
    CELL,
    GATES,
    HIDDEN,
    LEARNED,
    RADIUS,
    ThroughTimeFacts,
    sample,
    samples,
)
from core.figures import through_time
from core.figures.through_time import Line
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.words import _, fill

ICONS = {
    "vanishing": ("red", ":material/trending_down:"),
    "fading": ("orange", ":material/trending_down:"),
    "healthy": ("green", ":material/check_circle:"),
    "growing": ("orange", ":material/trending_up:"),
    "exploding": ("red", ":material/trending_up:"),
}


def page(seen: Seen[ThroughTimeFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[ThroughTimeFacts]) -> None:
    """The verdict, the curves, and what one may try on a copy."""
    _verdict(seen)
    lines = _lines(seen)
    figure.show(
        through_time.back_in_time(
            lines,
            seen.arrays[samples(_state(seen))],
            x_title=_x_title(seen),
            y_title=_("norm of the gradient"),
            each=_("single samples"),
            step=_("steps back"),
        ),
        key="through_time.curves",
        alt=_("Norm of the gradient for each step back from the end, on a logarithmic axis: {names}.").format(
            names=", ".join(line.name for line in lines)
        ),
    )


def table(seen: Seen[ThroughTimeFacts]) -> list[dict[str, Any]]:
    """One row a step back."""
    lines = [(line.name, line.values) for line in _lines(seen)]
    return [
        {_("steps back"): k, **{name: f"{values[k]:.4g}" for name, values in lines if k < len(values)}}
        for k in range(seen.facts.steps)
    ]


def _state(seen: Seen[ThroughTimeFacts]) -> str:
    return CELL if CELL in seen.arrays else HIDDEN


def _x_title(seen: Seen[ThroughTimeFacts]) -> str:
    return _("rows back from the end") if seen.facts.step_word == "row" else _("steps back from the end")


def _verdict(seen: Seen[ThroughTimeFacts]) -> None:
    facts = seen.facts
    if facts.ratio is None or not facts.verdict:
        return
    words = {
        "vanishing": _("vanishing"),
        "fading": _("fading"),
        "healthy": _("healthy"),
        "growing": _("growing"),
        "exploding": _("exploding"),
    }
    color, icon = ICONS[facts.verdict]
    state = _("cell state") if _state(seen) == CELL else _("hidden state")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(words[facts.verdict], icon=icon, color=color)  # type: ignore[arg-type]
        if facts.what_if:
            st.badge(_("what-if on a copy"), icon=":material/science:", color="violet")
        said = _("first {state} ÷ last: **{ratio}** over {n} steps, **× {pace}** a step")
        pace = f"{facts.per_step:.3g}"
        st.markdown(fill(said, state=state, ratio=_power(facts.ratio), n=facts.between, pace=pace))


def _power(value: float) -> str:
    plainly = value == 0 or 1e-2 <= value < 1e3
    return f"{value:.2g}" if plainly else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")


def _lines(seen: Seen[ThroughTimeFacts]) -> list[Line]:
    """What is drawn, the first on the bottom."""
    arrays, state = seen.arrays, _state(seen)
    made = []
    if BOUND in arrays:
        bound = _("bound: largest singular value, {value}ᵏ after k steps")
        name = bound.format(value=f"{seen.facts.singular:.3g}")
        made.append(Line(name, arrays[BOUND], "limit", "dash", frames=False))
    if RADIUS in arrays:
        pace = _("no bound: spectral radius, {value}ᵏ")
        name = pace.format(value=f"{seen.facts.radius:.3g}")
        made.append(Line(name, arrays[RADIUS], "pace", "dashdot", frames=False))
    if GATES in arrays:
        gates = _("through the forget gates alone") if state == CELL else _("through the update gates alone")
        made.append(Line(gates, arrays[GATES], "gates", "dash"))
    if LEARNED in arrays:
        made.append(Line(_("as learned"), arrays[LEARNED], "plain", "dot", 3))
    if state == CELL:
        made.append(Line(_("hidden state, mean"), arrays[HIDDEN], "second", "solid", 1.5))
    made.append(Line(_("this sample"), arrays[sample(state)], "second", "dot", 2))
    name = _("cell state, mean") if state == CELL else _("hidden state, mean")
    return [*made, Line(name, arrays[state], "main", "solid", 3)]
