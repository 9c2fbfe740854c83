"""ModelSpec → nn.Module, and the check before it: shapes layer by layer on the meta device, nothing allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core import registry
from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, VECTOR, WORDS, Architecture, DataForm, Form, Layer
from core.options import SpecError
from core.questions import Describe, Description, LayerRow, Problem
from core.specs import DataSpec, LayerSpec, ModelSpec

PARAMETER_LIMIT = 200_000_000
MEMORY_SHARE = 0.6  # of the machine's memory that one model may ask for


class ModelError(Exception):
    """A model that cannot work; the text is the first problem's sentence."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.layer}: {problem.message}. To mend it: {problem.fix}.")
        self.problem = problem


class Network(nn.Module):
    """The layers, one after the other, each under its own name: `network.conv1` is the layer called conv1.

    Pictures come as [batch, channel, height, width], sequences as [batch, step, feature], tokens as [batch, step]
    integers in which 0 is padding. Gives logits [batch, class].
    """

    def __init__(self, layers: list[tuple[str, nn.Module, bool]]) -> None:
        super().__init__()
        self.addresses = tuple(name for name, _module, _masked in layers)
        self.masked = frozenset(name for name, _module, masked in layers if masked)
        for name, module, _masked in layers:
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        mask = None if x.is_floating_point() else x != 0
        for name, layer in self.named_children():
            x = layer(x, mask) if name in self.masked else layer(x)
            if mask is not None and x.dim() == 3 and x.shape[1] == mask.shape[1] + 1:
                mask = F.pad(mask, (1, 0), value=True)  # a class token has been put before the first step: it is real
        return x


@dataclass(frozen=True)
class Placed:
    """A layer with what it gets and gives, and its module (on the meta device unless built for real)."""

    spec: LayerSpec
    entry: Layer
    takes: Form
    gives: Form
    module: nn.Module


def data_form(data: DataSpec) -> DataForm:
    """What the data set gives, from its options alone."""
    return registry.DATASETS.get(data.name).form(data.options)


def layers_of(model: ModelSpec, data: DataForm) -> tuple[LayerSpec, ...]:
    """The model's own layers, or those its architecture makes for this data."""
    if model.layers:
        return model.layers
    entry: Architecture = registry.ARCHITECTURES.get(model.architecture)
    if data.kind not in entry.takes:
        problem = Problem("input", *_wrong_kind(f"{entry.name} needs", entry.takes, data))
        raise ModelError(problem)
    return entry.layers(model.options, data)


def build(model: ModelSpec, data: DataForm, seed: int = 0) -> Network:
    """The network with freshly drawn weights (torch's own defaults); ModelError when it cannot work."""
    placed = check(model, data)
    torch.manual_seed(seed)
    made = [(p.spec.name, make(p.spec, p.takes), p.entry.masked) for p in placed]
    return Network(made)


def make(spec: LayerSpec, takes: Form) -> nn.Module:
    """The module of one layer for what it gets."""
    entry: Layer = registry.LAYERS.get(spec.kind)
    module: nn.Module = registry.load(entry.module)(**entry.arguments(spec.options, takes))
    return module


def check(model: ModelSpec, data: DataForm, batch_size: int = 1) -> list[Placed]:
    """Every layer placed, on the meta device; ModelError at the first layer that cannot work."""
    placed: list[Placed] = []
    form = Form(data.kind, data.shape)
    for spec in layers_of(model, data):
        placed.append(place(spec, form, data))
        form = placed[-1].gives
        if sum(_params(p.module) for p in placed[-1:]) > PARAMETER_LIMIT:
            raise ModelError(_too_large(placed[-1]))
    if sum(_params(p.module) for p in placed) > PARAMETER_LIMIT:
        raise ModelError(_too_large(max(placed, key=lambda p: _params(p.module))))
    if form != data.answer():
        last = placed[-1].spec.name if placed else "input"
        ends = f"the model ends with {WORDS[form.kind]} of {form.words()}"
        message = f"{ends}, not one logit for each of {data.classes} classes"
        raise ModelError(Problem(last, message, f"end with a linear layer of {data.classes} features"))
    _check_memory(placed, batch_size)
    return placed


