"""Asking without blocking: a question that takes its time shows how far it is, and can be given up.

`answer` gives a whole answer. `parts` gives the pieces of one, each as soon as it is ready; pieces that are known
already are not asked for again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import streamlit as st

from core.engine.protocol import EngineError, Progress
from core.spec import specs
from core.spec.question_base import Question
from core.spec.questions import Explained, Seen
from pages.kit import engine as doors
from pages.kit import leftovers
from pages.kit.words import _, plain

ASKED = "waiting.asked"  # what is under way, an _Asked
FAILED = "waiting.failed"  # content id of a piece → why it could not be had
PATIENCE = 0.4  # seconds in which a quick answer comes with the page itself
TICK = 0.4
KEPT, PIECES = 40, 400  # whole answers and pieces of answers that are kept
HEAVIEST = 24 << 20  # bytes of arrays that all kept answers of a kind may hold

A = TypeVar("A")


@dataclass
class _Asked:
    """What is under way. `ids`: content ids of the question, or of its pieces in the order of its parts."""

    ids: tuple[str, ...]
    ticket: str  # empty: it was given up
    taken: int = 0  # parts that have arrived


@dataclass(frozen=True)
class Arriving:
    """What is known of a question's pieces so far, by their names. progress: None where nothing is on its way."""

    found: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # why a piece cannot be had
    progress: Progress | None = None
    given_up: bool = False


