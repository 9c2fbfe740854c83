"""Max pooling: of every window only the largest value goes on."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer, Window
from core.options import Options, _, option


@dataclass(frozen=True)
class MaxPool(Options):
    """Options of max pooling; the stride equals the window."""

    kernel: int = option(2, _("Side of the square window."), low=1, high=64, unit=_("pixels"))


def fault(o: MaxPool, form: Form) -> Fault | None:
    _channels, height, width = form.shape
    if min(height, width) >= o.kernel:
        return None
    return Fault(
        f"a {o.kernel}×{o.kernel} window needs at least {o.kernel}×{o.kernel} pixels, but gets {height}×{width}",
        f"use a window of {min(height, width)}, or remove this layer",
    )


ENTRY = Layer(
    name="max_pool",
    title=_("max pooling"),
    module="torch.nn:MaxPool2d",
    takes=(PICTURE,),
    options=MaxPool,
    arguments=lambda o, _form: {"kernel_size": o.kernel},
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.kernel),),
    examples=((MaxPool(), Form(PICTURE, (2, 7, 8))),),
    order=7,
)
