"""What a network is made of, as far as attribution methods care: found by running it once, not by names.

Every function of torch that is called on a tensor which depends on the input is seen, whether a module calls it or a
forward method: hooks on modules alone miss F.relu, `x * gate` and the like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.catalog.entries import Findings

# What torch calls its functions; a "_" behind (in place) is left out. See `name_of`.
RELUS = frozenset({"relu"})
ELEMENTWISE = RELUS | {
    "relu6",
    "hardtanh",
    "leaky_relu",
    "prelu",
    "rrelu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "logsigmoid",
    "log_sigmoid",
    "hardswish",
    "hardsigmoid",
    "threshold",
    "tanhshrink",
    "softshrink",
    "hardshrink",
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    "erf",
    "exp",
    "sin",
    "cos",
    "abs",
    "square",
}
MAX_POOLS = frozenset({"max_pool1d", "max_pool2d", "max_pool3d"})
CONVOLUTIONS = frozenset({"linear"} | {f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)})
MEANS = frozenset({"mean"} | {f"{a}avg_pool{n}d" for a in ("", "adaptive_") for n in (1, 2, 3)})
ADDS = frozenset({"add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "cat", "concat", "concatenate", "stack"})
MULTIPLIES = frozenset(
    {
        "mul",
        "rmul",
        "imul",
        "multiply",
        "matmul",
        "rmatmul",
        "mm",
        "bmm",
        "baddbmm",
        "addmm",
        "einsum",
        "outer",
        "dot",
        "div",
        "truediv",
        "itruediv",
        "true_divide",
        "where",
        "masked_fill",
        "glu",
        "bilinear",
    }
)
MOVES = frozenset(
    {
        "neg",
        "sum",
        "flatten",
        "unflatten",
        "view",
        "reshape",
        "permute",
        "transpose",
        "swapaxes",
        "movedim",
        "contiguous",
        "getitem",
        "unsqueeze",
        "squeeze",
        "expand",
        "expand_as",
        "view_as",
        "reshape_as",
        "pad",
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "alpha_dropout",
        "feature_dropout",
        "to",
        "float",
        "clone",
        "chunk",
        "split",
        "unbind",
        "roll",
        "flip",
        "T",
        "mT",
        "interpolate",
        "index_select",
        "gather",
        "select",
        "narrow",
        "repeat",
        "repeat_interleave",
        "tile",
        "cumsum",
        "unfold",
        "fold",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "copy",
        "setitem",
        "embedding",
        "embedding_bag",
        "one_hot",
        "identity",
    }
)
SCALING = CONVOLUTIONS | MEANS | MULTIPLIES | {"sum", "batch_norm"}
LAYER_NORMS = frozenset(
    {
        "layer_norm",
        "group_norm",
        "instance_norm",
        "rms_norm",
        "normalize",
        "local_response_norm",
        "std",
        "var",
        "std_mean",
        "var_mean",
        "norm",
        "vector_norm",
    }
)
SOFTMAXES = frozenset(
    {
        "softmax",
        "log_softmax",
        "softmin",
        "gumbel_softmax",
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "logsumexp",
        "_transformer_encoder_layer_fwd",
        "_native_multi_head_attention",
    }
)
RECURRENT = frozenset(f"{kind}{more}" for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu") for more in ("", "_cell"))
COMPARISONS = frozenset({"gt", "lt", "ge", "le", "eq", "ne", "argmax", "sign", "bool", "logical_not", "invert"})
SOURCES = frozenset({"embedding", "embedding_bag", "one_hot"})  # here ids become a signal
NOTHING = frozenset({"numpy", "requires_grad", "grad", "grad_fn", "record_stream", "data_ptr"})

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Softsign,
    nn.Tanh,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Threshold,
    nn.Tanhshrink,
    nn.Softshrink,
    nn.Hardshrink,
)
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
FOLDS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d, nn.Linear: nn.BatchNorm1d}
WITH_RULE = (  # captum.attr._core.lrp: SUPPORTED_LAYERS_WITH_RULES and SUPPORTED_NON_LINEAR_LAYERS
    *POOLS,
    nn.Conv2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.Dropout,
    nn.Tanh,
)


def inspect(network: nn.Module, x: Tensor) -> Findings:
    """Run `network` on x [n, …] (ids where it embeds tokens) and see what is called. The network is not changed."""
    watch = _Watch(network, x)
    handles = []
    for module in watch.names:
        handles.append(module.register_forward_pre_hook(watch.enter))
        handles.append(module.register_forward_hook(watch.leave))
    try:
        with torch.no_grad(), watch:
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return watch.findings()


def name_of(func: Any) -> str:
    """relu for F.relu, torch.relu_ and Tensor.relu; add for +; T for the property."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", name)
    return name.strip("_") if name.startswith("__") or name.endswith("_") else name


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors(one)
    elif isinstance(value, dict):
        yield from tensors(tuple(value.values()))


