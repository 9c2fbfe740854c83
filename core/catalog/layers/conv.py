"""Convolution: a small kernel slides over the picture; every place shares its weights."""

import math
from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer, Window
from core.catalog.layers import _windows
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence, counted


@dataclass(frozen=True)
class Conv(Options):
    """Options of a convolution."""

    channels: int = option(16, _("Number of kernels, and so of feature maps."), low=1, high=8192, unit=_("maps"))
    kernel: int = option(3, _("Side of the square kernel."), low=1, high=255, unit=_("pixels"))
    stride: int = option(1, _("How far the kernel moves between two outputs."), low=1, high=255, unit=_("pixels"))
    padding: int = option(1, _("Zeros added at each border."), low=0, high=255, unit=_("pixels"))
    bias: bool = option(True, _("Adds one number per map; not needed before a batch norm."))
    dilation: int = option(
        1,
        _("Step between two cells of the kernel; above 1 it has gaps and sees further."),
        low=1,
        high=64,
        unit=_("pixels"),
    )
    groups: int = option(
        1,
        _("Parts of the maps that are convolved apart; as many as there are maps makes it depthwise."),
        low=1,
        high=8192,
        unit=_("groups"),
    )


def arguments(o: Conv, form: Form) -> dict[str, object]:
    return {
        "in_channels": form.shape[0],
        "out_channels": o.channels,
        "kernel_size": o.kernel,
        "stride": o.stride,
        "padding": o.padding,
        "dilation": o.dilation,
        "groups": o.groups,
        "bias": o.bias,
    }


def fault(o: Conv, form: Form) -> Fault | None:
    channels = form.shape[0]
    if channels % o.groups or o.channels % o.groups:
        best = _windows.divisor(math.gcd(channels, o.channels), o.groups)
        return Fault(
            Sentence(
                "{groups} groups must divide both the {channels} maps it gets and the {made} it makes",
                groups=o.groups,
                channels=channels,
                made=o.channels,
            ),
            counted("use {n} group", "use {n} groups", n=best),
            options={"groups": best},
        )
    return _kernel_fault(o, form)


def _kernel_fault(o: Conv, form: Form) -> Fault | None:
    _channels, height, width = form.shape
    side = o.dilation * (o.kernel - 1) + 1  # pixels from one end of the kernel to the other
    need = side - 2 * o.padding
    if min(height, width) >= need:
        return None
    gaps = Sentence(" with dilation {dilation}", dilation=o.dilation) if o.dilation > 1 else ""
    message = Sentence(
        "a {kernel}×{kernel} kernel{gaps} and padding {padding} needs at least {need}×{need} pixels, but "
        "gets {height}×{width}",
        kernel=o.kernel,
        gaps=gaps,
        padding=o.padding,
        need=need,
        height=height,
        width=width,
    )
    padding = -(-(side - min(height, width)) // 2)
    if padding <= 255:
        return Fault(message, Sentence("set padding to {padding}", padding=padding), options={"padding": padding})
    change = {"kernel": 3, "padding": 1, "dilation": 1}
    return Fault(message, _("use a kernel of 3 with padding 1 and no dilation"), options=change)


ENTRY = Layer(
    name="conv",
    title=_("convolution"),
    module="torch.nn:Conv2d",
    takes=(PICTURE,),
    options=Conv,
    arguments=arguments,
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.stride, o.dilation),),
    examples=(
        (Conv(), Form(PICTURE, (1, 28, 28))),
        (Conv(channels=4, kernel=5, stride=2, padding=0, bias=False), Form(PICTURE, (3, 9, 11))),
        (Conv(channels=6, padding=2, dilation=2, groups=3), Form(PICTURE, (3, 9, 11))),
    ),
    order=1,
)
