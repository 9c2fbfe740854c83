"""Convolution up close: one output cell of a convolution as the arithmetic that makes it."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, View
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec

KINDS = ("conv", "residual", "depthwise_separable", "inverted_bottleneck", "patches")  # that contain a convolution
LARGEST = -1  # the row or column at which the map is largest, away from the padding


@dataclass(frozen=True)
class Convolution(Options):
    """Options of one cell of a convolution."""

    map: int = option(
        0, _("Which of the maps that the convolution makes."), low=0, high=8191, unit=_("map"), place_in=NETWORK
    )
    row: int = option(
        LARGEST,
        _("Row of the cell, from 0 at the top; −1: where the map is largest, away from the padding."),
        low=LARGEST,
        high=4095,
        unit=_("row"),
        auto=_("of the largest"),
        place_in=NETWORK,
    )
    column: int = option(
        LARGEST,
        _("Column of the cell, from 0 at the left; −1: where the map is largest, away from the padding."),
        low=LARGEST,
        high=4095,
        unit=_("column"),
        auto=_("of the largest"),
        place_in=NETWORK,
    )
    inner: str = option(
        "",
        _("Inside a block: which of its convolutions, such as conv2; empty: the first."),
        label=_("inside the block"),
        applies=lambda _o: False,  # the page offers those that there are
        place_in=NETWORK,
    )


def with_convolution(layers: tuple[LayerSpec, ...], form: DataForm) -> tuple[str, ...]:
    """The layers that are or contain a convolution over pictures."""
    return tuple(layer.name for layer in layers if layer.kind in KINDS) if form.kind == PICTURE else ()


ENTRY = View(
    "convolution",
    _("Convolution up close"),
    "core.worker.look.convolution:look",
    needs=_(
        "This model has no convolution, so there is no kernel that slides over a picture. "
        "The presets cnn, lenet and the resnets have some, and vit has one: the patches it cuts."
    ),
    options=Convolution,
    applies=lambda layers, form: bool(with_convolution(layers, form)),
    layers=with_convolution,
    examples=(Convolution(), Convolution(map=1, row=0, column=0), Convolution(map=2, row=3, column=4, inner="conv2")),
    order=20,
)