class _Watch(TorchFunctionMode):
    """Collects, while a network runs, what Findings tells. `signals`: the tensors that depend on the input, by id."""

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.root = network
        self.names = {module: name for name, module in network.named_modules()}
        self.stack: list[nn.Module] = []
        self.calls: Counter[str] = Counter()
        self.kinds: set[str] = set()
        self.found: dict[str, dict[Any, None]] = {}
        self.signals: dict[int, Tensor] = {id(x): x} if x.is_floating_point() else {}
        self.bent: dict[int, str] = {}  # what an activation or a max-pool has given → the function's name
        self.made: dict[int, nn.Module] = {}  # what a convolution or linear layer has given
        self.reads: Counter[int] = Counter()

    # ── modules ─────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, module: nn.Module, _inputs: Any) -> None:
        self.stack.append(module)
        if module is not self.root:
            self.calls[self.names[module]] += 1
            self.kinds.add(type(module).__name__)

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.stack.pop()
        name = self.names[module]
        given, results = list(tensors(inputs)), list(tensors(output))
        if self.signal(given) and results and not self.signal(results):
            self.note("strange", f"{name}: {type(module).__name__}")  # compiled: what happens inside is out of sight
            self.signals.update((id(t), t) for t in results)
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            self.note("embeddings", name)
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
            self.note("recurrent", name)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and isinstance(output, Tensor) and output.dim() == 4:
            self.note("convolutions", name)
        if type(module) in FOLDS and isinstance(output, Tensor):
            self.made[id(output)] = module
        if not any(True for _child in module.children()) and not isinstance(module, WITH_RULE):
            self.note("without_rule", f"{name} ({type(module).__name__})")

    def signal(self, values: list[Tensor]) -> bool:
        return any(id(t) in self.signals for t in values)

    def note(self, field: str, what: Any) -> None:
        self.found.setdefault(field, {})[what] = None

    def address(self) -> str:
        """Of the module in whose forward this happens."""
        return self.names[self.stack[-1]] if self.stack and self.stack[-1] is not self.root else "the network"

    # ── functions ───────────────────────────────────────────────────────────────────────────────────────────────

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        given = [t for t in tensors((args, kwargs)) if id(t) in self.signals]
        out = func(*args, **kwargs)
        results = [args[0]] if name == "setitem" else list(tensors(out))
        if results and (given or name in SOURCES):
            self.reads.update(id(t) for t in given)
            self.signals.update((id(t), t) for t in results)
            self.saw(name, given, (args, kwargs), out)
        return out

    def saw(self, name: str, given: list[Tensor], arguments: tuple[Any, Any], out: Any) -> None:
        """One call of the function `name` on `given` signals."""
        if name in SCALING and (self.stack and any(True for _child in self.stack[-1].children())):
            self.note("loose", f"{self.address()}: {name}")
        stepped = any(not t.is_floating_point() for t in given)  # a comparison's answer: it goes in steps
        if stepped and name not in MULTIPLIES and name not in COMPARISONS:
            self.note("strange", f"{self.address()}: {name} of a comparison")
        elif name in ELEMENTWISE:
            self.activation(name, given[0], out)
        elif name in MAX_POOLS:
            self.max_pool(name, given[0], arguments, out)
        elif name == "batch_norm":
            self.batch_norm(given[0], arguments)
        elif name in CONVOLUTIONS or name in ADDS or name in MEANS or name in MOVES:
            self.affine(name, given, arguments)
        elif name in MULTIPLIES:
            self.product(name, given, arguments)
        elif not self.known(name):
            self.note("strange", f"{self.address()}: {name}")

    def known(self, name: str) -> bool:
        for field, names in (("layer_norms", LAYER_NORMS), ("softmaxes", SOFTMAXES), ("recurrent", RECURRENT)):
            if name in names:
                self.note(field, self.address())
                return True
        return name in COMPARISONS or name in NOTHING

    def label(self, name: str, own: tuple[type, ...]) -> str:
        """The module's address where the function is all that it does; else "address: function"."""
        if self.stack and type(self.stack[-1]) in own and self.stack[-1] is not self.root:
            return self.address()
        label = f"{self.address()}: {name}"
        self.note("functional", label)
        return label

    def bend(self, name: str, label: str, source: Tensor, out: Any) -> None:
        self.note("bends", name)
        before = self.bent.get(id(source))
        if before is not None:
            self.note("chained", label)
        if before in RELUS and name in MAX_POOLS:
            self.note("relu_before_max_pool", label)
        for result in tensors(out):
            self.bent[id(result)] = name

    def activation(self, name: str, source: Tensor, out: Any) -> None:
        label = self.label(name, ACTIVATIONS)
        if label == self.address():
            self.note("activations", label)
            if name in RELUS:
                self.note("relus", label)
        if out is source:
            self.note("inplace", label)
        self.bend(name, label, source, out)

    def max_pool(self, name: str, source: Tensor, arguments: tuple[Any, Any], out: Any) -> None:
        label = self.label(name, POOLS)
        self.note("max_pools", label)
        kernel, stride, dilation = (
            _argument(arguments, key, i) for key, i in (("kernel_size", 1), ("stride", 2), ("dilation", 4))
        )
        if _overlaps(kernel, stride or kernel, dilation or 1):
            self.note("overlapping", label)
        self.bend(name, label, source, out)

    def batch_norm(self, source: Tensor, arguments: tuple[Any, Any]) -> None:
        if _argument(arguments, "training", 5):
            self.note("layer_norms", self.address())
            return
        self.note("normalisations", self.address())
        self.note("biased", self.address())
        made, norm = self.made.get(id(source)), self.stack[-1] if self.stack else None
        if made is not None and type(norm) is FOLDS[type(made)] and source.dim() != 3:
            self.note("foldable", (id(source), self.names[made], self.address()))

    def affine(self, name: str, given: list[Tensor], arguments: tuple[Any, Any]) -> None:
        if name in CONVOLUTIONS and _present(_argument(arguments, "bias", 2)):
            self.note("biased", self.address())
        elif name in ADDS:
            joined = name.startswith(("cat", "con", "stack"))
            if len(given) > 1 and not joined:
                self.note("additions", self.address())
            values = arguments[0][0] if joined and arguments[0] else (arguments[0], arguments[1])
            if any(_present(one) for one in _flat(values) if id(one) not in self.signals):
                self.note("biased", self.address())

    def product(self, name: str, given: list[Tensor], arguments: tuple[Any, Any]) -> None:
        divides = name in ("div", "truediv", "itruediv", "true_divide")
        stepped = any(not t.is_floating_point() for t in given)
        if len(given) > 1 or stepped or name == "glu" or (divides and id(arguments[0][0]) not in self.signals):
            self.note("products", self.address())

    def findings(self) -> Findings:
        """What was seen."""
        reused = tuple(name for name, count in self.calls.items() if count > 1)
        foldable = tuple(
            (made, norm)
            for at, made, norm in self.found.pop("foldable", {})
            if self.reads[at] == 1 and made not in reused and norm not in reused
        )
        lists = {field: tuple(values) for field, values in self.found.items()}
        return Findings(frozenset(self.kinds), reused, foldable=foldable, **lists)


def _argument(arguments: tuple[Any, Any], name: str, place: int) -> Any:
    args, kwargs = arguments
    return kwargs[name] if name in kwargs else args[place] if len(args) > place else None


def _flat(values: Any) -> Iterator[Any]:
    """Tensors and numbers in arguments."""
    if isinstance(values, tuple | list):
        for one in values:
            yield from _flat(one)
    elif isinstance(values, Tensor | float | int) and not isinstance(values, bool):
        yield values


def _present(constant: Any) -> bool:
    """Is anything but zero added?"""
    return bool(constant.any()) if isinstance(constant, Tensor) else bool(constant)


def _overlaps(kernel: Any, stride: Any, dilation: Any) -> bool:
    sides = [v if isinstance(v, tuple | list) else (v,) * 3 for v in (kernel, stride, dilation)]
    return any(k > s or d > 1 for k, s, d in zip(*sides, strict=False))
