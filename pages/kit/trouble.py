"""What is wrong with the engine, at the top of every page: why, what happens by itself, what one can do.

The place is drawn anew every second or so, so that a page that was open already tells it, too; it looks only at
what the door knows, and asks nobody. A part of a page that meets the trouble itself says so with `met`.
"""

from __future__ import annotations

import time
from contextlib import suppress

import streamlit as st

from core.engine.protocol import EngineError, EngineFailed, EngineGone, EngineSilent
from pages.kit import engine as doors
from pages.kit.words import _, plain

TICK = 1.2  # seconds between two looks
_MET = "trouble.met"  # (when, the error, was something pressed) of what this run of the page has met


def met(error: EngineGone, *, pressed: bool = False) -> None:
    """The page cannot be whole, for this reason. pressed: what the learner has just asked for was not done."""
    before = st.session_state.get(_MET)
    pressed = pressed or bool(before and before[2] and time.monotonic() - before[0] < TICK)
    st.session_state[_MET] = (time.monotonic(), error, pressed)


def draw() -> None:
    """Say what is wrong, if anything is, and go on looking. To be called last, in a place at the top of the page."""
    when, error, pressed = st.session_state.pop(_MET, (0.0, None, False))
    if error is not None and time.monotonic() - when > 30.0:  # met by a part that was drawn alone, long over
        error, pressed = None, False
    st.fragment(_look, run_every=TICK)(time.monotonic(), error, pressed)


def _look(drawn: float, met: EngineGone | None, pressed: bool) -> None:
    now = doors.trouble()
    if now is None and met is not None and time.monotonic() - drawn > TICK / 2:
        with suppress(EngineError):
            doors.engine().status()
            st.rerun(scope="app")  # it is over: the page can be whole now
    if now is not None or met is not None:
        _say(now or met, pressed)


def _say(error: EngineGone | None, pressed: bool) -> None:
    undone = " " + _("What you pressed was not done; press it again when this is over.") if pressed else ""
    if isinstance(error, EngineFailed):
        again = " " + _("It is tried again by itself.") if error.again else ""
        st.error(plain(str(error)) + again + undone, icon=":material/error:")
        st.button(_("Try again"), key="trouble.again", icon=":material/refresh:", on_click=doors.try_again)
    elif isinstance(error, EngineSilent):
        st.warning(plain(str(error)) + undone, icon=":material/hourglass_disabled:")
    else:
        st.warning(_("The engine stopped; it is being started again…") + undone, icon=":material/sync:")
