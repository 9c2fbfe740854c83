"""How values cross between processes: as JSON and the bytes of arrays, in both directions; nothing is ever unpickled.

Unpickling runs what the bytes ask for. Here the reader makes plain values, numpy arrays without objects, and the
classes that the annotations of what crosses name (`classes`), and nothing else, whoever wrote the bytes. So a torch
exception or tensor that slipped into an answer is refused by the name of its module, and no one who reads loads torch.

A message: u32 little-endian length of the head · the head, JSON · the bytes of arrays, each aligned to 8 bytes, in the
order in which the head names them. In the head None, truth values, numbers and texts stand for themselves; everything
else is a list whose first item says what it is. A sentence crosses as what it is made of: it is translated where it is
read.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from core.engine.protocol import EngineError, Progress, RunState
from core.spec import registry
from core.spec.events import Command, Status
from core.spec.options import Options
from core.spec.question_base import answer_of
from core.spec.questions import kinds
from core.spec.quoting import Quoted
from core.spec.sentences import Sentence, _, remade
from core.spec.specs import Experiment

VERSION = 3  # of what the engine and its clients say to each other
LIMIT, HEAD_LIMIT = 512 << 20, 64 << 20  # bytes of one message, and of its head
DEEPEST = 40  # levels of values within values
_NUMBERS = {type(None), bool, int, float}
_THEMSELVES = {*_NUMBERS, str}  # what stands for itself in the head
_DTYPE = re.compile(r"[<>|](?:[biufc]\d{1,2}|[US]\d{1,6})")  # no objects, no records
_SURROGATE = re.compile("[\ud800-\udfff]")  # which JSON might join to another character


def dumps(value: Any) -> bytes:
    """The value as bytes; EngineError, which names the class, when something is in it that may not cross."""
    return _Writer().message(value)


def loads(data: bytes) -> Any:
    """The inverse of dumps; EngineError, whatever the bytes hold."""
    try:
        return _Reader(data).message()
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever the bytes hold, it is told in words)
        raise EngineError(
            Sentence("The value cannot be read: {name}: {error}", name=type(error).__name__, error=error)
        ) from None


def say(conn: Connection, value: Any) -> None:
    """Send a value. Never Connection.send: its other end would unpickle."""
    conn.send_bytes(dumps(value))


def hear(conn: Connection) -> Any:
    """The next value; EOFError or OSError when the other end has gone, EngineError when it cannot be read."""
    return loads(conn.recv_bytes(LIMIT))


def words(error: BaseException) -> str:
    """An exception as a sentence: our own errors speak for themselves, others are named."""
    ours = type(error).__module__.startswith("core.")
    if ours and isinstance(text := str(error), Sentence):
        return text
    text = str(error).strip()
    if ours and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# ── what may cross ───────────────────────────────────────────────────────────────────────────────────────────────────

_known: dict[str, type] = {}  # name → dataclass or NamedTuple


def let_through(*roots: Any) -> None:
    """Let these classes cross, and those that the annotations of their fields name."""
    for root in roots:
        if isinstance(root, type) and (is_dataclass(root) or hasattr(root, "_fields")):
            if _known.get(name_of(root)) is not root:
                _known[name_of(root)] = root
                let_through(*get_type_hints(root, localns={"np": np}).values())
        else:
            origin = get_origin(root)  # Seen[…] is a Seen; Question[…] is one of its own classes, and never itself
            let_through(*([origin] if is_dataclass(origin) and fields(origin) else []), *get_args(root))


def name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


let_through(*kinds(), *map(answer_of, kinds()), Progress, RunState, Command, Status, Experiment)


@lru_cache(maxsize=1)
def classes() -> dict[str, type]:
    """Every class that may cross, by name. To be read, not changed.

    Among them the options of everything in the catalog, and the facts of its views.
    """
    for known in vars(registry).values():
        if isinstance(known, registry.Registry):
            let_through(*(entry.options for entry in known if issubclass(entry.options, Options)))
    let_through(*(view.facts for view in registry.VIEWS))
    return _known


def _class(name: str) -> type | None:
    return _known.get(name) or classes().get(name)  # the catalog is read only when it is needed


@lru_cache(maxsize=1024)
def _fields(kind: Any) -> dict[str, None]:
    """The names of a class's fields, in order."""
    return dict.fromkeys([f.name for f in fields(kind)] if is_dataclass(kind) else kind._fields)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Writer:
    """One message on its way out."""

    def __init__(self) -> None:
        self._parts: list[Any] = []  # the arrays' bytes, with what aligns them
        self._size = 0

    def message(self, value: Any) -> bytes:
        head = json.dumps(self._plain(value, 0), separators=(",", ":"), ensure_ascii=False, check_circular=False)
        text = head.encode()
        text += b" " * (-(len(text) + 4) % 8)
        if len(text) > HEAD_LIMIT or self._size + len(text) > LIMIT:
            size = (self._size + len(text)) >> 20
            raise EngineError(
                Sentence(
                    "The answer takes {size:,} MiB, more than can be handed on; ask for a smaller piece.", size=size
                )
            )
        return b"".join((struct.pack("<I", len(text)), text, *self._parts))

    def _plain(self, value: Any, depth: int) -> Any:
        kind: Any = type(value)
        if kind in _NUMBERS:
            return value
        if depth > DEEPEST:
            raise EngineError(
                Sentence("The value is more than {deepest} levels deep; it may not cross.", deepest=DEEPEST)
            )
        write = _WRITERS.get(kind)
        if write is not None:
            return write(self, value, depth + 1)
        if isinstance(value, np.generic):
            return ["scalar", self._array(np.asarray(value))]
        name = name_of(kind)
        if _class(name) is not kind:
            raise EngineError(
                Sentence("The value holds a {name}; only plain values and numpy arrays may cross.", name=name)
            )
        names = _fields(kind)
        values = self._all([getattr(value, field) for field in names], depth + 1)
        return ["class", name, dict(zip(names, values, strict=True))]

    def _all(self, values: list[Any], depth: int) -> list[Any]:
        return [value if type(value) in _NUMBERS else self._plain(value, depth) for value in values]

    def _text(self, value: str, _depth: int) -> Any:
        if value.isascii() or not _SURROGATE.search(value):
            return value
        return ["text", value.encode("utf-8", "surrogatepass").hex()]

    def _sentence(self, value: Sentence, depth: int) -> list[Any]:
        return ["sentence", value.msgid, value.plural, self._dict(dict(value.values), depth)]

    def _many(self, value: Any, depth: int) -> list[Any]:
        return [type(value).__name__, self._all(list(value), depth)]

    def _dict(self, value: dict[Any, Any], depth: int) -> list[Any]:
        return ["dict", self._all([one for pair in value.items() for one in pair], depth)]

    def _bytes(self, value: bytes, _depth: int) -> list[Any]:
        self._keep(value, len(value))
        return ["bytes", len(value)]

    def _array(self, value: np.ndarray, _depth: int = 0) -> list[Any]:
        dtype = value.dtype.str
        if not _DTYPE.fullmatch(dtype):
            raise EngineError(
                Sentence(
                    "The value holds an array of {dtype}; only plain values and numpy arrays of numbers or texts may "
                    "cross.",
                    dtype=value.dtype,
                )
            )
        self._keep(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data if value.size else b"", value.nbytes)
        return ["array", dtype, list(value.shape)]

    def _keep(self, data: Any, size: int) -> None:
        self._parts += [data, b"\0" * (-size % 8)]
        self._size += size + -size % 8


