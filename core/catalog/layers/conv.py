"""Convolution: a small kernel slides over the picture; every place shares its weights."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer, Window
from core.options import Options, _, option


@dataclass(frozen=True)
class Conv(Options):
    """Options of a convolution."""

    channels: int = option(16, _("Number of kernels, and so of feature maps."), low=1, high=8192, unit=_("maps"))
    kernel: int = option(3, _("Side of the square kernel."), low=1, high=255, unit=_("pixels"))
    stride: int = option(1, _("How far the kernel moves between two outputs."), low=1, high=255, unit=_("pixels"))
    padding: int = option(1, _("Zeros added at each border."), low=0, high=255, unit=_("pixels"))
    bias: bool = option(True, _("Adds one number per map; not needed before a batch norm."))


def arguments(o: Conv, form: Form) -> dict[str, object]:
    return {
        "in_channels": form.shape[0], "out_channels": o.channels, "kernel_size": o.kernel, "stride": o.stride,
        "padding": o.padding, "bias": o.bias,
    }  # fmt: skip


def fault(o: Conv, form: Form) -> Fault | None:
    _channels, height, width = form.shape
    need = o.kernel - 2 * o.padding
    if min(height, width) >= need:
        return None
    return Fault(
        f"a {o.kernel}×{o.kernel} kernel with padding {o.padding} needs at least {need}×{need} pixels, "
        f"but gets {height}×{width}",
        f"set padding to {-(-(o.kernel - min(height, width)) // 2)}, or use a kernel of 3 with padding 1",
    )


ENTRY = Layer(
    name="conv",
    title=_("convolution"),
    module="torch.nn:Conv2d",
    takes=(PICTURE,),
    options=Conv,
    arguments=arguments,
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.stride),),
    examples=(
        (Conv(), Form(PICTURE, (1, 28, 28))),
        (Conv(channels=4, kernel=5, stride=2, padding=0, bias=False), Form(PICTURE, (3, 9, 11))),
    ),
    order=1,
)
