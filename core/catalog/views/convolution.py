"""Convolution up close: one output cell of a convolution as the arithmetic that makes it."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, View
from core.spec.facts import AboutSample
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


# With k×l the kernel and g the input maps that the cell's group reads (all of them in a plain convolution):
INPUT = "input"  # [in_channel, height, width]: what the convolution gets, without padding
OUTPUT = "output"  # [out_channel, height, width]: what it gives
PATCH = "patch"  # [g, k, l]: the values under the kernel; those of the padding included
PADDING = "padding"  # [k, l] bool: which of these places lie outside the input
KERNEL, PRODUCTS = "kernel", "products"  # [g, k, l]: products = patch · kernel
CONTRIBUTIONS = "contributions"  # [g]: the sum of each input map's products
CHANNELS = "channels"  # [g] int: which input map each row of these four is
ORDER = "order"  # [g] int: rows by |contribution|, the largest first
ROWS, COLUMNS = "rows", "columns"  # [k], [l] int: where in the input the window's places lie; outside it in the padding
SUM, BIAS, VALUE = "sum", "bias", "value"  # []: the sum of all products, what is added, and both together
RECEPTIVE_FIELD = "receptive_field"  # [height, width] bool: pixels of the network's input that the cell can depend on


@dataclass(frozen=True, kw_only=True)
class Following:
    """A norm or an activation that takes exactly what the convolution gives, and what it makes of the cell."""

    address: str
    kind: str
    value: float
    scale: float | None = None  # of a batch norm: the cell is multiplied by it, and …
    shift: float = 0.0  # … this is added


@dataclass(frozen=True, kw_only=True)
class ConvolutionFacts(AboutSample):
    """Which convolution, which cell, and how it was computed."""

    address: str  # of the convolution
    inner: list[str]  # those of the chosen layer, named below it; [] where the layer is one
    chosen: str  # one of inner, or ""
    map: int
    row: int
    column: int
    maps: int  # of the output
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, int, int, int]  # left, right, top, bottom
    padding_mode: str
    groups: int
    has_bias: bool
    listed: int  # how many rows a page shows
    rest: float  # the sum of the other rows
    padded: int  # how many places of the window are padding
    difference: float  # |value − the layer's own output|
    agrees: bool  # is that a rounding?
    reads_input: bool  # does it get the network's input itself?
    after: list[Following]  # up to the next thing that is not a norm or an activation
    then: str  # what comes after that, in a sentence, or ""


ENTRY = View(
    name="convolution",
    title=_("Convolution up close"),
    look="core.worker.look.convolution:look",
    needs=_(
        "This model has no convolution, so there is no kernel that slides over a picture. "
        "The presets cnn, lenet and the resnets have some, and vit has one: the patches it cuts."
    ),
    options=Convolution,
    facts=ConvolutionFacts,
    arrays=(
        *(INPUT, OUTPUT, PATCH, PADDING, KERNEL, PRODUCTS, CONTRIBUTIONS, CHANNELS, ORDER, ROWS, COLUMNS),
        *(SUM, BIAS, VALUE, RECEPTIVE_FIELD),
    ),
    applies=lambda layers, form: bool(with_convolution(layers, form)),
    layers=with_convolution,
    examples=(Convolution(), Convolution(map=1, row=0, column=0), Convolution(map=2, row=3, column=4, inner="conv2")),
    order=20,
)
