"""Recurrent classifiers: the sequence goes through recurrent layers; one step of the last is read out."""

from dataclasses import dataclass
from typing import Any

from core.catalog.architectures._layers import Stack
from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, Architecture, DataForm
from core.options import Options, _, option
from core.specs import LayerSpec


@dataclass(frozen=True)
class Recurrent(Options):
    """Options of a recurrent classifier."""

    hidden: int = option(64, _("Size of the hidden state."), low=1, high=2048, unit=_("units"))
    layers: int = option(1, _("Recurrent layers on top of each other."), low=1, high=8, unit=_("layers"))
    read_out: str = option("last", _("Which steps are read: the last real one, or the mean or maximum of all."),
                           label=_("read-out"), choices=("last", "mean", "max"))  # fmt: skip


@dataclass(frozen=True)
class Vanilla(Recurrent):
    """Options of a vanilla recurrent classifier."""

    nonlinearity: str = option("tanh", _("The function of the state."), choices=("tanh", "relu"))


def entry(kind: str, title: str, options: type[Recurrent], order: int) -> Architecture:
    """The classifier with layers of `kind`: rnn, lstm, gru."""

    def layers(o: Any, data: DataForm) -> tuple[LayerSpec, ...]:
        stack = Stack()
        stack.as_sequence(data, width=32)
        extra = {"nonlinearity": o.nonlinearity} if hasattr(o, "nonlinearity") else {}
        stack.add(kind, kind, hidden=o.hidden, layers=o.layers, **extra)
        stack.add("read_out", "read_out", take=o.read_out)
        return stack.head(data)

    return Architecture(
        name=kind,
        title=title,
        options=options,
        layers=layers,
        takes=(PICTURE, SEQUENCE, TOKENS),
        recommended={"lr": 0.005, "clip_norm": 1.0, "schedule": "cosine"},
        examples=(options(), options(hidden=8, layers=2, read_out="mean")),
        order=order,
    )
