"""The pictures of the page "Memory"."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.catalog.entries import NUMBER
from core.catalog.views.states import (
    ANSWERS,
    CELL,
    ENDS,
    ENDS_TARGET,
    HIDDEN,
    SEPARATION,
    TRAJECTORY,
    StatesFacts,
    gate,
)
from core.figures import states
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.words import _, plain


def page(seen: Seen[StatesFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[StatesFacts]) -> None:
    """States and gates over the sequence; the answer on the way and the path of the state; the telling units."""
    what = _step(seen)
    st.markdown(f"**{plain(_heading(seen))}**")
    figure.show(
        states.panels(
            _panels(seen),
            seen.facts.steps,
            seen.facts.order,
            x_title=what,
            y_title=_("unit"),
            scales=(_("value"), _("share let through")),
        ),
        key="states.panels",
        alt=_("Heat-maps of {names}: {steps} steps across, {units} units down.").format(
            names=", ".join(panel.title for panel in _panels(seen)),
            steps=len(seen.facts.steps),
            units=seen.arrays[HIDDEN].shape[1],
        ),
    )
    left, right = st.columns(2, gap="medium")
    with left:
        _answers(seen, what)
    with right:
        _path(seen, what)
    st.markdown(f"**{plain(_('Which units tell most?'))}**")
    share = _("share of variance between classes (dotted: middle unit)")
    if seen.facts.task == NUMBER:
        share = _("share of variance that goes with the number (dotted: middle unit)")
    best = seen.facts.best
    figure.show(
        states.separation(seen.arrays[SEPARATION], best, x_title=share, unit=_("unit")),
        key="states.separation",
        alt=_("Bars: the units that tell most are {units}.").format(units=", ".join(map(str, best))),
    )


def table(seen: Seen[StatesFacts]) -> list[dict[str, Any]]:
    """One row a unit: what its state tells, and its state at the last step."""
    arrays = seen.arrays
    gates = seen.facts.gates
    return [
        {
            _("unit"): unit,
            _("share of variance between classes"): f"{arrays[SEPARATION][unit]:.3f}",
            _("last hidden state"): f"{arrays[HIDDEN][-1, unit]:.4f}",
            **({_("last cell state"): f"{arrays[CELL][-1, unit]:.4f}"} if CELL in arrays else {}),
            **{_("mean of {gate}").format(gate=_gate(g)): f"{arrays[gate(g)][:, unit].mean():.4f}" for g in gates},
        }
        for unit in seen.facts.order
    ]


def _heading(seen: Seen[StatesFacts]) -> str:
    facts = seen.facts
    kind = {"rnn": _("vanilla cell"), "lstm": _("LSTM cell"), "gru": _("GRU cell")}[facts.cell_kind]
    where = _("layer {n} of {all} in it").format(n=facts.stack, all=facts.stacks) if facts.stacks > 1 else ""
    back = _("read backward") if facts.backward else ""
    return ", ".join(part for part in (f"{seen.layer}: {kind}", where, back) if part)


def _step(seen: Seen[StatesFacts]) -> str:
    return _("row") if seen.facts.step_word == "row" else _("step")


def _gate(name: str) -> str:
    return {
        "input": _("input gate"),
        "forget": _("forget gate"),
        "output": _("output gate"),
        "candidate": _("candidate"),
        "reset": _("reset gate"),
        "update": _("update gate"),
        "new": _("new state"),
    }[name]


def _panels(seen: Seen[StatesFacts]) -> list[states.Panel]:
    """hidden, cell and the signed candidate first, then the gates."""
    made = [states.Panel(_("hidden state"), seen.arrays[HIDDEN])]
    if CELL in seen.arrays:
        made.append(states.Panel(_("cell state"), seen.arrays[CELL]))
    for name in seen.facts.gates:
        signed = name in ("candidate", "new")
        made.append(states.Panel(_gate(name), seen.arrays[gate(name)], gate=not signed))
    return made


def _answers(seen: Seen[StatesFacts], what: str) -> None:
    st.markdown(f"**{plain(_('What it says on the way'))}**")
    told, facts = seen.arrays.get(ANSWERS), seen.facts
    if told is None:
        st.caption(_("This network needs all steps to say anything."))
        return
    if facts.task == NUMBER:
        target = float(facts.target) if facts.target else None
        drawn = states.number(told, target, facts.steps, x_title=what, y_title=_("answer (dotted: the right one)"))
        alt = _("The answer after every step, from {first} to {last}.").format(
            first=f"{told[0, 0]:.3g}", last=f"{told[-1, 0]:.3g}"
        )
    else:
        drawn = states.answers(
            told,
            facts.classes,
            facts.steps,
            right=facts.target_index,
            x_title=what,
            y_title=_("class"),
            value=_("probability"),
        )
        alt = _("The probability of every class after each step. In the end it says {answer}.").format(
            answer=facts.predicted
        )
    figure.show(drawn, key="states.answers", alt=alt)


def _path(seen: Seen[StatesFacts], what: str) -> None:
    st.markdown(f"**{plain(_('The path of the hidden state'))}**")
    arrays, facts = seen.arrays, seen.facts
    way = -1 if facts.backward else 1
    titles = tuple(
        _("component {n} ({share} of variance)").format(n=n, share=f"{share:.0%}")
        for n, share in enumerate(facts.explained, 1)
    )
    figure.show(
        states.path(
            states.Route(
                arrays[TRAJECTORY][::way],
                arrays[ENDS],
                arrays[ENDS_TARGET],
                () if facts.task == NUMBER else facts.classes,
                facts.steps[::way],
            ),
            titles=(titles[0], titles[1]),
            step=what,
            start=_("start"),
            end=_("end"),
            sample=_("sample"),
        ),
        key="states.path",
        alt=_("The hidden state's path from step to step, among the end states of {n} test samples.").format(
            n=len(arrays[ENDS])
        ),
        on_click=lambda point: location.look_at(sample=int(point["customdata"])) if _is_sample(point) else None,
    )
    st.caption(_("Each mark is where one test sample ended. Click one to follow it."))


def _is_sample(point: dict[str, Any]) -> bool:
    return isinstance(point.get("customdata"), int | float)