_WRITERS: dict[type, Callable[[_Writer, Any, int], Any]] = {
    str: _Writer._text,
    Quoted: _Writer._text,
    Sentence: _Writer._sentence,
    bytes: _Writer._bytes,
    dict: _Writer._dict,
    np.ndarray: _Writer._array,
    **dict.fromkeys((list, tuple, set, frozenset), _Writer._many),
}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """One message on its way in. Every byte of it is read once: what is made is no larger than what was sent."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def message(self) -> Any:
        (length,) = struct.unpack_from("<I", self._data)
        if length > HEAD_LIMIT or length + 4 > len(self._data):
            raise EngineError(
                Sentence("The value cannot be read: its head of {length:,} bytes is not there.", length=length)
            )
        self._at = 4 + length
        value = self._value(json.loads(self._data[4 : self._at].decode()), 0)
        if self._at != len(self._data):
            raise EngineError(
                Sentence("The value cannot be read: {left:,} bytes are left over.", left=len(self._data) - self._at)
            )
        return value

    def _value(self, raw: Any, depth: int) -> Any:
        if type(raw) in _THEMSELVES:
            return raw
        if type(raw) is not list:
            raise EngineError(_("The value cannot be read: an object stands where there can be none."))
        if depth > DEEPEST:
            raise EngineError(
                Sentence("The value cannot be read: it is more than {deepest} levels deep.", deepest=DEEPEST)
            )
        kind, *rest = raw
        read = _READERS.get(kind)
        if read is None:
            raise EngineError(_("The value cannot be read: it holds a kind of thing that is not known."))
        return read(self, depth + 1, *rest)

    def _items(self, raw: Iterable[Any], depth: int) -> list[Any]:
        return [item if type(item) in _THEMSELVES else self._value(item, depth) for item in raw]

    def _dict(self, depth: int, raw: Any) -> dict[Any, Any]:
        items = self._items(raw, depth)
        return dict(zip(items[::2], items[1::2], strict=True))

    def _bytes(self, _depth: int, size: int) -> bytes:
        start = self._take(size)
        return self._data[start : start + size]

    def _array(self, _depth: int, dtype: str, shape: list[int]) -> np.ndarray:
        if not _DTYPE.fullmatch(dtype) or not all(type(n) is int and n >= 0 for n in shape):
            raise EngineError(_("The value cannot be read: an array of it has no shape, or no type that may cross."))
        kind, count = np.dtype(dtype), math.prod(shape)
        start = self._take(count * kind.itemsize)
        if not count * kind.itemsize:
            return np.zeros(shape, kind)
        return np.frombuffer(self._data, kind, count, start).reshape(shape).copy()  # ours to change

    def _sentence(self, depth: int, msgid: Any, plural: Any, values: Any) -> Sentence:
        return remade(msgid, plural, self._value(values, depth))

    def _scalar(self, depth: int, raw: Any) -> Any:
        value = self._value(raw, depth)
        return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else _no(_("a number is no number"))

    def _made(self, depth: int, name: str, values: dict[str, Any]) -> Any:
        kind = _class(name)
        if kind is None:
            raise EngineError(_("The value cannot be read: it names a class that may not cross."))
        if values.keys() != _fields(kind).keys():
            wanted = list(_fields(kind)) or _("none")
            raise EngineError(
                Sentence(
                    "The value cannot be read: a {name} has the fields {wanted}, and no others.",
                    name=name,
                    wanted=wanted,
                )
            )
        return kind(**dict(zip(values, self._items(values.values(), depth), strict=True)))

    def _take(self, size: int) -> int:
        """Where the next `size` bytes begin."""
        start = self._at
        if type(size) is not int or not 0 <= size <= len(self._data) - start:
            raise EngineError(_("The value cannot be read: it ends too early."))
        self._at += size + -size % 8
        return start


def _no(why: str) -> Any:
    raise EngineError(Sentence("The value cannot be read: {why}.", why=why))


_READERS: dict[Any, Callable[..., Any]] = {
    "text": lambda _reader, _depth, raw: bytes.fromhex(raw).decode("utf-8", "surrogatepass"),
    "bytes": _Reader._bytes,
    "dict": _Reader._dict,
    "array": _Reader._array,
    "scalar": _Reader._scalar,
    "sentence": _Reader._sentence,
    "class": _Reader._made,
    "list": lambda reader, depth, raw: reader._items(raw, depth),
    "tuple": lambda reader, depth, raw: tuple(reader._items(raw, depth)),
    "set": lambda reader, depth, raw: set(reader._items(raw, depth)),
    "frozenset": lambda reader, depth, raw: frozenset(reader._items(raw, depth)),
}
