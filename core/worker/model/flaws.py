"""What is wrong with a model that would run all the same, found by trying each layer, very small, on the CPU.

A layer gets an input, then the same one changed in one place; the outputs that differ depend on that place. Nothing
goes by the name of a layer, so that a layer of a kind to come is judged like those of today.

answer in the input: where the next step is asked for, a layer lets a step read the steps after it. This is a fault.
read too early: a read-out reads a step at which features of the layer before it have seen nothing but that step.
limited answer: after the last layer that has weights, a layer keeps the answer from being any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from core.catalog import mends
from core.catalog.entries import NUMBER, SEQUENCE, TOKENS, VECTOR, DataForm, Form, Layer
from core.catalog.layers.read_out import ReadOut
from core.catalog.mends import Layers
from core.spec import registry
from core.spec.questions import Problem
from core.spec.sentences import Sentence, _, join
from core.spec.specs import LayerSpec

Stack = Sequence[tuple[LayerSpec, Form]]  # every layer with what it gets

SAMPLES, STEPS = 8, 24  # of the input that a layer is tried with, at most
NARROWEST = 4  # features: a layer norm of two gives only their order, which hardly ever changes
TIGHT = 1e3  # an output below this size, for inputs up to a million, is limited
_ALONE = 1e-9  # what rounding may change, beside the size of the output (float64)


# ── trying a layer ───────────────────────────────────────────────────────────────────────────────────────────────────


def _small(kind: str, options: Any, takes: Form, depth: int) -> tuple[Any, Form]:
    """The layer as narrow as it can be (`depth`: so many stacked inside it at most), and what it gets then."""
    entry: Layer = registry.LAYERS.get(kind)
    known = {f.name: getattr(options, f.name) for f in fields(options)}
    steps = min(takes.shape[0], STEPS)
    widest = max([NARROWEST, *takes.shape[1:], *(known[name] for name in mends.WIDTHS if name in known)])
    for size in range(NARROWEST, widest + 1):
        narrow = {name: min(known[name], size) for name in mends.WIDTHS if name in known}
        if "layers" in known:
            narrow["layers"] = min(known["layers"], depth)
        made = replace(options, **narrow)
        form = Form(takes.kind, (steps, *(min(n, size) for n in takes.shape[1:])))
        if entry.fault(made, form) is None:
            return made, form
    return options, Form(takes.kind, (steps, *takes.shape[1:]))


class _Tried:
    """A layer with random weights in double precision, and an input that it can take."""

    def __init__(self, kind: str, options: Any, takes: Form) -> None:
        self.entry: Layer = registry.LAYERS.get(kind)
        made = registry.load(self.entry.module)(**self.entry.arguments(options, takes))
        self.module: nn.Module = made.double()
        self.takes, self._draw = takes, torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.module.parameters():  # what starts at zero would hide what depends on it
                weight.copy_(0.5 * torch.randn(weight.shape, generator=self._draw, dtype=weight.dtype))

    def input(self) -> Tensor:
        """Another input each time; of tokens, ids that are no padding."""
        shape = (SAMPLES, *self.takes.shape)
        if self.takes.kind == TOKENS:
            most = getattr(self.module, "num_embeddings", 2)
            return torch.randint(1, max(2, most), shape, generator=self._draw)
        return torch.randn(shape, generator=self._draw, dtype=torch.float64)

    def __call__(self, x: Tensor, training: bool = False) -> Tensor:
        """What it gives; the same for the same input, also where it draws."""
        self.module.train(training)
        torch.manual_seed(1)
        mask = torch.ones(x.shape[:2], dtype=torch.bool)
        out: Tensor = self.module(x, mask) if self.entry.masked else self.module(x)
        return out


@contextmanager
def _tried(kind: str, options: Any, takes: Form) -> Iterator[_Tried]:
    """The layer to be tried. Random numbers that others draw stay what they would have been."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield _Tried(kind, options, takes)


