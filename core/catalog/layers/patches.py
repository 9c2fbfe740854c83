"""Patch embedding (Dosovitskiy 2020): the picture is cut into squares, each of which becomes one vector."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, SEQUENCE, Fault, Form, Layer
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence


@dataclass(frozen=True)
class Patches(Options):
    """Options of a patch embedding."""

    size: int = option(4, _("Side of a patch."), low=1, high=64, unit=_("pixels"))
    width: int = option(64, _("Size of each patch's vector."), low=1, high=4096, unit=_("features"))


def fault(o: Patches, form: Form) -> Fault | None:
    _channels, height, width = form.shape
    if height % o.size == 0 and width % o.size == 0:
        return None
    fits = [s for s in range(1, 65) if height % s == 0 and width % s == 0]
    best = min(fits, key=lambda s: abs(s - o.size))
    message = Sentence(
        "patches of {size}×{size} do not tile {height}×{width} pixels", size=o.size, height=height, width=width
    )
    return Fault(message, Sentence("use patches of {best}×{best}", best=best), options={"size": best})


ENTRY = Layer(
    name="patches",
    title=_("patch embedding"),
    module="core.worker.model.modules.shapes:Patches",
    takes=(PICTURE,),
    gives=SEQUENCE,
    options=Patches,
    arguments=lambda o, form: {"in_channels": form.shape[0], "size": o.size, "width": o.width},
    fault=fault,
    examples=((Patches(size=4, width=6), Form(PICTURE, (1, 8, 12))),),
    order=31,
)
