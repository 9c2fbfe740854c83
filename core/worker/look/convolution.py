"""One output cell of a convolution: the patch it reads, the kernel, their products, the bias, and what follows.

What it gives is declared in core.catalog.views.convolution.

Sums are taken in float64 of the network's float32 numbers. The receptive field (Luo 2016) is found on a copy whose
kernels are all ones, so that nothing cancels: a pixel belongs to it where the cell's gradient is not zero.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.catalog.views.convolution import (
    BIAS,
    CHANNELS,
    COLUMNS,
    CONTRIBUTIONS,
    INPUT,
    KERNEL,
    LARGEST,
    ORDER,
    OUTPUT,
    PADDING,
    PATCH,
    PRODUCTS,
    RECEPTIVE_FIELD,
    ROWS,
    SUM,
    VALUE,
    Convolution,
    ConvolutionFacts,
    Following,
)
from core.spec.questions import Seen
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, join
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.modules.blocks import SqueezeExcitation

SHOWN = 8  # input maps shown one by one; the rest is summed
TOLERANCE = 1e-5  # of the sum of all |products|: what float32 may lose
NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm2d, nn.GroupNorm)
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
)
SAME: tuple[type[nn.Module], ...] = (nn.Dropout, nn.Identity)  # hand on what they get
NAMES = {
    "BatchNorm2d": _("batch norm"),
    "GroupNorm": _("group norm"),
    "LeakyReLU": _("leaky ReLU"),
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}


@dataclass(frozen=True)
class Cell:
    """Where we are: the output cell of the convolution at `address`."""

    address: str
    map: int
    row: int
    column: int


@dataclass(frozen=True)
class Window:
    """The patch [g, k, l] under the kernel, and where its places lie."""

    patch: Tensor
    channels: range  # of the input
    rows: np.ndarray
    columns: np.ndarray
    outside: np.ndarray  # bool [k, l]


def look(subject: Subject, options: Convolution, report: Report) -> Seen[ConvolutionFacts]:
    """The arithmetic of one cell."""
    report(0.0, _("Running the network on the sample."))
    words: list[str] = []
    inner, chosen = _inner(subject, options.inner, words)
    address = f"{subject.layer}.{chosen}" if chosen else subject.layer
    conv = _module(subject, address)
    ran = _run(subject, address)
    given, made = ran[address]
    cell = _cell(address, conv, (given, made), options, words)
    window = window_of(conv, given, cell.map, cell.row, cell.column)
    kernel = conv.weight[cell.map].double()
    products = window.patch.double() * kernel
    contributions = products.sum((1, 2))
    total = float(products.sum())
    bias = float(conv.bias[cell.map]) if conv.bias is not None else 0.0
    order = contributions.abs().argsort(descending=True, stable=True)
    report(0.3, _("Finding which pixels the cell can see."))
    field = receptive_field(subject, cell, report)
    own = float(made[cell.map, cell.row, cell.column])
    difference = abs(total + bias - own)
    after = _after(subject, ran, cell)
    arrays = {
        INPUT: given,
        OUTPUT: made,
        PATCH: window.patch,
        PADDING: window.outside,
        KERNEL: kernel,
        PRODUCTS: products,
        CONTRIBUTIONS: contributions,
        CHANNELS: np.array(window.channels),
        ORDER: order.numpy(),
        ROWS: window.rows,
        COLUMNS: window.columns,
        SUM: np.array(total),
        BIAS: np.array(bias),
        VALUE: np.array(total + bias),
        RECEPTIVE_FIELD: field,
    }
    facts = ConvolutionFacts(
        **vars(subject.answer()),
        address=address,
        inner=inner,
        chosen=chosen,
        map=cell.map,
        row=cell.row,
        column=cell.column,
        maps=len(made),
        kernel_size=conv.kernel_size,
        stride=conv.stride,
        dilation=conv.dilation,
        padding=pads(conv),
        padding_mode=conv.padding_mode,
        groups=conv.groups,
        has_bias=conv.bias is not None,
        listed=min(SHOWN, len(order)),
        rest=float(contributions[order[SHOWN:]].sum()),
        padded=int(window.outside.sum()),
        difference=difference,
        agrees=difference <= TOLERANCE * max(1.0, float(products.abs().sum()) + abs(bias)),
        reads_input=given.shape == subject.x.shape[1:] and torch.equal(given, subject.x[0]),
        after=after,
        then=_then(subject, cell, after),
    )
    return subject.seen(arrays, facts, [*words, *_words(arrays, facts)], _code(conv, cell))


# ── which convolution, which cell ────────────────────────────────────────────────────────────────────────────────────


def _inner(subject: Subject, wanted: str, words: list[str]) -> tuple[list[str], str]:
    """(the convolutions below the chosen layer, by their address below it; the one that is shown)."""
    layer = subject.network.get_submodule(subject.layer)
    if isinstance(layer, nn.Conv2d):
        return [], ""
    inner = [name for name, module in layer.named_modules() if isinstance(module, nn.Conv2d)]
    if not inner:
        raise CannotShow(
            Sentence(
                "The layer {layer} has no convolution inside it. Choose another layer.", layer=quoted(subject.layer)
            )
        )
    wanted = wanted.strip().removeprefix(f"{subject.layer}.")
    if wanted and wanted not in inner:
        has = ", ".join(inner)
        words.append(
            Sentence(
                "{layer} has no convolution {wanted}; {inner} is shown. It has {has}.",
                layer=quoted(subject.layer),
                wanted=quoted(wanted),
                inner=inner[0],
                has=has,
            )
        )
    return inner, wanted if wanted in inner else inner[0]


def _module(subject: Subject, address: str) -> nn.Conv2d:
    module = subject.network.get_submodule(address)
    assert isinstance(module, nn.Conv2d)
    return module


def _run(subject: Subject, address: str) -> dict[str, tuple[Tensor, Tensor]]:
    """What the convolution and every norm and activation get and give for the sample, in order, without the batch."""
    ran: dict[str, tuple[Tensor, Tensor]] = {}

    def hook(name: str) -> Any:
        return lambda _module, inputs, output: ran.__setitem__(name, (inputs[0], output))

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in subject.network.named_modules()
        if name == address or isinstance(module, (*NORMS, *ACTIVATIONS, *SAME))
    ]
    try:
        with torch.no_grad():
            subject.network(subject.x)
    finally:
        for handle in handles:
            handle.remove()
    if address not in ran:
        raise CannotShow(
            Sentence(
                "The convolution {address} is not used for this sample. Choose another layer.", address=quoted(address)
            )
        )
    got, gave = ran[address]
    return {**ran, address: (got[0].detach(), gave[0].detach()), "": (got, gave)}


def _cell(address: str, conv: nn.Conv2d, ran: tuple[Tensor, Tensor], o: Convolution, words: list[str]) -> Cell:
    """The cell that is asked for, or the nearest that there is, with a sentence."""
    given, made = ran
    maps, height, width = made.shape
    chosen = min(o.map, maps - 1)
    if chosen != o.map:
        words.append(
            Sentence(
                "There is no map {map}: {address} makes maps 0 to {maps}. Map {chosen} is shown.",
                map=o.map,
                address=address,
                maps=maps - 1,
                chosen=chosen,
            )
        )
    row, column = min(o.row, height - 1), min(o.column, width - 1)
    if (row, column) != (o.row, o.column):
        words.append(
            Sentence(
                "The maps have {height} rows and {width} columns, counted from 0; the nearest cell is shown.",
                height=height,
                width=width,
            )
        )
    if LARGEST in (row, column):
        row, column = _largest(made[chosen], within(conv, given), row, column)
    return Cell(address, chosen, row, column)


def within(conv: nn.Conv2d, given: Tensor) -> Tensor:
    """bool [height, width] of the output: whose window lies within the input and touches no padding."""
    mask = F.pad(torch.zeros_like(given[:1]), pads(conv), value=1.0)
    ones = torch.ones(1, 1, *conv.kernel_size)
    return F.conv2d(mask[None], ones, None, conv.stride, 0, conv.dilation)[0, 0] == 0


def _largest(values: Tensor, preferred: Tensor, row: int, column: int) -> tuple[int, int]:
    """Where `values` [height, width] are largest, in the given row or column where one is given.

    Of the `preferred` cells if there are any there: with much padding in it a window shows little.
    """
    height, width = values.shape
    allowed = torch.zeros(height, width, dtype=torch.bool)
    allowed[slice(None) if row == LARGEST else row, slice(None) if column == LARGEST else column] = True
    allowed = allowed & preferred if bool((allowed & preferred).any()) else allowed
    place = int(values.masked_fill(~allowed, -torch.inf).argmax())
    return place // width, place % width


# ── the arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────


def pads(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Pixels added at the left, right, top and bottom. “same” adds one more at the end where the sum is odd."""
    sides: list[int] = []
    for axis in (1, 0):
        if conv.padding == "same":
            total = conv.dilation[axis] * (conv.kernel_size[axis] - 1)
            sides += [total // 2, total - total // 2]
        elif conv.padding == "valid":
            sides += [0, 0]
        else:
            sides += [int(conv.padding[axis])] * 2
    return sides[0], sides[1], sides[2], sides[3]


def window_of(conv: nn.Conv2d, given: Tensor, out_map: int, row: int, column: int) -> Window:
    """What the kernel of `out_map` lies on at (row, column); given: [in_channel, height, width]."""
    left, _right, top, _bottom = around = pads(conv)
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    padded = F.pad(given[None], around, mode=mode)[0]
    per_group = conv.in_channels // conv.groups
    first = out_map // (conv.out_channels // conv.groups) * per_group
    y = row * conv.stride[0] + conv.dilation[0] * np.arange(conv.kernel_size[0])
    x = column * conv.stride[1] + conv.dilation[1] * np.arange(conv.kernel_size[1])
    patch = padded[first : first + per_group][:, torch.from_numpy(y)][:, :, torch.from_numpy(x)]
    rows, columns = y - top, x - left
    out_y, out_x = ((at < 0) | (at >= size) for at, size in ((rows, given.shape[1]), (columns, given.shape[2])))
    return Window(patch, range(first, first + per_group), rows, columns, out_y[:, None] | out_x[None])


# ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _after(subject: Subject, ran: dict[str, tuple[Tensor, Tensor]], cell: Cell) -> list[Following]:
    """The norms and activations that take exactly what the convolution gives, one after the other."""
    found: list[Following] = []
    value: Tensor | None = ran[""][1]
    while value is not None:
        takers = [name for name, (got, gave) in ran.items() if name and got is value and gave is not value]
        value = ran[takers[0]][1] if len(takers) == 1 else None
        if value is not None:
            step = _step(subject.network.get_submodule(takers[0]), takers[0], value, cell)
            found += [step] if step else []
    return found


def _step(module: nn.Module, address: str, value: Tensor, cell: Cell) -> Following | None:
    if isinstance(module, SAME):
        return None
    kind = type(module).__name__
    there = float(value[0, cell.map, cell.row, cell.column])
    step = Following(address=address, kind=NAMES.get(kind, kind), value=there)
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
        gamma = module.weight[cell.map] if module.affine else torch.ones(())
        beta = module.bias[cell.map] if module.affine else torch.zeros(())
        scale = gamma / (module.running_var[cell.map] + module.eps).sqrt()
        return replace(step, scale=float(scale), shift=float(beta - module.running_mean[cell.map] * scale))
    return step


def _then(subject: Subject, cell: Cell, after: list[Following]) -> str:
    """Where the last value goes, in a sentence: a block adds and gates in its own way, a layer's successor is known."""
    last = after[-1].address if after else cell.address
    layer = last.split(".")[0]
    if last != layer:
        return Sentence("The block {layer} goes on with this value.", layer=layer)
    place = subject.network.addresses.index(layer) + 1
    if place == len(subject.network.addresses):
        return _("This is the network's answer.")
    following = next(spec for spec in subject.layers if spec.name == subject.network.addresses[place])
    return Sentence("The next layer, {following}, reads it.", following=following.name)


# ── the receptive field ──────────────────────────────────────────────────────────────────────────────────────────────


class _Everywhere(nn.Module):
    """Every place of a group of maps depends on all of the group, as in a group norm or a squeeze-excitation gate."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(len(x), self.groups, -1)
        return x + grouped.mean(2, keepdim=True).expand_as(grouped).reshape(x.shape)


class _Reached(Exception):
    """The forward pass has come as far as it is needed."""


def receptive_field(subject: Subject, cell: Cell, report: Report) -> Tensor:
    """bool [height, width]: the pixels of the network's input that the cell can depend on, whatever the weights.

    Every module is replaced by a sum over the same places; the gradient of a sum of sums is a count of paths. It is
    cut to 0 and 1 after each module, so that it stays finite however deep the network is.
    """
    network = subject.copied()
    places_only(network, cell.address)
    x = torch.zeros_like(subject.x, requires_grad=True)
    found: list[Tensor] = []

    def reached(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        found.append(output)
        raise _Reached

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        report(0.6, _("Finding which pixels the cell can see."))
        if output.requires_grad:
            output.register_hook(lambda gradient: (gradient != 0).to(gradient.dtype))

    for module in network.modules():
        module.register_forward_hook(cut)
    network.get_submodule(cell.address).register_forward_hook(reached)
    with suppress(_Reached):
        network(x)
    (gradient,) = torch.autograd.grad(found[0][0, cell.map, cell.row, cell.column], x)
    return (gradient[0] != 0).any(0)


def places_only(network: nn.Module, address: str) -> None:
    """Change a network of picture layers so that, up to `address`, it is linear and joins the same places."""
    for path, parent in list(network.named_modules()):
        for name, child in parent.named_children():
            holds = address.startswith(f"{path}.{name}.".removeprefix("."))  # a gate, asked about from inside
            parent.register_module(name, child if holds else _place_only(child))


def _place_only(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.Conv2d):
        module.weight.fill_(1.0)
    elif isinstance(module, nn.MaxPool2d):
        return nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
    elif isinstance(module, nn.GroupNorm):
        return _Everywhere(module.num_groups)
    elif isinstance(module, SqueezeExcitation):
        return _Everywhere(1)
    elif isinstance(module, (nn.BatchNorm2d, nn.Dropout, *ACTIVATIONS)):
        return nn.Identity()
    return module


# ── words and code ───────────────────────────────────────────────────────────────────────────────────────────────────


def _words(arrays: dict[str, Any], facts: ConvolutionFacts) -> list[str]:
    said = [_sum_words(arrays, facts)]
    if facts.padded:
        how = (
            _("zeros")
            if facts.padding_mode == "zeros"
            else Sentence("values made by “{padding_mode}” padding", padding_mode=facts.padding_mode)
        )
        places = arrays[PADDING].size
        said.append(
            Sentence(
                "{padded} of the window's {places} places lie outside its input, in the padding: {how}.",
                padded=facts.padded,
                places=places,
                how=how,
            )
        )
    if facts.groups > 1:
        said.append(_group_words(arrays, facts))
    said += _after_words(facts)
    field = arrays[RECEPTIVE_FIELD].numpy()
    seen, total = int(field.sum()), field.size
    height, width = (int(field.any(axis).sum()) for axis in (1, 0))
    size = (
        f"{height} × {width} pixels"
        if seen == height * width
        else Sentence("{seen} pixels in {height} × {width} places", seen=seen, height=height, width=width)
    )
    said.append(
        Sentence(
            "Receptive field: of the network's input the cell can see {size}, {seen:.3g} % of the {total}.",
            size=size,
            seen=100 * seen / total,
            total=total,
        )
    )
    own = Sentence("The layer's own output differs from this sum by {difference:.1e}", difference=facts.difference)
    said.append(
        Sentence("{own}, a rounding.", own=own)
        if facts.agrees
        else Sentence("{own}: more than rounding. Please report this.", own=own)
    )
    return said


def _sum_words(arrays: dict[str, Any], facts: ConvolutionFacts) -> str:
    maps, (k, j) = len(arrays[CHANNELS]), facts.kernel_size
    over = Sentence("{maps} input maps × {k} × {j}", maps=maps, k=k, j=j) if maps > 1 else f"{k} × {j}"
    where = Sentence(
        "Map {map} of {address}, row {row}, column {column}",
        map=facts.map,
        address=facts.address,
        row=facts.row,
        column=facts.column,
    )
    value, total = float(arrays[VALUE]), float(arrays[SUM])
    bias = (
        Sentence("; the bias adds {arrays:.4g}", arrays=float(arrays[BIAS]))
        if facts.has_bias
        else _("; this convolution has no bias")
    )
    return Sentence(
        "{where}: {value:.4g}. The {maps} products ({over}) sum to {total:.4g}{bias}.",
        where=where,
        value=value,
        maps=maps * k * j,
        over=over,
        total=total,
        bias=bias,
    )


def _group_words(arrays: dict[str, Any], facts: ConvolutionFacts) -> str:
    first, last = int(arrays[CHANNELS][0]), int(arrays[CHANNELS][-1])
    which = (
        Sentence("map {first}", first=first)
        if first == last
        else Sentence("maps {first} to {last}", first=first, last=last)
    )
    return Sentence(
        "The convolution works in {groups} groups: this cell reads only {which} of its input.",
        groups=facts.groups,
        which=which,
    )


def _after_words(facts: ConvolutionFacts) -> list[str]:
    parts = [
        Sentence(
            "{kind} {address}{how} makes it {value:.4g}",
            kind=step.kind,
            address=step.address,
            how=_how(step),
            value=step.value,
        )
        for step in facts.after
    ]
    return [Sentence("Then {parts}. {then}", parts=join(parts, _(", then ")), then=facts.then) if parts else facts.then]


def _how(step: Following) -> str:
    if step.scale is None:
        return ""
    sign = "minus" if step.shift < 0 else "plus"
    return Sentence(" (times {scale:.4g}, {sign} {shift:.4g})", scale=step.scale, sign=sign, shift=abs(step.shift))


def _code(conv: nn.Conv2d, cell: Cell) -> str:
    bias = f" + conv.bias[{cell.map}]" if conv.bias is not None else ""
    mode = "" if conv.padding_mode == "zeros" else f', mode="{conv.padding_mode}"'
    per_group = conv.in_channels // conv.groups
    first = cell.map // (conv.out_channels // conv.groups) * per_group
    (top, left), (k, j), (d, e) = (
        (cell.row * conv.stride[0], cell.column * conv.stride[1]),
        conv.kernel_size,
        conv.dilation,
    )
    rows, columns = f"{top}:{top + d * (k - 1) + 1}:{d}", f"{left}:{left + e * (j - 1) + 1}:{e}"
    return (
        "import torch\n"
        "import torch.nn.functional as F\n\n"
        f'conv = network.get_submodule("{cell.address}")\n'
        "kept = {}\n"
        "handle = conv.register_forward_hook(lambda module, inputs, output: kept.update(x=inputs[0], y=output))\n"
        "with torch.no_grad():\n"
        "    network(x)\n"
        "handle.remove()\n"
        f'padded = F.pad(kept["x"], {pads(conv)}{mode})[0]  # left, right, top, bottom\n'
        f"patch = padded[{first}:{first + per_group}, {rows}, {columns}]  # [channel, row, column]\n"
        f"kernel = conv.weight[{cell.map}]\n"
        "products = patch * kernel\n"
        f"value = products.sum(){bias}\n"
        f'print(value, kept["y"][0, {cell.map}, {cell.row}, {cell.column}])  # the same but for rounding\n'
    )
