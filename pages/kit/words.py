"""The words on the screen. Every visible text goes through `_`; English is the source and the fallback."""

from __future__ import annotations

import gettext
import os
import time
from functools import lru_cache
from numbers import Number
from pathlib import Path

from core.engine.waiting_time import rounded
from core.spec import events
from core.spec.quoting import markdown

LOCALE = Path(__file__).resolve().parents[2] / "assets" / "locale"


def _(text: str) -> str:
    """`text` in the language of $LAYERLAB_LANG, or as it stands where there is no catalog for it."""
    return _catalog(os.environ.get("LAYERLAB_LANG", "en")).gettext(text) if text else ""


@lru_cache(maxsize=8)
def _catalog(language: str) -> gettext.NullTranslations:
    return gettext.translation("layerlab", LOCALE, [language], fallback=True)


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
    """Text that came from outside, so that Markdown shows it letter by letter."""
    return Markdown(markdown(str(text)))


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
