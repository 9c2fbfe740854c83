"""What can be done to a list of layers, and how a layer is said in one line. Pure: lists in, lists out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from core.catalog.entries import TOKENS, DataForm, Form, Layer
from core.catalog.mends import free_name
from core.spec import registry
from core.spec.options import SpecError, declared
from core.spec.questions import LayerRow
from core.spec.specs import LAYER_LIMIT, LayerSpec
from pages.kit.words import _

Layers = tuple[LayerSpec, ...]
COUNTED = {"maps", "features", "units", "heads", "groups", "ids"}  # units that say by themselves what is counted


def index_of(layers: Layers, name: str) -> int:
    """Where the layer called `name` stands; −1 where there is none."""
    return next((i for i, layer in enumerate(layers) if layer.name == name), -1)


def inserted(layers: Layers, after: str, kind: str, data: DataForm) -> tuple[Layers, str]:
    """A new layer of this kind after the one called `after` (none of that name: at the end); and its name."""
    entry: Layer = registry.LAYERS.get(kind)
    known = {"vocabulary": data.vocabulary} if "vocabulary" in declared(entry.options) and data.vocabulary else {}
    at = index_of(layers, after) + 1 or len(layers)
    return _put(layers, at, LayerSpec(kind, entry.options(**known), free_name(_stem_of(kind, layers), layers)))


def copied(layers: Layers, name: str) -> tuple[Layers, str]:
    """The layer called `name` once more, right after itself; and the copy's name."""
    at = index_of(layers, name)
    return _put(layers, at + 1, replace(layers[at], name=free_name(_stem(name), layers)))


def _put(layers: Layers, at: int, layer: LayerSpec) -> tuple[Layers, str]:
    if len(layers) >= LAYER_LIMIT:
        raise SpecError("layers", _("A model here may have at most {n} layers.").format(n=LAYER_LIMIT))
    return (*layers[:at], layer, *layers[at:]), layer.name


def moved(layers: Layers, name: str, by: int) -> Layers:
    """The layer called `name` further down (by > 0) or up; it stops at the ends."""
    at = index_of(layers, name)
    rest = [*layers[:at], *layers[at + 1 :]]
    to = max(0, min(len(rest), at + by))
    return (*rest[:to], layers[at], *rest[to:])


def without(layers: Layers, name: str) -> tuple[Layers, str]:
    """The layers without the one called `name`; and the name of the layer that stands in its place then."""
    at = index_of(layers, name)
    rest = (*layers[:at], *layers[at + 1 :])
    return rest, rest[min(at, len(rest) - 1)].name if rest else ""


def with_options(layers: Layers, name: str, values: dict[str, Any]) -> Layers:
    """The layer called `name` with these options; SpecError where one cannot be."""
    at = index_of(layers, name)
    changed: Any = replace(layers[at].options, **values)
    return (*layers[:at], replace(layers[at], options=changed), *layers[at + 1 :])


def changed_names(before: Layers, after: Layers) -> list[str]:
    """The layers of `after` that are new or changed, in order: where the eye should go after a mend."""
    known = {layer.name: layer for layer in before}
    return [layer.name for layer in after if known.get(layer.name) != layer]


def _stem(name: str) -> str:
    return re.sub(r"\d+$", "", name) or name


def _stem_of(kind: str, layers: Layers) -> str:
    """As its kin are called here (norm1 → norm), else its kind."""
    kin = [layer.name for layer in layers if layer.kind == kind]
    return _stem(kin[-1]) if kin and re.search(r"\d$", kin[-1]) else kind


# ── what fits where ──────────────────────────────────────────────────────────────────────────────────────────────────


def forms(rows: Iterable[LayerRow], data: DataForm) -> dict[str, Form]:
    """name → the form that the layer gives, for those that the engine could place; "" → what the data gives."""
    form: Form = data
    found = {"": form}
    for row in rows:
        gives = registry.LAYERS.get(row.kind).gives
        form = Form(form.kind if gives == "same" else gives, row.out_shape)
        found[row.name] = form
    return found


def fitting(form: Form | None) -> list[tuple[str, bool]]:
    """(kind, whether it can take `form`) of every kind of layer, those that can first; None: nobody knows the form."""
    kinds = [(entry.name, form is not None and _takes(entry, form)) for entry in registry.LAYERS]
    return sorted(kinds, key=lambda kind: not kind[1])


def _takes(entry: Layer, form: Form) -> bool:
    return form.kind in entry.takes and (form.kind == TOKENS or entry.fault(entry.options(), form) is None)


# ── one line ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def title(kind: str) -> str:
    """The kind of a layer as people say it."""
    return _(registry.LAYERS.get(kind).title)


def summary(layer: LayerSpec) -> str:
    """The options in short: the first two always (a 0 that nobody chose says nothing), the others where changed."""
    said = []
    for place, (name, (kind, default, option)) in enumerate(declared(type(layer.options)).items()):
        value = getattr(layer.options, name)
        applies = option.applies is None or option.applies(layer.options)
        if applies and (value != default or (place < 2 and kind is not bool and value != 0)):
            said.append(_said(_(option.label or name.replace("_", " ")), value, option.unit))
    return ", ".join(said)


def _said(label: str, value: Any, unit: str) -> str:
    if isinstance(value, bool):
        return label if value else _("no {label}").format(label=label)
    if isinstance(value, str):
        return _(value.replace("_", " "))
    number = ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
    return f"{number} {_(unit)}" if unit in COUNTED else f"{label} {number}"


def shape(sizes: Sequence[int]) -> str:
    """A shape as people write it: 16×14×14."""
    return "×".join(f"{size:,}" for size in sizes)
