"""Recurrent cells unrolled by hand, step after step, with every gate: what torch's fused layers do but do not show.

Equations and the order of the gates as in the documentation of torch.nn.RNN, LSTM and GRU:
 rnn   h = f(W x + b + U h + d)                                                                  (Elman 1990)
 lstm  i, f, o = σ(…), g = tanh(…) of W x + b + U h + d;  c = f·c + i·g;  h = o·tanh(c)          (Hochreiter 1997)
 gru   r, z = σ(…);  n = tanh(W x + b + r·(U h + d));  h = (1 − z)·n + z·h                       (Cho 2014)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

GATES = {
    "rnn": (),
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("reset", "update", "new"),
}  # in torch's order of the rows of W and U
KINDS = {"RNN_TANH": "rnn", "RNN_RELU": "rnn", "LSTM": "lstm", "GRU": "gru"}  # nn.RNNBase.mode → kind

Tick = Callable[[], None]


def _quietly() -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True)
class Moment:
    """A cell after one step: hidden and cell state (LSTM only) and its gates, each [batch, unit]."""

    hidden: Tensor
    cell: Tensor | None = None
    gates: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One direction of one recurrent layer: W [gate·unit, feature], U [gate·unit, unit], b and d [gate·unit]."""

    kind: str  # a key of GATES
    input: Tensor  # W
    recurrent: Tensor  # U
    input_bias: Tensor  # b
    recurrent_bias: Tensor  # d
    activation: Callable[[Tensor], Tensor] = torch.tanh  # f of the vanilla cell

    @property
    def units(self) -> int:
        """Size of the hidden state."""
        return self.recurrent.shape[1]

    def start(self, batch: int) -> Moment:
        """All states zero; they require gradients, so that every later state has one."""
        zeros = [self.input.new_zeros(batch, self.units).requires_grad_() for _ in range(2)]
        return Moment(zeros[0], zeros[1] if self.kind == "lstm" else None)

    def step(self, x: Tensor, before: Moment, real: Tensor | None = None) -> Moment:
        """One step on x [batch, feature]. Where `real` [batch, 1] is False the states stay as they were."""
        given = x @ self.input.T + self.input_bias
        kept = before.hidden @ self.recurrent.T + self.recurrent_bias
        if self.kind == "lstm":
            return _lstm(given + kept, before, real)
        if self.kind == "gru":
            return _gru(given, kept, before, real)
        return Moment(_held(self.activation(given + kept), before.hidden, real))


def _lstm(summed: Tensor, before: Moment, real: Tensor | None) -> Moment:
    i, f, g, o = summed.chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    assert before.cell is not None
    cell = _held(f * before.cell + i * g, before.cell, real)  # before h is made of it, so that h's gradient reaches it
    hidden = _held(o * cell.tanh(), before.hidden, real)
    return Moment(hidden, cell, dict(zip(GATES["lstm"], (i, f, g, o), strict=True)))


def _gru(given: Tensor, kept: Tensor, before: Moment, real: Tensor | None) -> Moment:
    (gr, gz, gn), (kr, kz, kn) = given.chunk(3, -1), kept.chunk(3, -1)
    r, z = (gr + kr).sigmoid(), (gz + kz).sigmoid()
    n = (gn + r * kn).tanh()
    hidden = _held((1 - z) * n + z * before.hidden, before.hidden, real)
    return Moment(hidden, None, dict(zip(GATES["gru"], (r, z, n), strict=True)))


def _held(after: Tensor, before: Tensor, real: Tensor | None) -> Tensor:
    return after if real is None else torch.where(real, after, before)


def cell_of(core: nn.RNNBase, stack: int = 0, backward: bool = False) -> Cell:
    """One cell of torch's fused layer: of its layer `stack`, counted from the input. The weights are not copied."""
    suffix = f"_l{stack}{'_reverse' * backward}"
    weights = [getattr(core, f"weight_{part}{suffix}") for part in ("ih", "hh")]
    zeros = weights[0].new_zeros(len(weights[0]))
    biases = [getattr(core, f"bias_{part}{suffix}") if core.bias else zeros for part in ("ih", "hh")]
    activation = torch.relu if core.mode == "RNN_RELU" else torch.tanh
    return Cell(KINDS[core.mode], weights[0], weights[1], biases[0], biases[1], activation)


def unroll(
    cell: Cell, x: Tensor, real: Tensor | None = None, backward: bool = False, tick: Tick = _quietly
) -> list[Moment]:
    """The cell over x [batch, step, feature]: the moment at every position.

    Where `real` [batch, step] is False the state stays as it was, so that a backward cell begins at the last real step.
    """
    now = cell.start(len(x))
    found: dict[int, Moment] = {}
    for t in reversed(range(x.shape[1])) if backward else range(x.shape[1]):
        now = found[t] = cell.step(x[:, t], now, None if real is None else real[:, t, None])
        tick()
    return [found[t] for t in range(x.shape[1])]