def place(spec: LayerSpec, takes: Form, data: DataForm) -> Placed:
    """One layer on the meta device; ModelError when it cannot take what it gets."""
    entry: Layer = registry.LAYERS.get(spec.kind)
    if takes.kind not in entry.takes:
        raise ModelError(Problem(spec.name, *_wrong_kind("it needs", entry.takes, takes)))
    fault = entry.fault(spec.options, takes)
    if fault:
        raise ModelError(Problem(spec.name, fault.message, fault.fix))
    try:
        with torch.device("meta"), torch.no_grad():
            module = make(spec, takes).eval()
            out = _call(module, entry, takes)
    except (RuntimeError, ValueError, TypeError, OverflowError, AssertionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(
            Problem(spec.name, f"it cannot take {takes.words()} ({reason})", "change its options")
        ) from None
    kind = takes.kind if entry.gives == "same" else entry.gives
    return Placed(spec, entry, takes, Form(kind, tuple(out.shape[1:])), module)


def describe(question: Describe) -> Description:
    """Parameters, multiply-adds and receptive field of every layer, and the problems if there are any."""
    data = described_form(question)
    rows: list[LayerRow] = []
    field, jump = 1, 1
    problems: tuple[Problem, ...] = ()
    form = Form(data.kind, data.shape)
    try:
        for spec in layers_of(question.model, data):
            placed = place(spec, form, data)
            field, jump = _see(placed, field, jump)
            shown = field if placed.gives.kind == PICTURE and data.kind == PICTURE else 0
            params, macs = _params(placed.module), count_macs(placed)
            rows.append(LayerRow(spec.name, spec.kind, form.shape, placed.gives.shape, params, macs, shown))
            form = placed.gives
        check(question.model, data, question.batch_size)
    except ModelError as error:
        problems = (error.problem,)
    return Description(sum(r.params for r in rows), sum(r.macs for r in rows), tuple(rows), problems)


def described_form(question: Describe) -> DataForm:
    """The data set's form with the question's overrides."""
    form = data_form(question.data)
    if question.input:
        kind = {3: PICTURE, 2: SEQUENCE, 1: TOKENS if form.kind == TOKENS else VECTOR}.get(len(question.input))
        if kind is None or min(question.input) < 1:
            raise SpecError("input", "input must be C,H,W for pictures, or T,F for sequences, all at least 1.")
        form = DataForm(kind, question.input, form.classes, form.vocabulary)
    return replace(form, classes=question.classes) if question.classes else form


def count_macs(placed: Placed) -> int:
    """Multiply-adds of one sample through one layer: torch's own count of matrix products and convolutions."""
    if isinstance(
        core := getattr(placed.module, "core", None), nn.RNNBase
    ):  # fused: torch's counter does not see inside
        weights = sum(p.numel() for n, p in core.named_parameters() if n.startswith("weight"))
        return placed.takes.shape[0] * weights
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _call(placed.module, placed.entry, placed.takes)
    return counter.get_total_flops() // 2


def _call(module: nn.Module, entry: Layer, takes: Form) -> Tensor:
    ids = takes.kind == TOKENS
    x = torch.zeros((1, *takes.shape), device="meta", dtype=torch.long if ids else torch.float32)
    out: Tensor = module(x, None) if entry.masked else module(x)
    return out


def _params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _see(placed: Placed, field: int, jump: int) -> tuple[int, int]:
    """The receptive field after a layer: field += dilation · (kernel − 1) · jump; jump *= stride."""
    for window in placed.entry.windows(placed.spec.options):
        field += window.dilation * (window.kernel - 1) * jump
        jump *= window.stride
    return field, jump


def _wrong_kind(needs: str, takes: tuple[str, ...], got: Form) -> tuple[str, str]:
    words = " or ".join(WORDS[kind] for kind in takes)
    message = f"{needs} {words}, but gets {WORDS[got.kind]} of {got.words()}"
    if needs != "it needs":
        fits = [a.name for a in registry.ARCHITECTURES if got.kind in a.takes]
        return message, f"choose {', '.join(fits)} for this data"
    if got.kind == PICTURE and VECTOR in takes:
        return message, "put a flatten or a global average pooling layer before it"
    if got.kind == SEQUENCE and VECTOR in takes:
        return message, "put a read-out layer before it"
    if got.kind == TOKENS and SEQUENCE in takes:
        return message, "put a token embedding before it"
    if got.kind == PICTURE and SEQUENCE in takes:
        return message, "put a rows or a patches layer before it"
    return message, "move it to where the shape still fits, or remove it"


def _too_large(placed: Placed) -> Problem:
    count = _params(placed.module)
    message = f"it has {count:,} parameters; a model here may have {PARAMETER_LIMIT:,}"
    return Problem(placed.spec.name, message, "make it narrower, or shrink the picture before it")


def _check_memory(placed: list[Placed], batch_size: int) -> None:
    """A rough bound: every layer's output is kept for the backward pass about twice, weights four times."""

    def need(p: Placed) -> int:
        cells = 1
        for side in p.gives.shape:
            cells *= side
        return 8 * cells * batch_size + 16 * _params(p.module)

    total, limit = sum(map(need, placed)), int(psutil.virtual_memory().total * MEMORY_SHARE)
    if total > limit:
        worst = max(placed, key=need)
        asks = f"the model needs about {total / 2**30:,.1f} GiB to train with {batch_size} samples a step"
        message = f"{asks}; {limit / 2**30:,.1f} GiB may be used"
        raise ModelError(Problem(worst.spec.name, message, "use a smaller batch, or fewer channels before it"))


def state_arrays(network: nn.Module) -> dict[str, Any]:
    """name → numpy array (contiguous copies on the CPU) of everything in the state_dict."""
    return {name: value.detach().cpu().contiguous().clone().numpy() for name, value in network.state_dict().items()}


def load_state(network: nn.Module, arrays: dict[str, Any]) -> None:
    """Put arrays back into a network without changing devices or memory formats."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.from_numpy(arrays[name]))
