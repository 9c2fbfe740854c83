"""A language that nobody speaks, made from the English texts: what does not look odd in it was never translated.

Its texts stand in brackets and their letters carry accents. What a program reads is left alone: fields, tags, icons,
code between backticks, and the addresses of links.
"""

from __future__ import annotations

import re

from core.spec.sentences import Language

NAME = "xx"
OPEN, CLOSE = "⟦", "⟧"
_LEFT_ALONE = re.compile(
    r"(\{\{|\}\}|\{[^{}]*\}|%\{[^}]*\}|<[^<>]*>|&\w+;|:material/\w+:|:[a-z-]+(?=\[)|`[^`]*`|(?<=\])\([^)]*\)|https?://\S+)"
)
_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "áḅćđéḟğħíĵķĺṁńóṗʠŕśťúṽẃẋýźÁḄĆĐÉḞĞĦÍĴĶĹṀŃÓṖɊŔŚŤÚṼẂẊÝŹ",
)


def pseudo(msgid: str) -> str:
    """The text in the language that nobody speaks. What holds no word but fields and signs stays as it is."""
    parts = _LEFT_ALONE.split(msgid)  # every second one is left alone
    if not any(re.search(r"[A-Za-z]", part) for part in parts[::2]):
        return msgid
    said = "".join(part if i % 2 else part.translate(_LETTERS) for i, part in enumerate(parts))
    return f"{OPEN}{said}{CLOSE}"


PSEUDO = Language(NAME, pseudo, lambda one, many, n: pseudo(one if n == 1 else many))
