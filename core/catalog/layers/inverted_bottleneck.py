"""Inverted bottleneck (Sandler 2018, MobileNetV2; Tan & Le 2019, EfficientNet): wide inside, narrow between the blocks.

The receptive field is that of the depthwise kernel; the gate of squeeze-excitation looks at whole maps besides.
"""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Form, Layer, Window
from core.catalog.layers._windows import even_kernel
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class InvertedBottleneck(Options):
    """Options of an inverted bottleneck."""

    channels: int = option(16, _("Number of feature maps it makes."), low=1, high=4096, unit=_("maps"))
    expand: int = option(4, _("How many times wider the block is inside."), low=1, high=12, unit="×")
    kernel: int = option(3, _("Side of the depthwise kernels; it must be odd."), low=1, high=31, unit=_("pixels"))
    stride: int = option(1, _("Stride of the depthwise convolution."), low=1, high=8, unit=_("pixels"))
    squeeze: bool = option(
        True,
        _("Squeeze-excitation: each map is scaled by a gate made from all maps' means."),
        label=_("squeeze-excitation"),
    )
    activation: str = option(
        "silu", _("The function inside: SiLU as in EfficientNet, ReLU6 as in MobileNetV2."), choices=("silu", "relu6")
    )


ENTRY = Layer(
    name="inverted_bottleneck",
    title=_("inverted bottleneck"),
    module="core.worker.model.modules.blocks:InvertedBottleneck",
    takes=(PICTURE,),
    options=InvertedBottleneck,
    arguments=lambda o, form: {
        "in_channels": form.shape[0],
        "channels": o.channels,
        "expand": o.expand,
        "kernel": o.kernel,
        "stride": o.stride,
        "squeeze": o.squeeze,
        "activation": o.activation,
    },
    fault=lambda o, _form: even_kernel(o.kernel),
    windows=lambda o: (Window(o.kernel, o.stride),),
    examples=(
        (InvertedBottleneck(channels=8), Form(PICTURE, (8, 9, 9))),
        (
            InvertedBottleneck(channels=6, expand=1, kernel=5, stride=2, squeeze=False, activation="relu6"),
            Form(PICTURE, (4, 9, 8)),
        ),
    ),
    order=18,
)
