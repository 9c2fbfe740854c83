"""The words on the screen, in the reader's language. Every visible text goes through `_`; English is the source.

A text of a page is translated by `_`; a sentence that core has made (core.spec.sentences) by `_`, `plain` or `fill`,
where it is shown. The language belongs to the session: what is kept for all sessions holds sentences, not their
translations.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from numbers import Number
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.engine.waiting_time import rounded
from core.spec import events
from core.spec.quoting import markdown
from core.spec.sentences import ENGLISH, Language, Sentence
from core.store import languages

_reader: ContextVar[Language | None] = ContextVar("reader", default=None)  # of the thread that runs a session's script


class Words(str):
    """A text in the reader's language. What `format` puts in is said in that language, too."""

    __slots__ = ()

    def format(self, *args: Any, **values: Any) -> str:
        return super().format(*map(_put, args), **{name: _put(value) for name, value in values.items()})


class _Number:
    """A number that is formatted as Python does it, with the signs of the reader's language."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        return reader().signed(format(self.value, spec))


def _put(value: Any) -> Any:
    if isinstance(value, Sentence):
        return _(value)
    return _Number(value) if isinstance(value, int | float) else value


def _(text: str) -> str:
    """A text, or a sentence, in the reader's language; as it stands where there is no translation."""
    language = reader()
    return text if language is ENGLISH else Words(language.text(text))


def translated(value: Any) -> Any:
    """The value with every sentence in it, however deep, in the reader's language: what goes to the browser as data."""
    if isinstance(value, Sentence):
        return _(value)
    if isinstance(value, dict):
        return {key: translated(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [translated(one) for one in value]
    return value


def reader() -> Language:
    """The language of who reads: the one that was chosen; else $LAYERLAB_LANG; else that of the browser."""
    known = _reader.get()
    if known is not None:
        return known
    if get_script_run_ctx(suppress_warning=True) is None:  # not in a session
        return languages.default()
    chosen = st.session_state.get("language")
    language = languages.nearest(chosen) if chosen else languages.default(st.context.locale)
    read_in(language)
    return language


def read_in(language: Language | None) -> None:
    """Have this thread, which runs one session's script, speak this language from now on. None: look at it anew."""
    _reader.set(language)


class Markdown(str):
    """Text whose Markdown is meant: it was made by `plain` or `fill`, or is ours altogether."""

    __slots__ = ()


def state_word(state: str) -> str:
    """A run's state as people say it."""
    words = {
        events.QUEUED: _("waiting"),
        events.RUNNING: _("training"),
        events.PAUSED: _("paused"),
        events.FINISHED: _("finished"),
        events.STOPPED: _("stopped"),
        events.FAILED: _("failed"),
    }
    return words.get(state, state)


def choice_word(choice: str) -> str:
    """One of an option's choices as people say it; what is known by its letters alone says what it does."""
    words = {
        "fgsm": _("FGSM: one large step"),
        "pgd": _("PGD: many small steps"),
        "linf": _("the largest change (L∞)"),
        "l2": _("the length of all changes (L2)"),
        "slic": _("regions of like colour (SLIC)"),
    }
    return words.get(choice) or _(choice.replace("_", " "))


STATE_ICONS = {
    events.QUEUED: ":material/hourglass_empty:",
    events.RUNNING: ":material/play_circle:",
    events.PAUSED: ":material/pause_circle:",
    events.FINISHED: ":material/check_circle:",
    events.STOPPED: ":material/stop_circle:",
    events.FAILED: ":material/error:",
}


def plain(text: object) -> Markdown:
    """A sentence in the reader's language, or text that came from outside: Markdown shows it letter by letter."""
    return Markdown(markdown(_(text) if isinstance(text, Sentence) else str(text)))


def fill(words: str, **values: object) -> Markdown:
    """A sentence of ours with values put in, each of them shown letter by letter.

    The one path by which a foreign value comes into Markdown: what shall act, such as `**`, stands in the sentence, or
    is Markdown already. Numbers are formatted as the sentence says.
    """
    shown = {name: value if isinstance(value, Markdown | Number) else plain(value) for name, value in values.items()}
    return Markdown(words.format(**shown))


def size(count: float) -> str:
    """Bytes, as people write them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.3g} GB"


def many(count: float) -> str:
    """A large number in short: 1.0 M."""
    for unit, scale in ((_("G"), 1e9), (_("M"), 1e6), (_("k"), 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f}"


def about(seconds: float) -> str:
    """A time to come, as exact as an expectation is."""
    count, unit = rounded(seconds)
    words = {
        "second": (_("about {n} second"), _("about {n} seconds")),
        "minute": (_("about {n} minute"), _("about {n} minutes")),
        "hour": (_("about {n} hour"), _("about {n} hours")),
    }
    return words[unit][count != 1].format(n=count)


def moment(seconds: float) -> str:
    """A time of day with its date, in the machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