class _Answers:
    """The newest answers of this process, by what was asked."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, asked: str) -> Any:
        with self._lock:
            return self._kept.get(asked)

    def put(self, asked: str, answer: Any) -> None:
        with self._lock:
            self._bytes += _bytes(answer) - _bytes(self._kept.pop(asked, None))
            self._kept[asked] = answer
            while len(self._kept) > self._most or (len(self._kept) > 1 and self._bytes > HEAVIEST):
                self._bytes -= _bytes(self._kept.popitem(last=False)[1])


def _bytes(answer: Any) -> int:
    if isinstance(answer, Explained):
        return answer.attribution.nbytes + sum(array.nbytes for array in answer.arrays.values())
    return sum(array.nbytes for array in answer.arrays.values()) if isinstance(answer, Seen) else 0


@st.cache_resource(show_spinner=False)
def _answers() -> _Answers:
    return _Answers(KEPT)


@st.cache_resource(show_spinner=False)
def _pieces() -> _Answers:
    return _Answers(PIECES)


# ── a whole answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def answer(question: Question[A]) -> A | None:
    """The answer; None while it is on its way (which is shown, and can be given up) or cannot be had (and why)."""
    asked = specs.content_id(question)
    known: A | None = _answers().get(asked)
    if known is not None:
        _note_sample(question, known)
        return known
    ticket = _ticket((asked,), lambda: question).ticket
    if not ticket:
        st.info(_("This was given up."), icon=":material/cancel:")
        st.button(_("Try again"), on_click=_forget, key="waiting.again")
        return None
    progress = _patiently(ticket)
    if progress is None:
        _forget()
        st.rerun()
    if progress.done:
        arrived: A | None = _arrived(asked, question, progress)
        return arrived
    st.fragment(_watch, run_every=TICK)(ticket, [progress])
    return None


def _note_sample(question: Question[Any], answer: Any) -> None:
    """Where the answer is about another sample than was asked for, all of the page is drawn for that one."""
    asked, shown = getattr(question, "sample", 0), getattr(answer, "sample", 0)
    if not getattr(question, "drawing", "") and leftovers.shown(getattr(question, "run", ""), shown, asked):
        st.rerun(scope="app")


def _ticket(ids: tuple[str, ...], question: Callable[[], Question[Any]]) -> _Asked:
    """What is under way and brings all of these, asked now if nothing does; another question is given up."""
    under: _Asked | None = st.session_state.get(ASKED)
    if under is None or not set(ids) <= set(under.ids):
        if under is not None and under.ticket:
            doors.engine().cancel(under.ticket)
        under = st.session_state[ASKED] = _Asked(ids, doors.engine().submit(question()))
    return under


def _patiently(ticket: str, since: int = -1, patience: float = PATIENCE) -> Progress | None:
    """How far it is; a moment's wait for what is nearly there: the answer, or with `since` from 0 on the next part.

    None: the engine does not know the ticket any more.
    """
    end = time.monotonic() + patience
    try:
        while True:
            progress = doors.engine().poll(ticket, max(0, since))
            if progress.done or (since >= 0 and progress.parts) or time.monotonic() > end:
                return progress
            time.sleep(0.02)
    except EngineError:
        doors.engine().status()  # gone altogether: the page says so
        return None


def _arrived(asked: str, question: Question[Any], progress: Progress) -> Any:
    if progress.error:
        st.error(plain(progress.error), icon=":material/error:")
        st.button(_("Try again"), on_click=_forget, key="waiting.again")
        return None
    _answers().put(asked, progress.answer)
    _forget()
    _note_sample(question, progress.answer)
    return progress.answer


def _watch(ticket: str, drawn: list[Progress]) -> None:
    """`drawn`: how far it was when the page was drawn; taken once, so that the first look costs no further question."""
    progress = drawn.pop() if drawn else _now(ticket)
    if progress is None or progress.done:
        st.rerun(scope="app")
    words = progress.words or _("Reading the data")
    st.progress(min(1.0, max(0.0, progress.fraction)), text=plain(words))
    st.button(_("Cancel"), on_click=give_up, icon=":material/close:", key="waiting.cancel")


def _now(ticket: str) -> Progress | None:
    try:
        return doors.engine().poll(ticket)
    except EngineError:
        return None


def give_up() -> None:
    """Give up what is under way; what has arrived of it stays."""
    under: _Asked | None = st.session_state.get(ASKED)
    if under is not None and under.ticket:
        doors.engine().cancel(under.ticket)
        under.ticket = ""


def under_way() -> bool:
    """Is there a question whose answer is still to come?"""
    under: _Asked | None = st.session_state.get(ASKED)
    return under is not None and bool(under.ticket)


def _forget() -> None:
    st.session_state.pop(ASKED, None)


# ── pieces of an answer ──────────────────────────────────────────────────────────────────────────────────────────────


def parts(
    pieces: Mapping[str, Question[Any]], whole: Callable[[list[str]], Question[Any]], patience: float = PATIENCE
) -> Arriving:
    """Pieces of an answer, as far as they have arrived. Draws nothing; ask again to hear more.

    pieces: name → the question for this piece alone, which says what it is · whole: one question for several of them,
    which sends a part for each, in their order. A piece that fails is told and does not take the others with it.
    """
    ids = {name: specs.content_id(piece) for name, piece in pieces.items()}
    failed = {known: why for known, why in st.session_state.get(FAILED, {}).items() if known in ids.values()}
    st.session_state[FAILED] = failed
    progress, given_up = None, False
    while missing := [name for name, known in ids.items() if _pieces().get(known) is None and known not in failed]:
        under = _ticket(tuple(ids[name] for name in missing), lambda: whole(missing))
        given_up = not under.ticket
        if given_up:
            break
        progress = _patiently(under.ticket, under.taken, patience)
        if progress is None:
            _forget()  # the engine began anew: so does the question
            continue
        _take(under, progress)
        if not progress.done:
            break
        _forget()
        _fail(under.ids[under.taken :], progress.error or _("The engine gave no answer."), failed)
        progress = None
    found = {name: piece for name, known in ids.items() if (piece := _pieces().get(known)) is not None}
    for name, piece in found.items():
        _note_sample(pieces[name], piece)
    said = {name: failed[known] for name, known in ids.items() if known in failed}
    return Arriving(found, said, progress, given_up)


def _take(under: _Asked, progress: Progress) -> None:
    """Keep the parts that have arrived."""
    new: Sequence[Any] = progress.parts
    if progress.done and isinstance(progress.answer, tuple):
        new = progress.answer[under.taken :]
    for known, part in zip(under.ids[under.taken :], new, strict=False):
        _pieces().put(known, part)
        under.taken += 1


def _fail(left: Sequence[str], why: str, failed: dict[str, str]) -> None:
    """Of what a question has not brought, the first is what it failed at; when that happens twice, it is all of it."""
    again = why in failed.values()
    for known in left if again else left[:1]:
        failed[known] = why


def try_again() -> None:
    """Ask once more for what has failed or was given up."""
    st.session_state.pop(FAILED, None)
    _forget()
