"""A small convolutional network: convolution, batch norm, ReLU and pooling, a few times over; then one linear layer."""

from dataclasses import dataclass

from core.catalog.architectures._layers import Stack
from core.catalog.entries import PICTURE, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Cnn(Options):
    """Options of the small convolutional network."""

    channels: tuple[int, ...] = option(
        (16, 32), _("Feature maps of each stage; each stage halves the picture."), low=1, high=2048, unit=_("maps")
    )
    kernel: int = option(
        3, _("Side of the kernels (odd, so that the picture keeps its size)."), low=1, high=15, unit=_("pixels")
    )
    batch_norm: bool = option(True, _("Normalise each map before the ReLU."), label=_("batch norm"))
    dropout: float = option(
        0.0, _("Share of values dropped before the last layer."), low=0.0, high=0.95, unit=_("share")
    )
    head: str = option(
        "flatten",
        _("What the last layer reads: every place of every map, or each map's mean."),
        choices=("flatten", "global_pool"),
    )


def layers(o: Cnn, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    for channels in o.channels:
        stack.add("conv", channels=channels, kernel=o.kernel, padding=o.kernel // 2, bias=not o.batch_norm)
        if o.batch_norm:
            stack.add("batch_norm")
        stack.add("relu")
        stack.add("max_pool", kernel=2)
    stack.add(o.head, o.head)
    if o.dropout:
        stack.add("dropout", p=o.dropout)
    return stack.head(data)


ENTRY = Architecture(
    name="cnn",
    title=_("small CNN"),
    options=Cnn,
    layers=layers,
    takes=(PICTURE,),
    recommended={"lr": 0.005, "schedule": "one_cycle"},
    examples=(Cnn(), Cnn(channels=(8,), kernel=5, batch_norm=False, dropout=0.1, head="global_pool")),
    order=0,
)