def _differ(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs() > _ALONE * max(1.0, float(one.abs().max()) if one.numel() else 1.0)


@lru_cache(maxsize=2048)  # deep models repeat a few layers, and a form asks again at every change
def looks_ahead(kind: str, options: Any, takes: Form) -> bool:
    """Can what a layer gives at one step depend on a later step of what it gets, while training or afterwards?

    takes: a sequence or tokens. Steps are counted from the end, for a layer may put some before the first.
    """
    options, takes = _small(kind, options, takes, depth=2)
    steps = takes.shape[0]
    with _tried(kind, options, takes) as layer:
        x, other = layer.input(), layer.input()
        for training in (True, False):
            before = layer(x, training)
            if before.dim() < 3:  # one answer from all steps
                return steps > 1
            for cut in sorted({1, steps // 2, steps - 1} - {0}):
                after = layer(torch.cat([x[:, :cut], other[:, cut:]], 1), training)
                kept = max(0, before.shape[1] - (steps - cut))
                if bool(_differ(before[:, :kept], after[:, :kept]).any()):
                    return True
    return False


@lru_cache(maxsize=2048)
def seen_alone(kind: str, options: Any, takes: Form) -> tuple[tuple[bool, ...], tuple[bool, ...], bool]:
    """Of a layer from sequence to sequence: which features see, at the first and at the last step, that step alone.

    Then: does no feature anywhere see another step? Stacks inside one layer count as one: of a bidirectional one the
    upper halves begin at the ends, too.
    """
    options, takes = _small(kind, options, takes, depth=1)
    steps = takes.shape[0]
    with _tried(kind, options, takes) as layer:
        x, other = layer.input(), layer.input()
        before = layer(x)
        alone, seen = list[tuple[bool, ...]](), False
        for out_at, in_at in ((0, 0), (-1, steps - 1), (before.shape[1] // 2, steps // 2)):
            here, elsewhere = x.clone(), other.clone()
            here[:, in_at], elsewhere[:, in_at] = other[:, in_at], x[:, in_at]
            own, others = (_differ(before[:, out_at], layer(y)[:, out_at]).any(0) for y in (here, elsewhere))
            alone.append(tuple((own & ~others).tolist()))
            seen = seen or bool(others.any())
    return alone[0], alone[1], not seen


@lru_cache(maxsize=256)
def limits(kind: str, options: Any) -> tuple[float, float, bool]:
    """(least, largest) number that a layer without weights can give, −inf and inf where it has no limit there.

    Then: does it draw at random while training?
    """
    with _tried(kind, options, Form(VECTOR, (NARROWEST,))) as layer:
        x = torch.cat([-torch.logspace(6, -3, 200), torch.logspace(-3, 6, 200)]).double()
        x = x[:, None].expand(-1, NARROWEST)
        out, training = layer(x), layer(x, training=True)
    least, largest = float(out.min()), float(out.max())
    drops = not torch.equal(out, training)
    return (least if least > -TIGHT else -math.inf), (largest if largest < TIGHT else math.inf), drops


# ── what is said of it ───────────────────────────────────────────────────────────────────────────────────────────────


def answer_in_the_input(stack: Stack, data: DataForm) -> Problem | None:
    """Where the next step is asked for: the first layer that lets a step read the steps after it."""
    if not data.next_step:
        return None
    guilty = [i for i, (spec, takes) in enumerate(stack) if _ahead(spec, takes)]
    if not guilty:
        return None
    layers: Layers = tuple(spec for spec, _takes in stack)
    cures = {i: _cure(*stack[i]) for i in guilty}
    for i in reversed(guilty):  # from the end on, so that the others stay where they are
        cure = cures[i]
        layers = mends.with_options(layers, i, cure) if cure else mends.without(layers, i)
    message = _(
        "it lets a step read the steps after it, but this data asks at every step for the one that comes "
        "next: the answer would be in the input"
    )
    fixes = [mends.looking_back(stack[i][0].name, cures[i]) for i in guilty]
    return Problem(stack[guilty[0]][0].name, message, join(dict.fromkeys(fixes), _(" and ")), layers)


def _ahead(spec: LayerSpec, takes: Form) -> bool:
    return takes.kind in (SEQUENCE, TOKENS) and looks_ahead(spec.kind, spec.options, Form(takes.kind, takes.shape))


def _cure(spec: LayerSpec, takes: Form) -> dict[str, Any]:
    """The one option whose other value keeps the layer from looking ahead; {} where there is none."""
    for f in fields(spec.options):
        value = getattr(spec.options, f.name)
        if isinstance(value, bool):
            other: Any = replace(spec.options, **{f.name: not value})
            if not _ahead(replace(spec, options=other), takes):
                return {f.name: not value}
    return {}


def remarks(stack: Stack, data: DataForm) -> tuple[Problem, ...]:
    """What a model that runs would do badly, each with a mend."""
    found = (_read_too_early(stack), limited_answer(stack, data))
    return tuple(one for one in found if one)


def _read_too_early(stack: Stack) -> Problem | None:
    """A read-out of a step at which features of the layer before it have seen nothing but that step."""
    at = next((i for i, (spec, _takes) in enumerate(stack) if isinstance(spec.options, ReadOut)), 0)
    reader = _last_reader(stack[:at])
    if reader is None:
        return None
    spec, options = stack[at][0], stack[at][0].options
    assert isinstance(options, ReadOut)
    share = _alone(options.take, reader)
    if not share:
        return None
    take = next(one for one in _WAYS if not _alone(one, reader))
    part = (
        _("half of the features")
        if share == 0.5
        else _("all features")
        if share == 1
        else Sentence("{share:.0%} of the features", share=share)
    )
    where = {"first": _("at the first step"), "last": _("at the last step")}.get(options.take, _("at the two ends"))
    message = Sentence(
        "{where}, which it reads, {part} of {reader} have seen that step alone",
        where=where,
        part=part,
        reader=reader.name,
    )
    layers = mends.with_options(tuple(one for one, _gets in stack), at, {"take": take})
    return Problem(spec.name, message, _WAYS[take], layers)


_WAYS = {"last": _("read the last step"), "both_ends": _("read both ends"), "mean": _("read the mean of all steps")}


@dataclass(frozen=True)
class _Reader:
    """The last layer that lets steps read each other: see seen_alone; `mixed`: a later one mixes a step's features."""

    name: str
    first: tuple[bool, ...]
    last: tuple[bool, ...]
    mixed: bool


def _last_reader(stack: Stack) -> _Reader | None:
    mixed = False
    for spec, takes in reversed(stack):
        if takes.kind != SEQUENCE:
            return None
        first, last, pointwise = seen_alone(spec.kind, spec.options, Form(takes.kind, takes.shape))
        if not pointwise:
            return _Reader(spec.name, first, last, mixed)
        mixed = mixed or _has_weights(spec, takes)
    return None


def _alone(take: str, reader: _Reader) -> float:
    """The share of what is read that has seen one step alone."""
    half = len(reader.first) // 2
    if take == "both_ends":
        first, last = reader.first[0 if reader.mixed else half :], reader.last[: None if reader.mixed else half]
        read = (*last, *first)
    else:
        read = {"first": reader.first, "last": reader.last}.get(take, ())
    return sum(read) / len(read) if read else 0.0


def _has_weights(spec: LayerSpec, takes: Form) -> bool:
    entry: Layer = registry.LAYERS.get(spec.kind)
    with torch.device("meta"):
        module = registry.load(entry.module)(**entry.arguments(spec.options, takes))
    return any(True for _weight in module.parameters())


def limited_answer(stack: Stack, data: DataForm) -> Problem | None:
    """After the last layer that has weights, a layer that keeps the answer from being any number."""
    for at in range(len(stack) - 1, -1, -1):
        spec, takes = stack[at]
        if _has_weights(spec, takes):
            return None
        entry: Layer = registry.LAYERS.get(spec.kind)
        if entry.gives != "same" or VECTOR not in entry.takes:
            continue
        said = _limit_said(spec, _("the answer") if data.task == NUMBER else _("a logit"))
        if said:
            layers = mends.without(tuple(one for one, _gets in stack), at)
            return Problem(
                spec.name,
                Sentence("it stands after the layer that answers: {said}", said=said),
                Sentence("remove {spec}", spec=spec.name),
                layers,
            )
    return None


def _limit_said(spec: LayerSpec, what: str) -> str:
    least, largest, drops = limits(spec.kind, spec.options)
    if drops:
        return Sentence("while training, {what} is set to zero at random", what=what)
    if math.isfinite(least) or math.isfinite(largest):
        return Sentence("{what} can never be {beyond}", what=what, beyond=_beyond(least, largest))
    return ""


def _beyond(least: float, largest: float) -> str:
    low, high = (f"{round(value, 2) + 0.0:g}" for value in (least, largest))
    if math.isfinite(least) and math.isfinite(largest):
        return Sentence("below {low} or above {high}", low=low, high=high)
    return Sentence("below {low}", low=low) if math.isfinite(least) else Sentence("above {high}", high=high)
