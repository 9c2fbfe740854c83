"""Residual block (He 2015): two 3×3 convolutions whose result is added to what came in."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer, Window
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence


@dataclass(frozen=True)
class Residual(Options):
    """Options of a residual block."""

    channels: int = option(16, _("Number of feature maps."), low=1, high=4096, unit=_("maps"))
    stride: int = option(1, _("Stride of the first convolution."), low=1, high=8, unit=_("pixels"))
    shortcut: str = option(
        "padded",
        _(
            "How the input reaches the sum when its shape changes: padded with zero maps (He's option A), or by a "
            "1×1 convolution (option B, projection); none leaves the shortcut out."
        ),
        choices=("padded", "projection", "none"),
    )


def arguments(o: Residual, form: Form) -> dict[str, object]:
    return {"in_channels": form.shape[0], "channels": o.channels, "stride": o.stride, "shortcut": o.shortcut}


def fault(o: Residual, form: Form) -> Fault | None:
    if o.shortcut != "padded" or o.channels >= form.shape[0]:
        return None
    return Fault(
        Sentence(
            "a padded shortcut cannot go from {gets} maps to the fewer {channels}",
            gets=form.shape[0],
            channels=o.channels,
        ),
        _("use a projection shortcut"),
        options={"shortcut": "projection"},
    )


ENTRY = Layer(
    name="residual",
    title=_("residual block"),
    module="core.worker.model.modules.residual:Residual",
    takes=(PICTURE,),
    options=Residual,
    arguments=arguments,
    fault=fault,
    windows=lambda o: (Window(3, o.stride), Window(3)),
    examples=(
        (Residual(), Form(PICTURE, (16, 8, 8))),
        (Residual(channels=32, stride=2), Form(PICTURE, (16, 9, 9))),
        (Residual(channels=8, stride=2, shortcut="projection"), Form(PICTURE, (16, 8, 8))),
        (Residual(channels=8, shortcut="none"), Form(PICTURE, (16, 8, 8))),
    ),
    order=16,
)
