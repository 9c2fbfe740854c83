"""What every layer makes of one sample, and what the chosen layer makes of the test set.

What it gives is declared in core.catalog.views.feature_maps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.catalog.entries import CLASSES, PICTURE
from core.catalog.views.feature_maps import (
    DEAD,
    KERNEL,
    KERNELS,
    STRENGTH,
    TOP_PICTURES,
    TOP_SAMPLES,
    TOP_VALUES,
    FeatureMaps,
    FeatureMapsFacts,
    of_layer,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.spec.specs import LayerSpec
from core.worker.look.subject import DIVERGED, Report, Subject

TOP = 8  # samples that are kept for each unit
BATCH = 32  # samples of one forward pass of the search, fewer where the layers are large:
BATCH_VALUES = 4_000_000  # a slow network, too, must be heard several times a second
MOST_SEARCHED = 200_000_000  # values of all layers of all samples of one search
MOST_VALUES = 8_000_000  # of all arrays of an answer: 32 MB; half of them for the chosen layer
MOST_WEIGHTS = 500_000  # of the kernels of one layer

KEEPS_MAPS = frozenset(
    {  # map c of what it gives is made of map c of what it gets
        "batch_norm",
        "group_norm",
        "relu",
        "leaky_relu",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "max_pool",
        "avg_pool",
        "dropout",
        "global_pool",
    }
)
CUTS_AT_ZERO = frozenset({"relu", "residual", "depthwise_separable"})  # ends with a ReLU
KEEPS_ZERO = frozenset({"max_pool", "avg_pool", "global_pool", "dropout", "flatten", "rows"})  # above zero or not


def look(subject: Subject, options: FeatureMaps, report: Report) -> Seen[FeatureMapsFacts]:
    """Every layer's output for the sample; of the chosen layer what is dead and which samples drive it most."""
    outputs = {address: output[0].float() for address, output in subject.outputs().items()}
    address = subject.layer
    chosen = outputs[address]
    strength = strengths(chosen)
    unit = min(options.map, len(strength) - 1)
    order = np.argsort(-strength, kind="stable") if options.by_strength else np.arange(len(strength))
    asked, each = min(options.searched, len(subject.splits.test[0])), sum(one.numel() for one in outputs.values())
    count = min(asked, max(TOP, MOST_SEARCHED // each))
    found = search(subject, count, options.measure, report)
    arrays, smaller = fitted(outputs, address)
    arrays[of_layer(address, STRENGTH)] = strength
    rectified = after_relu(subject.layers, address)
    top, values = found.top[address], found.values[address]
    if rectified:
        largest = search(subject, count, LARGEST, report).values[address]
        arrays[of_layer(address, DEAD)] = (largest[:, 0] <= 0).astype(np.uint8)
    arrays |= {of_layer(address, TOP_SAMPLES): top, of_layer(address, TOP_VALUES): values}
    pictures = subject.form.kind == PICTURE
    if pictures:
        arrays[of_layer(address, TOP_PICTURES)] = subject.splits.shown[top[unit]]
    kernels_of, kernels = kernels_behind(subject, address)
    if kernels is not None:
        arrays[of_layer(kernels_of, KERNEL)] = kernels[unit]
        if kernels.numel() <= MOST_WEIGHTS:
            arrays[of_layer(kernels_of, KERNELS)] = kernels
    facts = FeatureMapsFacts(
        **vars(subject.answer()),
        order=order.tolist(),
        map=unit,
        searched=found.searched,
        tested=len(subject.splits.test[0]),
        kernels_of=kernels_of,
        rectified=rectified,
        unit=unit_name(chosen),
        names=names(subject),
        given=given(subject) if pictures else None,
        options=options,
    )
    words = [
        _what(subject, chosen, strength),
        *_asked_for(options.map, unit, chosen),
        _dead(subject, chosen, arrays.get(of_layer(address, DEAD)), found.searched),
        *_top(subject, chosen, unit, found, options.measure),
        *_kernels(address, kernels_of, kernels, unit),
        *_fewer(asked, count, each),
        *smaller,
    ]
    if not bool(torch.isfinite(chosen).all()):  # nothing above can be said of them
        words = [
            Sentence("Some values of {layer} are no finite numbers: {diverged}", layer=subject.layer, diverged=DIVERGED)
        ]
    return subject.seen(arrays, facts, words, _CODE.format(layer=address))


_CODE = """\
maps = {{}}
for name, layer in network.named_children():
    layer.register_forward_hook(lambda module, inputs, output, name=name: maps.update({{name: output[0]}}))
with torch.no_grad():
    network(x)
print(maps["{layer}"].shape)
"""


def strengths(output: Tensor) -> np.ndarray:
    """[unit]: the mean of the absolute values of each unit of one sample's output."""
    size = output.abs()
    mean = size.mean((1, 2)) if size.dim() == 3 else size.mean(0) if size.dim() == 2 else size
    return mean.nan_to_num(0.0).numpy()


def names(subject: Subject) -> list[str]:
    """The classes, where the layer's units stand for them."""
    answers = subject.layer == subject.layers[-1].name and subject.form.task == CLASSES
    return [subject.label(unit) for unit in range(subject.form.classes)] if answers else []


def given(subject: Subject) -> np.ndarray:
    """The picture that the network got, as people see it: uint8 [height, width] or [height, width, 3]."""
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (subject.splits.mean, subject.splits.std))
    pixels = ((subject.x[0] * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return (pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)).numpy()


# ── the search through the test set ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Found:
    """What a search through the test set gave, by layer address; see `top` and `top_values` of the arrays."""

    searched: int
    top: dict[str, np.ndarray]
    values: dict[str, np.ndarray]


Measure = Callable[[Tensor, Tensor | None], Tensor]

_KEPT = 8
_found: OrderedDict[tuple[Any, ...], Found] = OrderedDict()  # a change of layer or sample does not search again


def search(subject: Subject, count: int, measure: str, report: Report) -> Found:
    """The strongest samples of every unit of every layer, among the first `count` of the test set."""
    key = (str(subject.run.path), subject.step, subject.run.weights_stamp(subject.step), count, measure)
    if key not in _found:
        _found[key] = _search(subject, count, measured[measure], report)
        while len(_found) > _KEPT:
            _found.popitem(last=False)
    _found.move_to_end(key)
    return _found[key]


def _search(subject: Subject, count: int, measure: Measure, report: Report) -> Found:
    x = subject.splits.test[0][:count]
    top: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    size = max(1, min(BATCH, BATCH_VALUES // sum(one.numel() for one in subject.outputs(x=x[:1]).values())))
    for start in range(0, count, size):
        report(start / count, Sentence("Searching test samples, {start} of {count}", start=start, count=count))
        batch = x[start : start + size]
        index = torch.arange(start, start + len(batch))
        for address, output in subject.outputs(x=batch).items():
            answers = measure(output.float(), _read(batch))  # [sample, unit]
            held = torch.cat([values[address], answers]) if address in values else answers
            names = index[:, None].expand_as(answers)
            names = torch.cat([top[address], names]) if address in top else names
            # stable: of equal values the earlier sample stands first
            values[address], place = held.sort(dim=0, descending=True, stable=True)
            values[address], top[address] = values[address][:TOP], names.gather(0, place[:TOP])
    return Found(
        count,
        {address: indices.T.contiguous().numpy() for address, indices in top.items()},
        {address: held.T.contiguous().numpy() for address, held in values.items()},
    )


def _read(batch: Tensor) -> Tensor | None:
    """[sample, step], True at real tokens; None where nothing is padding."""
    return None if batch.is_floating_point() else batch != 0


def maxima(output: Tensor, real: Tensor | None = None) -> Tensor:
    """[sample, …] → [sample, unit]: each unit's largest value over its places or real steps; NaN is least."""
    output = output.nan_to_num(float("-inf"), float("inf"), float("-inf"))
    if output.dim() == 4:
        return output.amax((2, 3))
    if output.dim() == 2:
        return output
    steps = _real_steps(output, real)
    return (output if steps is None else output.masked_fill(~steps, float("-inf"))).amax(1)


def means(output: Tensor, real: Tensor | None = None) -> Tensor:
    """The same with each unit's mean."""
    output = output.nan_to_num(float("-inf"), float("inf"), float("-inf"))
    if output.dim() == 4:
        return output.mean((2, 3))
    if output.dim() == 2:
        return output
    steps = _real_steps(output, real)
    return output.mean(1) if steps is None else (output * steps).sum(1) / steps.sum(1)


def _real_steps(output: Tensor, real: Tensor | None) -> Tensor | None:
    """[sample, step, 1] for a sequence, True where a step counts; None where all do."""
    if real is not None and real.shape[1] + 1 == output.shape[1]:  # a class token stands before the first
        real = F.pad(real, (1, 0), value=True)
    if real is None or real.shape[1] != output.shape[1]:
        return None
    return (real | ~real.any(1, keepdim=True))[..., None]  # a row of padding alone is read as it is


LARGEST, MEAN = "largest value", "mean"  # as the option's choices are called
measured: dict[str, Measure] = {LARGEST: maxima, MEAN: means}


# ── which kernels, and what can be dead ──────────────────────────────────────────────────────────────────────────────


def after_relu(layers: tuple[LayerSpec, ...], address: str) -> bool:
    """Are the layer's values what a ReLU has cut at zero, perhaps pooled or rearranged since?"""
    kinds = [layer.kind for layer in layers[: [layer.name for layer in layers].index(address) + 1]]
    while kinds and kinds[-1] in KEEPS_ZERO:
        kinds.pop()
    return bool(kinds) and kinds[-1] in CUTS_AT_ZERO


def kernels_behind(subject: Subject, address: str) -> tuple[str, Tensor | None]:
    """The convolution whose kernel c made map c of this layer, and its weights [channel, in_channel, h, w]."""
    before = list(subject.layers[: [layer.name for layer in subject.layers].index(address) + 1])
    while before and before[-1].kind in KEEPS_MAPS:
        before.pop()
    if not before or before[-1].kind not in ("conv", "patches"):
        return "", None
    name = before[-1].name
    weight = f"{name}.project.weight" if before[-1].kind == "patches" else f"{name}.weight"
    return name, subject.network.get_parameter(weight).detach()


# ── the size of an answer ────────────────────────────────────────────────────────────────────────────────────────────


def fitted(outputs: dict[str, Tensor], chosen: str, most: int = MOST_VALUES) -> tuple[dict[str, Any], list[str]]:
    """Every layer's array; where all together hold more than `most` values, large maps are averaged over squares.

    Half of `most` is for the chosen layer, the rest is shared equally. What no square helps (a sequence, a vector) is
    cut. Answer: the arrays, and a sentence on each that is smaller.
    """
    arrays: dict[str, Any] = dict(outputs)
    if sum(output.numel() for output in outputs.values()) <= most:
        return arrays, []
    words: list[str] = []
    for address, output in outputs.items():
        room = most // 2 if address == chosen else most // 2 // max(1, len(outputs) - 1)
        if output.numel() <= room:
            continue
        arrays[address] = smaller(output, room)
        was, now = ("×".join(map(str, one.shape)) for one in (output, arrays[address]))
        how = _("averaged over squares") if output.dim() == 3 else "cut"
        words.append(
            Sentence(
                "{address} holds {was} values; it is {how} to {now}, so that the page stays quick.",
                address=address,
                was=was,
                how=how,
                now=now,
            )
        )
    return arrays, words


def smaller(output: Tensor, room: int) -> Tensor:
    """The output with at most `room` values: means over k×k squares where there are maps, else (and last) the first."""
    if output.dim() == 3:
        side = 1
        while prod((output.shape[0], -(-output.shape[1] // side), -(-output.shape[2] // side))) > room and side < max(
            output.shape[1:]
        ):
            side += 1
        output = F.avg_pool2d(output[None], side, ceil_mode=True, count_include_pad=False)[0]
    each = max(1, output[0].numel())
    return output[: max(1, room // each)]


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────

SAMPLES_NAMED = 8


def unit_name(output: Tensor) -> str:
    """What one unit of this output is called."""
    return {3: "map", 2: "feature"}.get(output.dim(), "unit")


def _what(subject: Subject, chosen: Tensor, strength: np.ndarray) -> str:
    name, count = unit_name(chosen), len(strength)
    size = {3: " of {}×{}", 2: " at each of {} steps"}.get(chosen.dim(), "")
    size = size.format(*chosen.shape[-2:]) if chosen.dim() == 3 else size.format(len(chosen))
    thing = _("your drawing") if subject.asked.drawing else Sentence("sample {sample}", sample=subject.sample)
    best = int(strength.argmax())
    measured = _("the mean of its absolute values") if chosen.dim() > 1 else _("its absolute value")
    return Sentence(
        "{layer} makes {count:,} {name}{count2}{size} of {thing}. The strongest is {name} {best}: "
        "{measured} is {strength:.3g}.",
        layer=subject.layer,
        count=count,
        name=name,
        count2="s" * (count != 1),
        size=size,
        thing=thing,
        best=best,
        measured=measured,
        strength=strength[best],
    )


def _fewer(asked: int, count: int, each: int) -> list[str]:
    if count == asked:
        return []
    return [
        Sentence(
            "One sample makes {each:,} values in all layers, so only {count} samples are searched, not {asked}.",
            each=each,
            count=count,
            asked=asked,
        )
    ]


def _asked_for(wanted: int, unit: int, chosen: Tensor) -> list[str]:
    if wanted == unit:
        return []
    return [
        Sentence(
            "This layer has no {unit_name} {wanted:,}; its last one, {unit:,}, is shown.",
            unit_name=unit_name(chosen),
            wanted=wanted,
            unit=unit,
        )
    ]


def _dead(subject: Subject, chosen: Tensor, dead: np.ndarray | None, searched: int) -> str:
    name = unit_name(chosen)
    if dead is None:
        return Sentence(
            "Whether a {name} is dead can be told after a ReLU only, where zero means silent; {layer} gives "
            "values that no ReLU has cut.",
            name=name,
            layer=subject.layer,
        )
    which = np.flatnonzero(dead)
    on = Sentence("on the first {searched:,} test samples", searched=searched)
    if not len(which):
        return Sentence(
            "No {name} is dead: each of the {dead:,} was above zero somewhere {on}.", name=name, dead=len(dead), on=on
        )
    named = ", ".join(map(str, which[:SAMPLES_NAMED])) + (_(" and others") if len(which) > SAMPLES_NAMED else "")
    return Sentence(
        "{which:,} of {dead:,} {name}s are dead: never above zero {on} ({named}).",
        which=len(which),
        dead=len(dead),
        name=name,
        on=on,
        named=named,
    )


def _top(subject: Subject, chosen: Tensor, unit: int, found: Found, measure: str) -> list[str]:
    top, values, searched = found.top[subject.layer], found.values[subject.layer], found.searched
    name = f"{unit_name(chosen)} {unit}"
    if values[unit, 0] == values[unit, -1]:
        if len(values[unit]) < 2:
            return []
        return [
            Sentence(
                "No test sample drives {name} most: at least {top_shape} share the {measure} {values:.3g}, as "
                "where a map is silent or only a blank border counts.",
                name=name,
                top_shape=top.shape[1],
                measure=measure,
                values=values[unit, 0],
            )
        ]
    of = (
        Sentence("all {searched:,}", searched=searched)
        if searched == len(subject.splits.test[0])
        else Sentence("the first {searched:,}", searched=searched)
    )
    listed = ", ".join(map(str, top[unit].tolist()))
    said = Sentence(
        "Among {of} test samples {name} answers most to {listed}, by its {measure}: up to {values:.3g}.",
        of=of,
        name=name,
        listed=listed,
        measure=measure,
        values=values[unit, 0],
    )
    same = int((values[unit] == values[unit, -1]).sum())
    if same > 1:
        said += Sentence(
            " The last {same} share one value, and others may have it, too: a blank border can be enough.", same=same
        )
    y = subject.splits.test[1]
    if y.dim() == 1 and not y.is_floating_point():
        labels, counts = np.unique(y[top[unit]].numpy(), return_counts=True)
        label, count = subject.label(int(labels[counts.argmax()])), int(counts.max())
        said += Sentence(
            " {count} of these {top_shape} are “{label}”.", count=count, top_shape=top.shape[1], label=label
        )
    return [said]


def _kernels(address: str, kernels_of: str, kernels: Tensor | None, unit: int) -> list[str]:
    if kernels is None:
        return []
    channels, size = kernels.shape[1], f"{kernels.shape[2]}×{kernels.shape[3]}"
    over = _("one channel") if channels == 1 else f"{channels} channels"
    through = (
        ""
        if address == kernels_of
        else Sentence(
            " {address} changes each map alone, so the kernels are {kernels_of}'s.",
            address=address,
            kernels_of=kernels_of,
        )
    )
    many = kernels.numel() > MOST_WEIGHTS
    fewer = (
        Sentence(
            " All of them would be {numel:,} numbers; only that of map {unit} is here.",
            numel=kernels.numel(),
            unit=unit,
        )
        if many
        else ""
    )
    return [
        Sentence(
            "Map {unit} comes from kernel {unit} of {kernels_of}: {size} over {over}.{through}{fewer}",
            unit=unit,
            kernels_of=kernels_of,
            size=size,
            over=over,
            through=through,
            fewer=fewer,
        )
    ]
