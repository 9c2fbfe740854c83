"""LeNet-5 (LeCun 1998) as it is taught today: two 5×5 convolutions with pooling, then three linear layers."""

from dataclasses import dataclass

from core.catalog.architectures._layers import ACTIVATIONS, Stack
from core.catalog.entries import PICTURE, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class LeNet(Options):
    """Options of LeNet-5."""

    activation: str = option("relu", _("The function after each layer; tanh in 1998."), choices=ACTIVATIONS)
    pooling: str = option(
        "max_pool", _("How the picture shrinks; by averages in 1998."), choices=("max_pool", "avg_pool")
    )


def layers(o: LeNet, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    for channels, padding in ((6, 2 if data.shape[1] < 32 else 0), (16, 0)):
        stack.add("conv", channels=channels, kernel=5, padding=padding)
        stack.add(o.activation)
        stack.add(o.pooling, kernel=2)
    stack.add("flatten", "flatten")
    for units in (120, 84):
        stack.add("linear", features=units)
        stack.add(o.activation)
    return stack.head(data)


ENTRY = Architecture(
    name="lenet",
    title=_("LeNet-5"),
    options=LeNet,
    layers=layers,
    takes=(PICTURE,),
    recommended={"lr": 0.002},
    examples=(LeNet(), LeNet(activation="tanh", pooling="avg_pool")),
    order=2,
)
