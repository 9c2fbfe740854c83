"""Vision Transformer (Dosovitskiy 2020), small: patches of the picture attend to each other."""

from dataclasses import dataclass

from core.catalog.architectures import _attention
from core.catalog.architectures._layers import Stack
from core.catalog.entries import PICTURE, Architecture, DataForm
from core.spec.options import _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Vit(_attention.Blocks):
    """Options of the Vision Transformer."""

    width: int = option(64, _("Size of the vector of each patch."), low=2, high=2048, unit=_("features"))
    patch: int = option(4, _("Side of a patch; it must divide the picture's side."), low=1, high=64, unit=_("pixels"))
    read_out: str = option(
        "class_token",
        _("What the head reads: the mean of all patches, or a class token."),
        label=_("read-out"),
        choices=("mean", "class_token"),
    )


def layers(o: Vit, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    stack.add("patches", "patches", size=o.patch, width=o.width)
    return _attention.finish(stack, o, data)


ENTRY = Architecture(
    name="vit",
    title=_("Vision Transformer"),
    options=Vit,
    layers=layers,
    takes=(PICTURE,),
    recommended={"lr": 0.002, "schedule": "one_cycle", "weight_decay": 0.01},
    examples=(Vit(), Vit(width=8, heads=2, layers=1, patch=2, read_out="mean")),
    order=41,
)
