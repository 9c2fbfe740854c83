"""Sentences that are translated where they are read: English with named fields, and the values of the fields.

A `Sentence` is a text, the English one, so whoever knows nothing of languages prints it, compares it and writes it to a
file. Where a person reads it, a `Language` makes it anew: it looks `msgid` up in its catalog and formats the values by
its habits, numbers and sentences within the sentence too.

    Sentence("{name} = {value:g} is out of range.", name=name, value=value)
    counted("{n:,} step is left.", "{n:,} steps are left.", n=left)
    _("Only samples of one class.")

A value that is a text is quoted: put on one line, its control characters written out. `quoted` and `shown` of
core.spec.quoting cut it besides; what is `Quoted` already stays as it is, and so one says that a text is ours.
`f"…"`, `str.join` and most methods of str make a plain text of a sentence, which nobody can translate: use `join`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from core.spec.quoting import Quoted, quoted, visible

_SPEC = re.compile(r"[-+ ]?0?\d{0,2},?(\.\d{1,2})?[dfgGeE%]?")  # how a number may be written; no room for mischief
LONGEST = 500  # characters of a value


class Sentence(str):
    """An English sentence that can still be translated. Without values `msgid` is the text, braces and all.

    plural: the msgid for every number but one; the number is the value `n` (see `counted`).
    """

    __slots__ = ("msgid", "plural", "values")
    msgid: str
    plural: str
    values: Mapping[str, Any]

    def __new__(cls, msgid: str, /, **values: Any) -> Sentence:
        return _made(cls, str.__str__(msgid), "", {name: _value(value) for name, value in values.items()})

    def __str__(self) -> str:
        return self  # str(error) is how a sentence comes out of an exception

    def __repr__(self) -> str:
        parts = [repr(self.msgid), *([repr(self.plural)] if self.plural else [])]
        parts += [f"{name}={value!r}" for name, value in self.values.items()]
        return f"{'counted' if self.plural else 'Sentence'}({', '.join(parts)})"

    def __setattr__(self, name: str, _value: Any) -> None:
        raise AttributeError(f"a sentence does not change: {name}")

    def __add__(self, other: str) -> Sentence:
        return join((self, other), "")

    def __radd__(self, other: str) -> Sentence:
        return join((other, self), "")

    def __copy__(self) -> Sentence:
        return self

    def __deepcopy__(self, _memo: Any) -> Sentence:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.msgid, self.plural, dict(self.values))


def counted(one: str, many: str, /, *, n: float, **values: Any) -> Sentence:
    """A sentence that English says in two ways: `one` where the value `n` is 1, else `many`."""
    return _made(
        Sentence,
        str.__str__(one),
        str.__str__(many),
        {name: _value(value) for name, value in {"n": n, **values}.items()},
    )


def _(text: str) -> Sentence:
    """A sentence, or a word, without values."""
    return Sentence(text)


def join(parts: Iterable[str], between: str = " ") -> Sentence:
    """Sentences one after the other, as one. What is plain text already stays as it is. `between` may be a sentence."""
    found = [part if isinstance(part, Sentence) else Quoted(part) for part in parts]
    if len(found) == 1 and isinstance(found[0], Sentence):
        return found[0]
    values: dict[str, Any] = {f"part{i}": part for i, part in enumerate(found)}
    if isinstance(between, Sentence):
        values["between"] = between
        between = "{between}"
    return Sentence(between.join(f"{{part{i}}}" for i in range(len(found))), **values)


def remade(msgid: Any, plural: Any, values: Any) -> Sentence:
    """The sentence that was written down elsewhere as these three. ValueError where they are none.

    values: {name: number | text | Sentence | list or tuple of these}.
    """
    sound = isinstance(msgid, str) and isinstance(plural, str) and isinstance(values, Mapping)
    if not sound or max(len(msgid), len(plural)) > 20 * LONGEST or not all(isinstance(name, str) for name in values):
        raise ValueError("no sentence")
    try:
        return _made(Sentence, visible(msgid), visible(plural), {name: _read(one) for name, one in values.items()})
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no sentence: {error}") from None


def written(value: Any) -> Any:
    """The value as JSON keeps it: a sentence in it, however deep, as an object of what it is made of, and its text."""
    if isinstance(value, Sentence):
        made_of = {"msgid": value.msgid, "plural": value.plural, "values": written(dict(value.values))}
        return {"text": str.__str__(value), **made_of}
    if isinstance(value, dict):
        return {name: written(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [written(one) for one in value]
    return value


def from_written(raw: Any) -> Any:
    """The inverse of `written`, but for tuples. A sentence that is none, or says another thing, is its plain text."""
    if isinstance(raw, list):
        return [from_written(one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    inside = {name: from_written(one) for name, one in raw.items()}
    if raw.keys() != {"text", "msgid", "plural", "values"}:
        return inside
    try:
        made = remade(inside["msgid"], inside["plural"], inside["values"])
    except ValueError:
        return str(raw["text"])
    return made if made == raw["text"] else str(raw["text"])


def _made(cls: type[Sentence], msgid: str, plural: str, values: dict[str, Any]) -> Sentence:
    template = plural if plural and values["n"] != 1 else msgid
    made = str.__new__(cls, _filled(template, values, ENGLISH) if values else template)
    for name, value in (("msgid", msgid), ("plural", plural), ("values", MappingProxyType(values))):
        object.__setattr__(made, name, value)
    return made


def _value(value: Any) -> Any:  # noqa: PLR0911 (one case a kind of value)
    """What a sentence keeps of a value: numbers, sentences and quoted texts."""
    if isinstance(value, Sentence | Quoted):
        return value
    if isinstance(value, str | bool):
        return quoted(value, LONGEST)
    if type(value) in (int, float):
        return value
    if isinstance(value, Real):  # of numpy: np.float64 is a float, too
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, list | tuple):
        return tuple(_value(one) for one in value)
    if isinstance(value, BaseException):  # its own sentence, or what another program says
        text = str(value)
        return text if isinstance(text, Sentence) else Quoted(visible(text))
    return quoted(value, LONGEST)


def _read(value: Any) -> Any:
    """A value that was written down: a text of it was quoted then."""
    if isinstance(value, str) and not isinstance(value, Sentence):
        return Quoted(visible(value))
    if isinstance(value, list | tuple):
        return tuple(_read(one) for one in value)
    if isinstance(value, Sentence) or type(value) in (int, float):
        return value
    raise TypeError("a value is none of a sentence")


# ── how a reader gets it ─────────────────────────────────────────────────────────────────────────────────────────────


class Language:
    """How sentences read in one language.

    one: msgid → its translation. several: (msgid, plural, n) → the translation for that number. decimal, group: what
    stands in numbers for the point and for the commas of English.
    """

    def __init__(
        self,
        name: str,
        one: Callable[[str], str],
        several: Callable[[str, str, float], str],
        *,
        decimal: str = ".",
        group: str = ",",
    ) -> None:
        self.name = name
        self._one, self._several = one, several
        self._signs = {ord("."): decimal, ord(","): group}
        self.separators = f"{decimal}{group}"  # as Plotly takes them

    def text(self, words: str) -> str:
        """The sentence, or the marked text, in this language; in English where the catalog has nothing sound for it."""
        if not words:
            return ""
        if not isinstance(words, Sentence):
            return self._one(words)
        if words.plural:
            template = self._several(words.msgid, words.plural, words.values["n"])
        else:
            template = self._one(words.msgid)
        if not words.values:
            return template
        try:
            return _filled(template, words.values, self)
        except (KeyError, ValueError):  # a translation with other fields
            return _filled(words.plural if words.plural and words.values["n"] != 1 else words.msgid, words.values, self)

    def number(self, value: float, spec: str) -> str:
        """A number as Python formats it, with this language's signs. ValueError where the format is no number's."""
        if not _SPEC.fullmatch(spec):
            raise ValueError(f"no format of a number: {spec}")
        return self.signed(format(value, spec))

    def signed(self, number: str) -> str:
        """An English number with the signs of this language."""
        return number.translate(self._signs)

    def value(self, value: Any, spec: str) -> str:
        """A value of a sentence."""
        if isinstance(value, Sentence):
            return self.text(value)
        if isinstance(value, str):
            return value
        if isinstance(value, tuple):
            return ", ".join(self.value(one, spec) for one in value)
        return self.number(value, spec)


ENGLISH = Language("en", lambda words: words, lambda one, many, n: one if n == 1 else many)


@lru_cache(maxsize=4096)
def parsed(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """(text, field, format) of each piece of a msgid; field None at the end. ValueError where it is none."""
    pieces = []
    for text, field, spec, how in string.Formatter().parse(template):
        if how or (field is not None and not field.isidentifier()):
            raise ValueError(f"no field of a sentence: {field}")
        pieces.append((text, field, spec or ""))
    return tuple(pieces)


def _filled(template: str, values: Mapping[str, Any], language: Language) -> str:
    put = language.value
    return "".join(text if field is None else text + put(values[field], spec) for text, field, spec in parsed(template))
