"""Asking without blocking: a question that takes its time shows how far it is, and can be given up."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

import streamlit as st

from core import specs
from core.engine.protocol import EngineError, Progress
from core.questions import Answer, Question, Seen
from pages.kit import engine as doors
from pages.kit.words import _, plain

ASKED = "waiting.asked"  # [the question's content id, its ticket], or [id, ""] when it was given up
PATIENCE = 0.4  # seconds in which a quick answer comes with the page itself
TICK = 0.4
KEPT = 40
HEAVIEST = 24 << 20  # bytes of arrays that all kept answers may hold


class _Answers:
    """The newest answers of this process, by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: str) -> Answer:
        with self._lock:
            return self._kept.get(asked)

    def put(self, asked: str, answer: Answer) -> None:
        with self._lock:
            self._kept[asked] = answer
            while len(self._kept) > KEPT or (len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > HEAVIEST):
                self._kept.popitem(last=False)


def _bytes(answer: Answer) -> int:
    return sum(array.nbytes for array in answer.arrays.values()) if isinstance(answer, Seen) else 0


@st.cache_resource(show_spinner=False)
def _answers() -> _Answers:
    return _Answers()


def answer(question: Question) -> Answer:
    """The answer; None while it is on its way (which is shown, and can be given up) or cannot be had (and why)."""
    asked = specs.content_id(question)
    known = _answers().get(asked)
    if known is not None:
        return known
    ticket = _ticket(asked, question)
    if not ticket:
        st.info(_("This was given up."), icon=":material/cancel:")
        st.button(_("Try again"), on_click=_forget, key="waiting.again")
        return None
    progress = _patiently(ticket)
    if progress is None:
        _forget()
        st.rerun()
    if progress.done:
        return _arrived(asked, progress)
    st.fragment(_watch, run_every=TICK)(ticket, [progress])
    return None


def _ticket(asked: str, question: Question) -> str:
    """The ticket of this question, asked now if it was not; another one that is under way is given up."""
    of, ticket = st.session_state.get(ASKED, ("", ""))
    if of != asked:
        if ticket:
            doors.engine().cancel(ticket)
        ticket = doors.engine().submit(question)
        st.session_state[ASKED] = (asked, ticket)
    return str(ticket)


def _patiently(ticket: str) -> Progress | None:
    """How far it is; a moment's wait for what is nearly there. None: the engine does not know the ticket any more."""
    end = time.monotonic() + PATIENCE
    try:
        while True:
            progress = doors.engine().poll(ticket)
            if progress.done or time.monotonic() > end:
                return progress
            time.sleep(0.02)
    except EngineError:
        doors.engine().status()  # gone altogether: the page says so
        return None


def _arrived(asked: str, progress: Progress) -> Answer:
    if progress.error:
        st.error(plain(progress.error), icon=":material/error:")
        st.button(_("Try again"), on_click=_forget, key="waiting.again")
        return None
    _answers().put(asked, progress.answer)
    return progress.answer


def _watch(ticket: str, drawn: list[Progress]) -> None:
    """`drawn`: how far it was when the page was drawn; taken once, so that the first look costs no further question."""
    progress = drawn.pop() if drawn else _now(ticket)
    if progress is None or progress.done:
        st.rerun(scope="app")
    words = progress.words or _("Reading the data")
    st.progress(min(1.0, max(0.0, progress.fraction)), text=plain(words))
    st.button(_("Cancel"), on_click=_give_up, args=(ticket,), icon=":material/close:", key="waiting.cancel")


def _now(ticket: str) -> Progress | None:
    try:
        return doors.engine().poll(ticket)
    except EngineError:
        return None


def _give_up(ticket: str) -> None:
    of, _ticket = st.session_state.get(ASKED, ("", ""))
    st.session_state[ASKED] = (of, "")
    doors.engine().cancel(ticket)


def _forget() -> None:
    st.session_state.pop(ASKED, None)
