"""The moment of a run's training that is looked at: a slider over the kept weights, play, and following a live run."""

from __future__ import annotations

import time

import streamlit as st

from core.engine.protocol import EngineError
from core.spec.events import ENDED
from core.spec.questions import NEWEST
from core.store.runs import Run
from pages.kit import engine as doors
from pages.kit import location
from pages.kit.words import _

BEAT = 0.7  # seconds between two moments while they are played
TICK = 1.5  # seconds between two looks for newer weights of a run that is training
_PLAYING = "look.playing"


def draw(run: Run) -> int | None:
    """The slider with its button; the step that is looked at, None where the run keeps no weights yet."""
    steps = run.moments()
    if not steps:
        st.fragment(_follow, run_every=TICK)(run, [0], time.monotonic())
        return None
    wanted, newest = location.step(), run.newest() or steps[-1]
    step = newest if wanted == NEWEST else min(steps, key=lambda kept: abs(kept - wanted))
    playing = bool(st.session_state.get(_PLAYING)) and len(steps) > 1
    if len(steps) > 1:
        _slider(steps, step, playing, newest, run.best_step())
    else:
        st.caption(_("Weights of step {step} are kept so far.").format(step=f"{step:,}"))
    if playing:
        st.fragment(_play, run_every=BEAT)(steps, step, newest, time.monotonic())
    elif step == steps[-1] and _training(run):
        st.fragment(_follow, run_every=TICK)(run, steps, time.monotonic())
    return step


def _slider(steps: list[int], step: int, playing: bool, newest: int, best: int | None) -> None:
    # Where the page itself moves on, it is another slider: a tick that left the browser before the move brings the old
    # one's value, and would be taken for a hand that moved it back.
    key = f"look.step.{steps[-1]}.{step}" if playing else f"look.step.{steps[-1]}"
    st.session_state[key] = step
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.select_slider(
            _("step of the training"),
            steps,
            key=key,
            on_change=_moved,
            args=(newest, key),
            format_func=lambda s: (_("best, step {step}") if s == best else "{step}").format(step=f"{s:,}"),
            help=_("The weights were kept at these steps; every view shows the network as it was then."),
        )
        icon, words = (":material/pause:", _("Pause")) if playing else (":material/play_arrow:", _("Play"))
        st.button(
            "", icon=icon, key="look.play", help=words, on_click=_toggle, args=(steps, step, newest), type="tertiary"
        )


def _moved(newest: int, key: str) -> None:
    st.session_state[_PLAYING] = False
    _show(newest, st.session_state[key])


def _show(newest: int, step: int) -> None:
    location.look_at(step=NEWEST if step == newest else step)


def _toggle(steps: list[int], shown: int, newest: int) -> None:
    playing = not st.session_state.get(_PLAYING)
    st.session_state[_PLAYING] = playing
    if playing and shown == steps[-1]:  # from the end: once more from the beginning
        _show(newest, steps[0])


def _play(steps: list[int], shown: int, newest: int, drawn: float) -> None:
    """The next moment, once this one has been seen."""
    if time.monotonic() - drawn < BEAT / 2:
        return
    later = [step for step in steps if step > shown]
    if later:
        _show(newest, later[0])
    if len(later) <= 1:
        st.session_state[_PLAYING] = False
    st.rerun(scope="app")


def _follow(run: Run, steps: list[int], drawn: float) -> None:
    """Newer weights of a run that is training come onto the page."""
    if time.monotonic() - drawn > TICK / 2 and run.moments()[-1:] not in ([], steps[-1:]):
        st.rerun(scope="app")


def _training(run: Run) -> bool:
    try:
        return doors.engine().state(run.id).status.state not in ENDED
    except EngineError:
        return False
