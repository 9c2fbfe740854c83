"""Max pooling: of every window only the largest value goes on."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer, Window
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence


@dataclass(frozen=True)
class Pool(Options):
    """Options of pooling."""

    kernel: int = option(2, _("Side of the square window."), low=1, high=64, unit=_("pixels"))
    stride: int = option(
        0,
        _("How far the window moves; 0 means by its own side, so that windows do not overlap."),
        low=0,
        high=64,
        unit=_("pixels"),
    )
    padding: int = option(
        0,
        _("Border added at each side, at most half the window; it is never the maximum."),
        low=0,
        high=32,
        unit=_("pixels"),
    )


def arguments(o: Pool, _form: Form) -> dict[str, object]:
    return {"kernel_size": o.kernel, "stride": o.stride or o.kernel, "padding": o.padding}


def fault(o: Pool, form: Form) -> Fault | None:
    _channels, height, width = form.shape
    if o.padding > o.kernel // 2:
        half = o.kernel // 2
        return Fault(
            Sentence(
                "padding {padding} is more than half of the {kernel}×{kernel} window, which may be {half}",
                padding=o.padding,
                kernel=o.kernel,
                half=half,
            ),
            Sentence("set padding to {half}", half=half),
            options={"padding": half},
        )
    side, need = min(height, width), o.kernel - 2 * o.padding
    if side >= need:
        return None
    border = Sentence(" with padding {padding}", padding=o.padding) if o.padding else ""
    window = Sentence("a {kernel}×{kernel} window{border}", kernel=o.kernel, border=border)
    message = Sentence(
        "{window} needs at least {need}×{need} pixels, but gets {height}×{width}",
        window=window,
        need=need,
        height=height,
        width=width,
    )
    if side == 1:
        return Fault(message, _("remove this layer"), remove=True)
    return Fault(message, Sentence("use a window of {side}", side=side), options={"kernel": side, "padding": 0})


ENTRY = Layer(
    name="max_pool",
    title=_("max pooling"),
    module="torch.nn:MaxPool2d",
    takes=(PICTURE,),
    options=Pool,
    arguments=arguments,
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.stride or o.kernel),),
    examples=(
        (Pool(), Form(PICTURE, (2, 7, 8))),
        (Pool(kernel=3, stride=2, padding=1), Form(PICTURE, (2, 7, 8))),
    ),
    order=10,
)
