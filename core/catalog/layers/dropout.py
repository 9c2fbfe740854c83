"""Dropout (Srivastava 2014): while training, a random part of the values is set to zero and the rest scaled up."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Dropout(Options):
    """Options of dropout."""

    p: float = option(0.5, _("Share of values that are dropped."), label=_("drop"), low=0.0, high=0.95, unit=_("share"))


ENTRY = Layer(
    name="dropout",
    title=_("dropout"),
    module="torch.nn:Dropout",
    takes=(PICTURE, SEQUENCE, VECTOR),
    options=Dropout,
    arguments=lambda o, _form: {"p": o.p},
    examples=((Dropout(), Form(VECTOR, (8,))),),
    order=15,
)
