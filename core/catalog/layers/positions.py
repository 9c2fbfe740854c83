"""Positions: a vector for each place is added, because attention alone does not know the order of what it sees."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, Form, Layer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Positions(Options):
    """Options of the positions."""

    code: str = option(
        "learned",
        _("The vectors: learned, or fixed sines and cosines (Vaswani 2017)."),
        choices=("learned", "sinusoidal"),
    )


ENTRY = Layer(
    name="positions",
    title=_("positions"),
    module="core.worker.model.modules.shapes:Positions",
    takes=(SEQUENCE,),
    options=Positions,
    arguments=lambda o, form: {"steps": form.shape[0], "width": form.shape[1], "code": o.code},
    examples=((Positions(), Form(SEQUENCE, (5, 4))), (Positions(code="sinusoidal"), Form(SEQUENCE, (5, 6)))),
    order=33,
)
