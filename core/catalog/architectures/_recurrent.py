"""Recurrent networks: the sequence goes through recurrent layers; what they end with, or every step, is answered."""

from dataclasses import dataclass, fields
from typing import Any

from core.catalog.architectures._layers import Stack
from core.catalog.entries import EACH_STEP, PICTURE, SEQUENCE, TASKS, TOKENS, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Recurrent(Options):
    """Options of a recurrent network."""

    hidden: int = option(64, _("Size of the hidden state."), low=1, high=2048, unit=_("units"))
    layers: int = option(1, _("Recurrent layers on top of each other."), low=1, high=8, unit=_("layers"))
    read_out: str = option(
        "last",
        _("Which steps are read: the last real one, or the mean or maximum of all."),
        label=_("read-out"),
        choices=("last", "mean", "max"),
    )
    bidirectional: bool = option(
        False, _("Read the row from both ends. Not where the next token is asked for: it would have been seen.")
    )


@dataclass(frozen=True)
class Vanilla(Recurrent):
    """Options of a vanilla recurrent network."""

    nonlinearity: str = option("tanh", _("The function of the state."), choices=("tanh", "relu"))
    init: str = option(
        "default",
        _("How the recurrent weights start: torch's own, orthogonal times a gain, identity."),
        label=_("start"),
        choices=("default", "orthogonal", "identity"),
    )
    gain: float = option(
        1.0,
        _("What the orthogonal start is multiplied by."),
        low=0.0,
        high=10.0,
        unit=_("(factor)"),
        applies=lambda o: o.init == "orthogonal",
    )


@dataclass(frozen=True)
class Irnn(Vanilla):
    """Options of an IRNN."""

    hidden: int = option(100, _("Size of the hidden state."), low=1, high=2048, unit=_("units"))
    nonlinearity: str = option("relu", _("The function of the state."), choices=("tanh", "relu"))
    init: str = option(
        "identity",
        _("How the recurrent weights start: the identity keeps the state as it is."),
        label=_("start"),
        choices=("default", "orthogonal", "identity"),
    )


@dataclass(frozen=True)
class Lstm(Recurrent):
    """Options of an LSTM network."""

    forget_bias: float = option(
        0.0,
        _("What the forget gate's bias starts at; higher remembers longer, 0 leaves torch's own start."),
        label=_("forget bias"),
        low=0.0,
        high=10.0,
        unit=_("(logit)"),
    )


def entry(
    kind: str, title: str, options: type[Recurrent], order: int, name: str = "", lr: float = 0.005
) -> Architecture:
    """The network with layers of `kind`: rnn, lstm, gru."""

    def layers(o: Any, data: DataForm) -> tuple[LayerSpec, ...]:
        stack = Stack()
        stack.as_sequence(data, width=32)
        stack.add(kind, kind, **{f.name: getattr(o, f.name) for f in fields(o) if f.name != "read_out"})
        if data.task != EACH_STEP:
            ends = o.bidirectional and o.read_out == "last"
            stack.add("read_out", "read_out", take="both_ends" if ends else o.read_out)
        return stack.head(data)

    return Architecture(
        name=name or kind,
        title=title,
        options=options,
        layers=layers,
        takes=(PICTURE, SEQUENCE, TOKENS),
        tasks=tuple(TASKS),
        recommended={"lr": lr, "clip_norm": 1.0, "schedule": "cosine"},
        examples=(
            options(),
            options(hidden=8, layers=2, read_out="mean"),
            options(hidden=4, layers=2, bidirectional=True),
        ),
        order=order,
    )
