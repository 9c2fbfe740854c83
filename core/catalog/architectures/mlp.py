"""A multilayer perceptron: every pixel into every unit, no idea of neighbourhood."""

from dataclasses import dataclass

from core.catalog.architectures._layers import ACTIVATIONS, Stack
from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Mlp(Options):
    """Options of the perceptron."""

    hidden: tuple[int, ...] = option((64,), _("Units of each hidden layer."), low=1, high=8192, unit=_("units"))
    activation: str = option("relu", _("The function after each hidden layer."), choices=ACTIVATIONS)
    dropout: float = option(
        0.0, _("Share of hidden values dropped while training."), low=0.0, high=0.95, unit=_("share")
    )


def layers(o: Mlp, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    stack.add("flatten", "flatten")
    for units in o.hidden:
        stack.add("linear", features=units)
        stack.add(o.activation)
        if o.dropout:
            stack.add("dropout", p=o.dropout)
    return stack.head(data)


ENTRY = Architecture(
    name="mlp",
    title=_("multilayer perceptron"),
    options=Mlp,
    layers=layers,
    takes=(PICTURE, SEQUENCE, VECTOR),
    recommended={"lr": 0.003},
    examples=(Mlp(), Mlp(hidden=(32, 16), activation="tanh", dropout=0.2)),
    order=1,
)
