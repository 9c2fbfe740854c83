"""Mends: a stack of layers as one click leaves it, and the words for that click. It knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from math import prod
from typing import Any

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, VECTOR, WORDS, DataForm, Fault, Form, Layer
from core.spec import registry
from core.spec.options import SpecError
from core.spec.sentences import Sentence, _, join
from core.spec.specs import LayerSpec, plain_name

Layers = tuple[LayerSpec, ...]
Rows = Sequence[tuple[str, dict[str, Any]]]  # (kind, options) of layers that are still without a name


def free_name(kind: str, specs: Sequence[LayerSpec]) -> str:
    """`kind` with the first number that no layer has yet: conv1, conv2, …"""
    taken = {plain_name(spec.name) for spec in specs}
    return next(name for i in range(1, len(taken) + 2) if (name := f"{kind}{i}") not in taken)


def inserted(specs: Layers, index: int, rows: Rows) -> Layers:
    """The layers with new ones put before the one at `index`; none where an option would be out of range."""
    made = list(specs)
    try:
        for row, (kind, options) in enumerate(rows):
            spec = LayerSpec(kind, registry.LAYERS.get(kind).options(**options), free_name(kind, made))
            made.insert(index + row, spec)
    except SpecError:
        return ()
    return tuple(made)


def with_options(specs: Layers, index: int, options: dict[str, Any]) -> Layers:
    """The layers with options of the one at `index` changed; none where one would be out of range."""
    try:
        changed: Any = replace(specs[index].options, **options)
    except SpecError:
        return ()
    return (*specs[:index], replace(specs[index], options=changed), *specs[index + 1 :])


def without(specs: Layers, index: int) -> Layers:
    """The layers but the one at `index`."""
    return (*specs[:index], *specs[index + 1 :])


def embedding(data: DataForm) -> tuple[str, dict[str, Any]]:
    """The token embedding that this data needs."""
    return "embedding", {"vocabulary": max(2, data.vocabulary)}


def kinds(takes: tuple[str, ...]) -> str:
    """The kinds of form in words."""
    return join((WORDS[kind] for kind in takes), _(" or "))


def wrong_kind(entry: Layer, got: Form, data: DataForm) -> Fault:
    """A layer that takes another kind of form: what turns one into the other is put before it, where there is such."""
    message = Sentence(
        "it needs {kinds}, but gets {kind} of {sizes}",
        kinds=kinds(entry.takes),
        kind=WORDS[got.kind],
        sizes=got.words(),
    )
    if got.kind == PICTURE and VECTOR in entry.takes:
        return Fault(message, _("put a flatten layer before it"), insert=(("flatten", {}),))
    if got.kind == PICTURE and SEQUENCE in entry.takes:
        return Fault(message, _("put a rows layer before it"), insert=(("rows", {}),))
    if got.kind == SEQUENCE and VECTOR in entry.takes:
        return Fault(message, _("put a read-out layer before it"), insert=(("read_out", {}),))
    if got.kind == TOKENS and {SEQUENCE, VECTOR} & set(entry.takes):
        return Fault(message, _("put a token embedding before it"), insert=(embedding(data),))
    if (got.kind, got.shape) == (data.kind, data.shape):  # the data itself: moving the layer would help nobody
        fix = Sentence("remove it, or choose data that gives {kinds}", kinds=kinds(entry.takes))
        return Fault(message, fix, remove=True)
    return Fault(message, _("remove it, or move it to where the shape still fits"), remove=True)


def applied(specs: Layers, index: int, fault: Fault) -> Layers:
    """The layers after one click on the mend of the layer at `index`; none where words alone can mend it."""
    if fault.remove:
        return without(specs, index)
    if fault.insert:
        return inserted(specs, index, fault.insert)
    return with_options(specs, index, fault.options) if fault.options else ()


def is_hidden(last: LayerSpec, data: DataForm) -> bool:
    """Is the last linear layer, by its width, one that was meant to be a hidden one?"""
    wide = getattr(last.options, "features", 0)
    return plain_name(last.name) != "head" and wide >= 16 and wide > 2 * data.classes


def one_end(specs: Layers, form: Form, data: DataForm) -> tuple[str, Layers]:
    """One answer a sample: a flatten, pooling or read-out where one is missing, then a linear layer of that size."""
    rows: list[tuple[str, dict[str, Any]]]
    words: str
    head = Sentence("end with a linear layer of {classes} features", classes=data.classes)
    is_linear = bool(specs) and specs[-1].kind == "linear"
    if form.kind == VECTOR and is_linear:
        if is_hidden(specs[-1], data):
            rows = [("relu", {}), ("linear", {"features": data.classes})]
            words = Sentence("put a ReLU and a linear layer of {classes} features after it", classes=data.classes)
            return words, inserted(specs, len(specs), rows)
        return head, with_options(specs, len(specs) - 1, {"features": data.classes})
    if form.kind == SEQUENCE and is_linear and form.shape[1] == data.classes:
        return _("put a read-out layer after it"), inserted(specs, len(specs), [("read_out", {})])
    rows, words = [], ""
    if form.kind == PICTURE:
        kind = "flatten" if prod(form.shape) <= 65_536 else "global_pool"
        rows, words = [(kind, {})], Sentence("put a {title} layer after it and ", title=registry.LAYERS.get(kind).title)
    elif form.kind == SEQUENCE:
        both = any(getattr(spec.options, "bidirectional", False) for spec in specs)
        take = "mean" if both or any(spec.kind == "transformer_block" for spec in specs) else "last"
        rows, words = [("read_out", {"take": take})], _("put a read-out layer after it and ")
    elif form.kind == TOKENS:
        rows = [embedding(data), ("read_out", {"take": "mean"})]
        words = _("put a token embedding and a read-out layer after it and ")
    return words + head, inserted(specs, len(specs), [*rows, ("linear", {"features": data.classes})])


WIDTHS = ("channels", "features", "hidden", "width")


def looking_back(name: str, options: dict[str, bool]) -> str:
    """The words for a layer that is kept from reading later steps: by this option or, where none can, by removal."""
    if not options:
        return Sentence("remove {name}", name=name)
    ((option, value),) = options.items()
    words = {
        "bidirectional": Sentence("make {name} one-directional", name=name),
        "causal": Sentence("make {name} causal", name=name),
    }.get(option, Sentence("keep {name} from reading later steps", name=name))
    return Sentence("{words} (set {option} to {value})", words=words, option=option, value=str(value).lower())


def narrower(specs: Layers, index: int, share: float, data: DataForm) -> tuple[str, Layers]:
    """The layer at `index` with its width times `share`, as a power of two; the answer's own width stays."""
    options = specs[index].options
    name = next((f.name for f in fields(options) if f.name in WIDTHS), "")
    wide = getattr(options, name) if name else 0
    if wide > 1 and not (index == len(specs) - 1 and wide == data.classes):
        less = 1 << max(0, int(min(wide // 2, wide * share)).bit_length() - 1)
        return Sentence("set {name} to {less}", name=name, less=less), with_options(specs, index, {name: less})
    if index and specs[index - 1].kind == "flatten":
        pooled = inserted(without(specs, index - 1), index - 1, [("global_pool", {})])
        return Sentence("use global average pooling instead of {name}", name=specs[index - 1].name), pooled
    return _("make what comes before it smaller"), ()
