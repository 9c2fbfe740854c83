"""Text that somebody else wrote: made clean where it comes in, and literal where a sentence quotes it.

`clean` and `parsed` stand at every entrance: links, uploads, files, typed names. What has come in can be stored, sent
and drawn. `quoted` and `shown` put a foreign value into a sentence. A sentence of core is plain text; a page shows it
through `markdown`, where nothing in it acts, and a terminal through `one_line`, where nothing in it moves the cursor.
"""

from __future__ import annotations

import json
import re
import reprlib
import unicodedata
from typing import Any

MOST = 60  # characters of a foreign value in a sentence
_JOINERS = "\u200c\u200d"  # shape letters of some scripts, and emoji
_JOIN = "\u2060"  # no width, no break: what stands between two characters that would act together
_ACTING = frozenset("\\`*_{}[]()#+-.!|$:~<>&=")
_TOGETHER = re.compile(
    r"(?<=:)(?=//)"  # http://…, which the browser makes a link of wherever it stands
    r"|(?<=www)(?=\.)"
    r"|(?<=[\w.+-])(?=@)"  # an address of e-mail
    r"|(?<=[-<>~=])(?=[-<>~=])"  # arrows and dashes
    r"|(?<=:)(?=[\w/+-]+:)",  # an icon's name
    re.IGNORECASE,
)


def clean(value: Any) -> Any:
    """A text, or lists and objects of texts as JSON has them, with U+FFFD for what is no text.

    That are halves of surrogate pairs (no protocol can carry them), control characters but tab and line end, and what
    turns the direction of reading.
    """
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if _is_text(c) else "\ufffd" for c in value)
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(clean(one) for one in value)
    return value


def _is_text(char: str) -> bool:
    return char in "\t\n" or not _acts(char)


def _acts(char: str) -> bool:
    """Is this a character that a screen obeys, or cannot draw, rather than draws?"""
    if char.isprintable() or char in _JOINERS:
        return False
    return unicodedata.category(char) not in ("Zs", "Co", "Cn")


def parsed(data: bytes | str) -> Any:
    """The JSON that came from outside, clean. ValueError or RecursionError where it is none."""
    return clean(json.loads(data))


def whole(text: str, most: int) -> int | None:
    """The whole number from 0 to `most` that somebody wrote; None where it is none."""
    written = text.strip()
    if not written.isdecimal() or len(written) > 20:  # int() takes no thousands of digits
        return None
    number = int(written)
    return number if number <= most else None


def visible(text: str) -> str:
    """The text with its control characters written out: `\\x1b`. Line ends and tabs stay."""
    return text if text.isprintable() else "".join(_written(c) if _acts(c) and c not in "\t\n" else c for c in text)


def _written(char: str) -> str:
    return ascii(char)[1:-1]


class Quoted(str):
    """A text that a sentence holds as it stands: quoted already, or ours (a name of the catalog, a line of code)."""

    __slots__ = ()


def quoted(value: object, most: int = MOST) -> Quoted:
    """A foreign value as a sentence may quote it: on one line, its control characters written out, shortened."""
    try:
        text = visible(str(value)[: 4 * most]).replace("\n", "\\n").replace("\t", "\\t")
    except ValueError:  # an int of thousands of digits
        text = "a number of thousands of digits"
    return Quoted(text if len(text) <= most else text[: most - 1] + "…")


def shown(value: Any) -> Quoted:
    """A value of an option as a sentence may quote it: texts in quotes, however deep or long it is."""
    try:
        text = f"{value:g}" if isinstance(value, float) else reprlib.repr(value)
    except ValueError:  # an int of thousands of digits
        text = "a number of thousands of digits"
    return quoted(text)


def one_line(text: object, most: int = 2000) -> Quoted:
    """A sentence on one line, for a terminal."""
    return quoted(" ".join(visible(str(text)[: 4 * most]).split("\n")), most)


def markdown(text: str) -> str:
    """The text so that Markdown draws it letter by letter: no link, picture, icon, colour or heading comes of it.

    A backslash does not stop everything: addresses, icons and arrows are made of what the backslashes have left.
    """
    parts = _TOGETHER.sub(_JOIN, " ".join(visible(text).splitlines()))
    return "".join(f"\\{c}" if c in _ACTING else c for c in parts)
