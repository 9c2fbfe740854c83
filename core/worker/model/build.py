"""ModelSpec → nn.Module, and the check before it: shapes layer by layer on the meta device, nothing allocated.

What cannot work is told as a Problem: the guilty layer, what it gets and needs, and the layers as one click mends them.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from core.catalog import mends
from core.catalog.applies import data_form as data_form  # heavy rooms ask here
from core.catalog.applies import described_form, layers_for, unserved
from core.catalog.code import pytorch_code
from core.catalog.entries import (
    EACH_STEP,
    PICTURE,
    SEQUENCE,
    TOKENS,
    WORDS,
    DataForm,
    Fault,
    Form,
    Layer,
)
from core.catalog.mends import Layers
from core.spec import registry
from core.spec.questions import Describe, Description, LayerRow, Problem
from core.spec.sentences import Sentence, _, join
from core.spec.specs import LAYER_LIMIT, LayerSpec, ModelSpec, plain_name
from core.worker.model import flaws, no_compiler

no_compiler.leave_out()
PARAMETER_LIMIT = 200_000_000
MEMORY_SHARE = 0.6  # of the machine's memory that one model may ask for


class ModelError(Exception):
    """A model that cannot work; the text is the first problem's sentence."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence())
        self.problem = problem


class Network(nn.Module):
    """The layers, one after the other, each under its own name: `network.conv1` is the layer called conv1.

    Pictures come as [batch, channel, height, width], sequences as [batch, step, feature], tokens as [batch, step]
    integers in which 0 is padding. Gives logits [batch, class], or [batch, step, class] where every step is answered.
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
    """A layer with what it gets and gives, its module on the meta device, and its number of parameters."""

    spec: LayerSpec
    entry: Layer
    takes: Form
    gives: Form
    module: nn.Module
    params: int


def layers_of(model: ModelSpec, data: DataForm) -> Layers:
    """The model's own layers, or those its architecture makes for this data; ModelError where it cannot serve it."""
    problem = unserved(model, data)
    if problem:
        raise ModelError(problem)
    return layers_for(model, data)


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


def check(model: ModelSpec, data: DataForm, batch_size: int = 2) -> list[Placed]:
    """Every layer placed, on the meta device; ModelError at the first layer that cannot work."""
    placed, problem = walk(model, data, batch_size)
    if problem:
        raise ModelError(problem)
    return placed


def walk(model: ModelSpec, data: DataForm, batch_size: int = 2) -> tuple[list[Placed], Problem | None]:
    """The layers that can be placed, one after the other, and why the next one, or the whole, cannot work."""
    placed: list[Placed] = []
    try:
        specs = layers_of(model, data)
    except ModelError as error:
        return placed, error.problem
    problem = _wrong_names(specs)
    if problem:
        return placed, problem
    for index, spec in enumerate(specs):
        found = fit(spec, placed[-1].gives if placed else data, data)
        if isinstance(found, Fault):
            return placed, _mended(specs, index, found, placed, data)
        placed.append(found)
        if found.params > PARAMETER_LIMIT:
            return placed, _too_large(specs, placed, data)
    return placed, _wrong_whole(specs, placed, data, batch_size)


def place(spec: LayerSpec, takes: Form, data: DataForm) -> Placed:
    """One layer on the meta device; ModelError when it cannot take what it gets."""
    found = fit(spec, takes, data)
    if isinstance(found, Fault):
        raise ModelError(Problem(spec.name, found.message, found.fix))
    return found


