"""Depthwise-separable convolution (Howard 2017, MobileNet): a kernel for each map alone, then 1×1 mixes the maps."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Form, Layer, Window
from core.catalog.layers._windows import even_kernel
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class DepthwiseSeparable(Options):
    """Options of a depthwise-separable convolution."""

    channels: int = option(16, _("Number of feature maps it makes."), low=1, high=8192, unit=_("maps"))
    kernel: int = option(3, _("Side of the depthwise kernels; it must be odd."), low=1, high=31, unit=_("pixels"))
    stride: int = option(1, _("Stride of the depthwise convolution."), low=1, high=8, unit=_("pixels"))


ENTRY = Layer(
    name="depthwise_separable",
    title=_("depthwise-separable convolution"),
    module="core.worker.model.modules.blocks:DepthwiseSeparable",
    takes=(PICTURE,),
    options=DepthwiseSeparable,
    arguments=lambda o, form: {
        "in_channels": form.shape[0],
        "channels": o.channels,
        "kernel": o.kernel,
        "stride": o.stride,
    },
    fault=lambda o, _form: even_kernel(o.kernel),
    windows=lambda o: (Window(o.kernel, o.stride), Window(1)),
    examples=(
        (DepthwiseSeparable(), Form(PICTURE, (3, 9, 9))),
        (DepthwiseSeparable(channels=8, kernel=5, stride=2), Form(PICTURE, (4, 9, 8))),
    ),
    order=17,
)
