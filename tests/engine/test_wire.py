"""What crosses between processes comes out as it went in; what may not cross is refused, on both sides."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import struct
import sys
import types
import typing
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from core.engine import protocol, wire, workers
from core.engine.protocol import EngineError, Progress, RunState
from core.engine.wire import classes, dumps, loads
from core.spec import events, options, questions, registry, specs
from core.spec.events import Command, Status
from core.spec.facts import AboutSample
from core.spec.question_base import Question, answer_of
from core.spec.specs import Experiment

MESSAGES = (workers.Train, workers.Ask, workers.GiveUp, workers.Ready, workers.Part, workers.Answered, workers.Failed)
# dataclasses of the same modules that stay on their side of the wall
AT_HOME = {"core.spec.events.Event", "core.spec.events.Snapshot", "core.spec.events.Frame", "core.spec.options.Option"}


def alike(one: Any, other: Any) -> bool:
    """The same values of the same types, all the way down; NaN is like NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return alike(list(one), list(other)) and alike(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if dataclasses.is_dataclass(one):
        return alike(vars(one), vars(other))
    return one == other or (isinstance(one, float | np.floating) and np.isnan(one) and np.isnan(other))


VALUES = {
    "numbers": [0, -1, 2**63, -(10**60), 1.5, -0.0, math.inf, -math.inf, math.nan, True, None],
    "texts": ["", "abc", "größer 😀 \u2028 \x00 “", "lone \ud800", "two that are not one \ud83d\ude00", "x" * 100_000],
    "bytes": [b"", b"\x00\xff" * 5],
    "nested": {"a": (1, [2, (3,)]), ("k", 1): {1, 2}, None: frozenset({"x"}), True: {}, 2.5: ()},
    "numpy scalars": [np.float64(2.5), np.float32(math.nan), np.int64(-3), np.bool_(True), np.str_("ü"), np.uint8(7)],
    "arrays": [np.arange(6.0).reshape(2, 3), np.zeros((0, 3), np.float32), np.array(7, np.int16), np.empty((2, 0, 5))],
    "odd arrays": [np.arange(6)[::-2], np.arange(6).reshape(2, 3).T, np.arange(3, dtype=">i4"), np.array([1 + 2j])],
    "texts in arrays": [np.array(["a", "öü"]), np.array([b"x", b"yz"]), np.zeros((0,), "<U1"), np.array("")],
    "halves and truths": [np.arange(3, dtype=np.float16), np.array([True, False])],
}


@pytest.mark.parametrize("name", VALUES)
def test_plain_values_come_out_as_they_went_in(name: str) -> None:
    assert alike(loads(dumps(VALUES[name])), VALUES[name])


def test_an_array_that_came_can_be_changed() -> None:
    came = loads(dumps(np.zeros(3)))
    came += 1
    assert came.tolist() == [1, 1, 1]


# ── exactly these classes ────────────────────────────────────────────────────────────────────────────────────────────


def of_module(module: types.ModuleType) -> set[str]:
    """The dataclasses and NamedTuples that a module defines."""
    found = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
    return {wire.name_of(v) for v in found if dataclasses.is_dataclass(v) or hasattr(v, "_fields")}


def test_what_may_cross_is_every_question_and_answer_and_no_more() -> None:
    light = set().union(*map(of_module, (questions, events, specs, protocol, options))) - AT_HOME
    catalog = {
        wire.name_of(entry.options)
        for known in vars(registry).values()
        if isinstance(known, registry.Registry)
        for entry in known
    }
    modules = [sys.modules[view.facts.__module__] for view in registry.VIEWS]  # facts, and what they are made of
    catalog |= set().union(*map(of_module, modules)) | {wire.name_of(AboutSample)}
    assert set(classes()) == light | catalog | {wire.name_of(one) for one in MESSAGES}
    assert all(wire.name_of(kind) == name for name, kind in classes().items())
    assert all(name.startswith("core.") for name in classes())


def example(hint: Any) -> Any:  # noqa: C901, PLR0911 (one for each form of annotation)
    """Some value that fits an annotation."""
    if isinstance(hint, typing.TypeVar):
        return example(next(iter(registry.VIEWS)).facts)  # of Seen: what some view says
    if hint is Any:
        return {"a": (1, np.arange(3)), "b": ["x", math.nan]}
    if isinstance(hint, types.UnionType) or get_origin(hint) is typing.Union:
        return example(get_args(hint)[0])
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(origin) and origin is not Question:
        return example(origin)
    if origin is Question:
        return questions.Doctor()
    if origin is tuple:
        return (example(args[0]), example(args[0])) if args[-1] is Ellipsis else tuple(map(example, args))
    if origin is dict:
        return {example(args[0]): example(args[1])}
    if origin is list:
        return [example(args[0])]
    plain = {int: 3, float: 2.5, str: "größer", bool: True, np.ndarray: np.arange(6.0).reshape(2, 3), type(None): None}
    if hint in plain:
        return plain[hint]
    if issubclass(hint, options.Options):
        return hint()
    named = get_type_hints(hint, localns={"np": np})
    return hint(**{name: example(of) for name, of in named.items() if get_origin(of) is not ClassVar})


CROSSING = [
    *questions.kinds(),
    *map(answer_of, questions.kinds()),
    Progress,
    RunState,
    Command,
    Status,
    Experiment,
    *MESSAGES,
    *(view.facts for view in registry.VIEWS),
]


@pytest.mark.parametrize("kind", CROSSING, ids=str)
def test_every_question_answer_and_message_crosses_whole(kind: Any) -> None:
    made = example(kind)
    assert alike(loads(dumps(made)), made)


def test_the_options_of_every_entry_and_every_example_cross_whole() -> None:
    for known in vars(registry).values():
        if isinstance(known, registry.Registry):
            for entry in known:
                for made in (entry.options(), *getattr(entry, "examples", ())):
                    made = made[0] if isinstance(made, tuple) else made  # a layer's with what it is to work on
                    assert alike(loads(dumps(made)), made), entry.name


class Stranger:
    """Not one of ours."""


@dataclasses.dataclass
class Other:
    """A dataclass that nobody has named."""

    x: int = 0


@pytest.mark.parametrize(
    "value",
    [
        Stranger(),
        Other(),
        Stranger,
        len,
        Path("x"),
        OrderedDict(),
        Counter(),
        ValueError("x"),
        1j,
        range(3),
        np.array([None]),
        np.zeros(2, "f4,i4"),
        np.ma.masked_array([1]),
        np.datetime64("2020"),
        memoryview(b"x"),
        events.Event(1, "x", 2.0, 3.0),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_nothing_else_is_written_and_the_sentence_names_it(value: Any) -> None:
    with pytest.raises(EngineError, match=r"The value holds .* only plain values and numpy arrays"):
        dumps({"facts": [value]})


def test_a_tensor_and_an_exception_of_torch_are_named_by_their_module() -> None:
    import torch

    for value, name in (
        (torch.zeros(2), "torch.Tensor"),
        (torch.Size([1]), "torch.Size"),
        (torch.OutOfMemoryError("x"), "torch.OutOfMemoryError"),
    ):
        with pytest.raises(EngineError, match=f"holds a {name}; only plain values"):
            dumps(value)


def test_what_is_too_deep_or_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: list[Any] = []
    for _ in range(wire.DEEPEST + 5):
        deep = [deep]
    with pytest.raises(EngineError, match="levels deep"):
        dumps(deep)
    monkeypatch.setattr(wire, "LIMIT", 3 << 20)
    with pytest.raises(EngineError, match="4 MiB, more than can be handed on"):
        dumps(np.zeros(1 << 19))


# ── whoever wrote the bytes ──────────────────────────────────────────────────────────────────────────────────────────


def message(head: Any, tail: bytes = b"", text: bytes | None = None) -> bytes:
    text = json.dumps(head).encode() if text is None else text
    text += b" " * (-(len(text) + 4) % 8)
    return struct.pack("<I", len(text)) + text + tail


EVIL_PICKLE = b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94."
HOSTILE = {
    "nothing": b"",
    "a pickle": EVIL_PICKLE,
    "no head": struct.pack("<I", 400) + b"[]",
    "a huge head": struct.pack("<I", 2**32 - 1) + b"[]",
    "no JSON": message(None, text=b"{"),
    "no UTF-8": message(None, text=b"\xff\xff"),
    "an endless depth": message(None, text=b"[" * 100_000),
    "a deep value": message(None, text=b'["list",[' * 60 + b"]]" * 60),
    "an object": message({"a": 1}),
    "an unknown kind": message(["eval", "1"]),
    "a kind that is no text": message([["list"], []]),
    "no kind": message([]),
    "too few parts": message(["class"]),
    "a foreign class": message(["class", "builtins.eval", {"source": "1"}]),
    "a module": message(["class", "os", {}]),
    "a class that stays at home": message(["class", "core.spec.events.Event", {"step": 1, "name": "", "value": 1}]),
    "a field too many": message(["class", "core.spec.questions.Doctor", {"x": 1}]),
    "a handler": message(["class", "core.spec.questions.Doctor", {"handler": "os:getcwd"}]),
    "a question of no kind": message(["class", "core.spec.question_base.Question", {}]),
    "a field too few": message(["class", "core.spec.events.Command", {"verb": "stop"}]),
    "fields by place": message(["class", "core.spec.events.Command", ["stop", {}]]),
    "a value out of range": message(["class", "core.catalog.datasets.digits.Digits", {"size": 10**9}]),
    "objects in an array": message(["array", "|O", [1]], b"\0" * 8),
    "records in an array": message(["array", "f4,f4", [1]], b"\0" * 8),
    "a dtype of megabytes": message(["array", "<U99999999", [1]], b"\0" * 8),
    "a shape that is not there": message(["array", "<f8", [2**40]], b"\0" * 8),
    "a shape beyond all numbers": message(["array", "<f8", [2**40] * 40], b"\0" * 8),
    "a negative shape": message(["array", "<f8", [-1]], b"\0" * 8),
    "a shape of truths": message(["array", "<f8", [True]], b"\0" * 8),
    "too many axes": message(["array", "<f8", [1] * 100], b"\0" * 8),
    "an empty giant": message(["array", "<f8", [0, 2**62, 2**62]]),
    "bytes left over": message(1, b"\0" * 8),
    "negative bytes": message(["bytes", -1], b"\0" * 8),
    "bytes that are not there": message(["bytes", 9], b"\0" * 8),
    "a list in a set": message(["set", [["list", []]]]),
    "half a dict": message(["dict", ["a"]]),
    "a scalar of many": message(["scalar", ["array", "<f8", [1]]], b"\0" * 8),
    "a scalar of none": message(["scalar", 1]),
    "text that is no hex": message(["text", "zz"]),
    "a number of thousands of digits": message(None, text=b"9" * 10_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_told_in_one_sentence(name: str) -> None:
    with pytest.raises(EngineError, match="The value cannot be read: ") as told:
        loads(HOSTILE[name])
    assert "\n" not in str(told.value).strip() and len(str(told.value)) < 400


def test_any_flipped_byte_is_read_or_refused_and_never_more() -> None:
    """Whatever 2,000 random changes of a real message give: a value of ours, or an EngineError."""
    sound = dumps((True, {"exp": specs.preset("cnn", "digits"), "a": np.arange(40.0), "text": ["a", (1, 2.5)]}))
    random, read = np.random.default_rng(0), 0
    for _ in range(2000):
        data = bytearray(sound)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            data[at] = random.integers(0, 256)
        with contextlib.suppress(EngineError):
            loads(bytes(data))
            read += 1
    assert 100 < read < 1900