def fit(spec: LayerSpec, takes: Form, data: DataForm) -> Placed | Fault:
    """One layer on the meta device, or why it cannot take what it gets."""
    entry: Layer = registry.LAYERS.get(spec.kind)
    if takes.kind not in entry.takes:
        return mends.wrong_kind(entry, takes, data)
    fault = entry.fault(spec.options, takes)
    if fault:
        return fault
    try:
        module, shape, params = _tried(spec.kind, spec.options, Form(takes.kind, takes.shape))
    except (RuntimeError, ValueError, TypeError, OverflowError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        return Fault(
            Sentence("it cannot take {words} ({reason})", words=takes.words(), reason=reason),
            _("remove it, or change its options"),
            remove=True,
        )
    gives = Form(takes.kind if entry.gives == "same" else entry.gives, shape)
    return Placed(spec, entry, takes, gives, module, params)


@lru_cache(maxsize=2048)  # deep models repeat a few layers, and a form asks again at every change
def _tried(kind: str, options: Any, takes: Form) -> tuple[nn.Module, tuple[int, ...], int]:
    """(the module on the meta device, the shape it gives, its parameters)."""
    entry: Layer = registry.LAYERS.get(kind)
    with torch.device("meta"), torch.no_grad():
        module = make(LayerSpec(kind, options, kind), takes).eval()
        out = _call(module, entry, takes)
    return module, tuple(out.shape[1:]), sum(p.numel() for p in module.parameters())


def describe(question: Describe) -> Description:
    """Parameters, multiply-adds, memory and receptive field of every layer; the code; the problem if there is one."""
    data = described_form(question)
    placed, problem = walk(question.model, data, question.batch_size)
    rows: list[LayerRow] = []
    field, jump = 1, 1
    for p in placed:
        field, jump = _see(p, field, jump)
        shown = field if p.gives.kind == PICTURE and data.kind == PICTURE else 0
        sizes = p.takes.shape, p.gives.shape, p.params, count_macs(p)
        rows.append(LayerRow(p.spec.name, p.spec.kind, *sizes, shown, 4 * prod(p.gives.shape)))
    params, macs = sum(r.params for r in rows), sum(r.macs for r in rows)
    if problem:
        return Description(params, macs, tuple(rows), (problem,))
    memory = training_memory(placed, question.batch_size)
    remarks = flaws.remarks(stack_of(placed), data)
    return Description(params, macs, tuple(rows), (), memory, code(placed, data), remarks)


def stack_of(placed: list[Placed]) -> list[tuple[LayerSpec, Form]]:
    """Every layer with what it gets."""
    return [(p.spec, p.takes) for p in placed]


def code(placed: list[Placed], data: DataForm) -> str:
    """PyTorch source of a checked model: the same state_dict keys, the same logits."""
    return pytorch_code(stack_of(placed), data)


def count_macs(placed: Placed) -> int:
    """Multiply-adds of one sample through one layer: torch's own count of matrix products and convolutions."""
    core = getattr(placed.module, "core", None)
    if isinstance(core, nn.RNNBase):  # fused: torch's counter does not see inside
        weights = sum(p.numel() for n, p in core.named_parameters() if n.startswith("weight"))
        return placed.takes.shape[0] * weights
    return _counted(placed.spec.kind, placed.spec.options, Form(placed.takes.kind, placed.takes.shape))


@lru_cache(maxsize=2048)
def _counted(kind: str, options: Any, takes: Form) -> int:
    module, _shape, _params = _tried(kind, options, takes)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _call(module, registry.LAYERS.get(kind), takes)
    return counter.get_total_flops() // 2


def _call(module: nn.Module, entry: Layer, takes: Form) -> Tensor:
    x = _empty(takes, 1)
    out: Tensor = module(x, None) if entry.masked else module(x)
    return out


def _empty(form: Form, batch_size: int) -> Tensor:
    """A batch without content."""
    dtype = torch.long if form.kind == TOKENS else torch.float32
    return torch.empty((batch_size, *form.shape), device="meta", dtype=dtype)


def _see(placed: Placed, field: int, jump: int) -> tuple[int, int]:
    """The receptive field after a layer: field += dilation · (kernel − 1) · jump; jump *= stride."""
    for window in placed.entry.windows(placed.spec.options):
        field += window.dilation * (window.kernel - 1) * jump
        jump *= window.stride
    return field, jump


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def training_memory(placed: list[Placed], batch_size: int) -> int:
    """Bytes that a training step needs: weights, gradients, Adam's two moments, and what the backward pass needs.

    The last is counted by running the model forward on the meta device, where torch says which tensors it keeps.
    """
    kept: dict[int, Tensor] = {}  # storage → a tensor in it, held so that no other storage takes its place
    weights = {p.untyped_storage()._cdata for one in placed for p in one.module.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    states, batch = 0, max(2, batch_size)  # a batch norm that trains refuses a batch of one
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _FusedAttention():
        x = keep(_empty(placed[0].takes, batch)) if placed else torch.empty(0)
        for p in placed:
            states += _recurrent_bytes(p) * batch_size
            p.module.train()
            x = p.module(x, None) if p.entry.masked else p.module(x)
            p.module.eval()
    saved = sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)
    return 16 * sum(p.params for p in placed) + saved * batch_size // batch + states


_STATES = {"RNN_TANH": 1.0, "RNN_RELU": 1.0, "GRU": 7.0, "LSTM": 16.5}  # hidden sizes kept a step, measured on the CPU


def _recurrent_bytes(placed: Placed) -> int:
    """Bytes a recurrent layer keeps for one sample; its loop over steps is not run on the meta device."""
    core = getattr(placed.module, "core", None)
    if not isinstance(core, nn.RNNBase):
        return 0
    ways = 2 if core.bidirectional else 1
    gets = [core.input_size, *[core.hidden_size * ways] * (core.num_layers - 1)]
    per_step = sum(ways * (_STATES[core.mode] * core.hidden_size + size) for size in gets)
    return int(4 * placed.takes.shape[0] * per_step)


class _FusedAttention(TorchFunctionMode):
    """On the meta device torch would take the slow path of attention, which keeps all scores; training does not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _Attended.apply(*args[:3])
        return func(*args, **(kwargs or {}))


class _Attended(torch.autograd.Function):
    """What fused attention keeps: query, key, value and its output."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(v.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
        ctx.save_for_backward(q, k, v, out)
        return out


# ── what cannot work, and its mend ───────────────────────────────────────────────────────────────────────────────────


def _wrong_names(specs: Layers) -> Problem | None:
    """Too many layers, or a name that torch or Python needs itself, or that two layers have."""
    if len(specs) > LAYER_LIMIT:
        message = Sentence(
            "the model has {layers:,} layers; a model here may have {layer_limit}",
            layers=len(specs),
            layer_limit=LAYER_LIMIT,
        )
        return Problem(specs[LAYER_LIMIT].name, message, _("leave layers out"))
    plain, seen = Network([]), set[str]()
    for index, spec in enumerate(specs):
        known = plain_name(spec.name)
        taken = hasattr(plain, known) or keyword.iskeyword(known)
        if taken or known in seen:
            name = mends.free_name(spec.kind, specs)
            why = _("is a word that Python or torch needs itself") if taken else _("is the name of two layers")
            layers = (*specs[:index], replace(spec, name=name), *specs[index + 1 :])
            return Problem(
                spec.name,
                Sentence("“{name}” {why}", name=spec.name, why=why),
                Sentence("call it {name}", name=name),
                layers,
            )
        seen.add(known)
    return None


def _mended(specs: Layers, index: int, fault: Fault, placed: list[Placed], data: DataForm) -> Problem:
    """The problem of the layer at `index`, with a mend after which that layer works: it may need two changes."""
    name, before = specs[index].name, placed[-1] if placed else None
    takes = registry.LAYERS.get(specs[index].kind).takes
    if fault.remove and before and before.takes.kind in takes and before.gives.kind not in takes:
        fix = Sentence("remove {spec}, which has changed the shape", spec=before.spec.name)
        return Problem(name, fault.message, fix, mends.without(specs, index - 1))
    layers, fixes = mends.applied(specs, index, fault), [fault.fix]
    if fault.remove and not layers:  # it was the only one
        end, layers = _end((), [], data)
        fixes = [_("remove it"), end]
    for _again in range(3):
        at, next_fault = _first_fault(layers, index, name, placed, data)
        if next_fault is None or not (more := mends.applied(layers, at, next_fault)):
            break
        layers = more
        fixes.append(next_fault.fix)
    return Problem(name, fault.message, join(fixes, _(" and then ")), layers)


def _first_fault(
    layers: Layers, index: int, name: str, placed: list[Placed], data: DataForm
) -> tuple[int, Fault | None]:
    """(where, why) a layer from `index` up to the one called `name` does not fit; None where they all do."""
    form: Form = placed[-1].gives if placed else data
    last = next((i for i, spec in enumerate(layers) if spec.name == name), -1)
    for at in range(index, last + 1):
        found = fit(layers[at], form, data)
        if isinstance(found, Fault):
            return at, found
        form = found.gives
    return 0, None


def _wrong_whole(specs: Layers, placed: list[Placed], data: DataForm, batch_size: int) -> Problem | None:
    """What is wrong with the model as a whole: its size, its end, its memory."""
    if sum(p.params for p in placed) > PARAMETER_LIMIT:
        return _too_large(specs, placed, data)
    form: Form = placed[-1].gives if placed else data
    answer = data.answer()
    if (form.kind, form.shape) != (answer.kind, answer.shape):
        last = specs[-1].name if specs else "input"
        message = Sentence(
            "the model ends with {kind} of {sizes}, not {asks}",
            kind=WORDS[form.kind],
            sizes=form.words(),
            asks=data.asks(),
        )
        return Problem(last, message, *_end(specs, placed, data))
    ahead = flaws.answer_in_the_input(stack_of(placed), data)
    return ahead or _batch_of_one(specs, placed, batch_size) or _too_much_memory(specs, placed, data, batch_size)


def _batch_of_one(specs: Layers, placed: list[Placed], batch_size: int) -> Problem | None:
    """A batch norm that would train on one number a map: it has no spread, and torch refuses it at the first step."""
    if batch_size > 1:
        return None
    for index, p in enumerate(placed):
        norms = any(isinstance(m, nn.BatchNorm2d) for m in p.module.modules())
        if norms and prod(p.gives.shape[1:]) == 1:  # inside a block they stand where the maps are as small
            message = _(
                "its batch norm gets one number a map from a batch of one sample, and so has nothing to compare"
            )
            fix = _("use a batch size of 2 or more")
            if p.spec.kind == "batch_norm":
                return Problem(
                    p.spec.name, message, Sentence("remove it, or {fix}", fix=fix), mends.without(specs, index)
                )
            return Problem(p.spec.name, message, fix)
    return None


def _end(specs: Layers, placed: list[Placed], data: DataForm) -> tuple[str, Layers]:
    """(the mend in words, the layers with it) for a model that ends with something else than the answer."""
    if data.task == EACH_STEP:
        return _each_step_end(specs, placed, data)
    return mends.one_end(specs, placed[-1].gives if placed else data, data)


def _each_step_end(specs: Layers, placed: list[Placed], data: DataForm) -> tuple[str, Layers]:
    """An answer at every step: all steps are kept to the end, then a linear layer acts on each."""
    form: Form = placed[-1].gives if placed else data
    steps, end = data.shape[0], len(specs)
    for index, p in enumerate(placed):  # the layer after which there is no longer one vector for each step
        if p.takes.kind in (SEQUENCE, TOKENS) and (p.gives.kind != SEQUENCE or p.gives.shape[0] != steps):
            return Sentence("remove {spec}: every step needs its answer", spec=p.spec.name), mends.without(specs, index)
    head = Sentence("end with a linear layer of {classes} features", classes=data.classes)
    if form.kind == SEQUENCE and specs and specs[-1].kind == "linear":
        return head, mends.with_options(specs, end - 1, {"features": data.classes})
    if form.kind == SEQUENCE:
        return head, mends.inserted(specs, end, [("linear", {"features": data.classes})])
    if form.kind == TOKENS:
        rows = [mends.embedding(data), ("linear", {"features": data.classes})]
        return Sentence("put a token embedding after it and {head}", head=head), mends.inserted(specs, end, rows)
    return _("keep one vector for each step"), ()


def _too_large(specs: Layers, placed: list[Placed], data: DataForm) -> Problem:
    index = max(range(len(placed)), key=lambda i: placed[i].params)
    count, total = placed[index].params, sum(p.params for p in placed)
    limit = Sentence("a model here may have {parameter_limit:,}", parameter_limit=PARAMETER_LIMIT)
    message = Sentence("it has {count:,} parameters; {limit}", count=count, limit=limit)
    if count <= PARAMETER_LIMIT:
        message = Sentence(
            "the model has {total:,} parameters, {count:,} of them here; {limit}", total=total, count=count, limit=limit
        )
    return Problem(specs[index].name, message, *mends.narrower(specs, index, 0.5 * PARAMETER_LIMIT / total, data))


def _too_much_memory(specs: Layers, placed: list[Placed], data: DataForm, batch_size: int) -> Problem | None:
    total, limit = training_memory(placed, batch_size), int(psutil.virtual_memory().total * MEMORY_SHARE)
    if total <= limit:
        return None
    index = max(range(len(placed)), key=lambda i: prod(placed[i].gives.shape) * batch_size + 4 * placed[i].params)
    asks = Sentence(
        "the model needs about {total:,.1f} GiB to train with {batch_size} samples a step",
        total=total / 2**30,
        batch_size=batch_size,
    )
    fix, layers = mends.narrower(specs, index, 0.5 * limit / total, data)
    message = Sentence("{asks}; {limit:,.1f} GiB may be used", asks=asks, limit=limit / 2**30)
    return Problem(specs[index].name, message, Sentence("{fix}, or use a smaller batch", fix=fix), layers)


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def state_arrays(network: nn.Module) -> dict[str, Any]:
    """name → numpy array (contiguous copies on the CPU) of everything in the state_dict."""
    return {name: value.detach().cpu().contiguous().clone().numpy() for name, value in network.state_dict().items()}


def load_state(network: nn.Module, arrays: dict[str, Any]) -> None:
    """Put arrays back into a network without changing devices or memory formats."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.from_numpy(arrays[name]))
