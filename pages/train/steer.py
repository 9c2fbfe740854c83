"""Starting a run and steering the current one."""

from __future__ import annotations

import streamlit as st

from core.catalog.applies import asked_steps, goes_on, longer
from core.engine.protocol import RunState
from core.spec import events
from core.spec.commands import COMMANDS
from core.spec.events import Command
from core.spec.options import SpecError, declared
from core.spec.specs import Experiment, TrainSpec
from core.store import history
from core.store.runs import Run
from pages.kit import boundary, forms, run_bar
from pages.kit import engine as doors
from pages.kit.starting import start
from pages.kit.words import _, plain

_MARKS = {"weight_decay": (1e-5, 1.0), "clip_norm": (0.1, 100.0)}  # ends of the sliders' logarithmic part; 0 is off


def _tell(run_id: str, command: Command) -> None:
    with boundary.answered(gone=None):
        doors.engine().command(run_id, command)


def buttons(experiment: Experiment | None, run: Run | None) -> None:
    """Start, pause or resume, step, stop; what cannot act now is not enabled. `experiment` None: nothing to start."""
    state = run_bar.state_of(run) if run else None
    now = state.status if state else events.Status("")
    second = "resume" if now.state in COMMANDS["resume"].offered else "pause"
    # what one waits for while it is held is that it goes on, not that another one starts
    held = now.state == events.PAUSED and COMMANDS["resume"].offers(now)
    with st.container(horizontal=True, gap="xsmall", key="steer"):
        st.button(
            _("Start"),
            type="secondary" if held else "primary",
            disabled=experiment is None,
            on_click=start,
            args=(experiment,),
            key="steer.start",
        )
        for verb in (COMMANDS[name] for name in (second, "step", "stop")):
            st.button(
                plain(verb.title),
                type="primary" if held and verb.name == "resume" else "secondary",
                disabled=not verb.offers(now),
                help=plain(verb.help),
                key=f"steer.{verb.name}",
                on_click=_tell,
                args=(run.id if run else "", Command(verb.name)),
            )


def sliders(run: Run) -> None:
    """What may be changed of a run that has not ended well; a change acts from its next step."""
    known = declared(TrainSpec)
    train = run.experiment().train
    latest = history.latest(run) if any(_key(run, name) not in st.session_state for name in events.SETTABLE) else {}
    lr, more = st.columns([0.68, 0.32], gap="small", vertical_alignment="center")
    places = {"lr": lr, "": more.popover(_("More"), help=_("What else may be changed while it runs."), width="stretch")}
    for name in events.SETTABLE:
        kind, _default, option = known[name]
        key = _key(run, name)
        st.session_state.setdefault(key, kind(latest.get(f"set/{name}", getattr(train, name))))
        value = st.session_state[key]
        if option.log:
            grid = [v for v in forms.steps_between(kind, option, value) if 1e-6 <= v <= 10 or v == value]
        else:
            low, high = _MARKS[name]
            marks = forms.steps_between(kind, option, value)
            grid = [0.0, *(v for v in marks if v and (low <= v <= high or v == value))]
        places.get(name, places[""]).select_slider(
            _("{name} now").format(name=_(option.label)),
            grid,
            key=key,
            persist_state="session",
            help=_(option.help),
            format_func=lambda v: f"{v:g}" if v else _("off"),
            on_change=_set,
            args=(run.id, name, key),
        )


def train_on(run: Run, state: RunState) -> None:
    """For a run that has made all its steps: how many more, and what its schedule does then."""
    steps, most = asked_steps(run.experiment(), state.status.steps), declared(TrainSpec)["steps"][2].high or 0
    with st.popover(_("Train on"), icon=":material/fast_forward:", help=_("Give the run more steps."), width="stretch"):
        wanted = st.number_input(
            _("steps, counted from the first one"),
            min(steps + 1, int(most)),
            int(most),
            min(2 * steps, int(most)),
            key=f"steer.more.{run.id[:8]}.{steps}",
        )
        try:
            st.caption(plain(goes_on(longer(run.experiment(), steps, int(wanted)), state.status.step)))
            fault = ""
        except SpecError as error:
            fault = error.message
            forms.mistake(fault)
        st.button(
            _("Train on"),
            type="primary",
            key="steer.more",
            disabled=bool(fault),
            on_click=_tell,
            args=(run.id, Command("resume", {"steps": int(wanted)})),
        )


def _key(run: Run, name: str) -> str:
    return f"steer.{name}.{run.id[:8]}"


def _set(run_id: str, name: str, key: str) -> None:
    _tell(run_id, Command("set", {name: st.session_state[key]}))