def lowest(core: nn.RNNBase, count: int) -> nn.RNNBase:
    """The `count` lowest of the layers stacked in torch's fused layer, with the same weights."""
    kind: Any = type(core)
    more = {"nonlinearity": core.mode[4:].lower()} if KINDS[core.mode] == "rnn" else {}
    with torch.device("meta"):  # nothing is drawn: the weights come below
        made = kind(
            core.input_size,
            core.hidden_size,
            count,
            batch_first=True,
            bidirectional=core.bidirectional,
            bias=core.bias,
            **more,
        )
    weights = core.state_dict()
    made.load_state_dict({name: weights[name] for name in made.state_dict()}, assign=True)
    return made.requires_grad_(False)


def real_steps(mask: Tensor) -> Tensor:
    """[batch, step]: True up to the last True of the mask, at least at the first step."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return places <= (mask * places).amax(1, keepdim=True)


class Unrolled(nn.Module):
    """A recurrent layer of ours, by hand: the same call, the same hidden states at real steps.

    `moments[stack, backward]` holds what the last call saw at every position; `output` is what it gave.
    """

    def __init__(self, core: nn.RNNBase, tick: Tick = _quietly) -> None:
        super().__init__()
        self.core, self.tick = core, tick
        self.moments: dict[tuple[int, bool], list[Moment]] = {}
        self.output = torch.empty(0)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[batch, step, feature] → [batch, step, unit · directions]."""
        real = None if mask is None else real_steps(mask)
        self.moments = {}
        for stack in range(self.core.num_layers):
            for backward in (False, True)[: 1 + self.core.bidirectional]:
                cell = cell_of(self.core, stack, backward)
                self.moments[stack, backward] = unroll(cell, x, real, backward, self.tick)
            x = torch.cat(
                [torch.stack([m.hidden for m in row], 1) for (s, _b), row in self.moments.items() if s == stack], -1
            )
        self.output = x
        return x


# ── as lines of PyTorch ──────────────────────────────────────────────────────

_STEP = {
    "lstm": (
        "i, f, g, o = (x_t @ W.T + b + h @ U.T + d).chunk(4, -1)  # torch's order: input, forget, candidate, output",
        "i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()",
        "c = f * c + i * g",
        "h = o * c.tanh()",
    ),
    "gru": (
        "(gr, gz, gn), (kr, kz, kn) = (x_t @ W.T + b).chunk(3, -1), (h @ U.T + d).chunk(3, -1)",
        "r, z = (gr + kr).sigmoid(), (gz + kz).sigmoid()  # torch's order: reset, update, new",
        "n = (gn + r * kn).tanh()",
        "h = (1 - z) * n + z * h",
    ),
}


def source(core: nn.RNNBase, stack: int, backward: bool, kept: str) -> str:
    """A class Unrolled of plain PyTorch that stands in for the layer; `kept` is a row per step of the chosen cell.

    `kept` is text of Python over the names of the equations above, such as "(h, c, i, f, g, o)".
    """
    kind = KINDS[core.mode]
    step = _STEP.get(kind, (f"h = torch.{'relu' if core.mode == 'RNN_RELU' else 'tanh'}(x_t @ W.T + b + h @ U.T + d)",))
    ends = ("", "_reverse")[: 1 + core.bidirectional]
    chosen = f"l{stack}{'_reverse' * backward}"
    lines = [
        "kept = {}  # position → what is looked at there",
        "",
        "",
        "class Unrolled(nn.Module):",
        '    """The recurrent layer, one step after the other."""',
        "",
        "    def __init__(self, core):",
        "        super().__init__()",
        "        self.core = core",
        "",
        "    def forward(self, x, mask=None):",
        "        steps = x.shape[1]",
        "        if mask is not None:  # padding stands at the end: leave it out",
        "            x = x[:, : int((mask[0] * torch.arange(1, x.shape[1] + 1)).max().clamp(min=1))]",
        f"        for stack in range({core.num_layers}):",
        "            sides = []",
        f"            for end in {ends!r}:",
        '                W, U, b, d = (getattr(self.core, f"{name}_l{stack}{end}")',
        '                              for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))',
        "                h = c = torch.zeros(1, U.shape[1], dtype=x.dtype, requires_grad=True)",
        "                row = {}",
        "                for t in reversed(range(x.shape[1])) if end else range(x.shape[1]):",
        "                    x_t = x[:, t]",
        *(f"                    {line}" for line in step),
        "                    row[t] = h",
        f'                    if f"l{{stack}}{{end}}" == "{chosen}":',
        f"                        kept[t] = {kept}",
        "                sides.append(torch.stack([row[t] for t in range(x.shape[1])], 1))",
        "            x = torch.cat(sides, -1)",
        "        return F.pad(x, (0, 0, 0, steps - x.shape[1]))",
    ]
    return "\n".join(lines)
