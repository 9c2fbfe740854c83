"""Read-out: from one vector per step to one vector; padding is never read."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, VECTOR, Form, Layer
from core.options import Options, _, option


@dataclass(frozen=True)
class ReadOut(Options):
    """Options of the read-out."""

    take: str = option(
        "last",
        _("Which steps are read: the last real one, the first (a class token), or the mean or maximum of all."),
        choices=("last", "first", "mean", "max"),
    )


ENTRY = Layer(
    name="read_out",
    title=_("read-out"),
    module="core.modules.shapes:ReadOut",
    takes=(SEQUENCE,),
    gives=VECTOR,
    options=ReadOut,
    arguments=lambda o, _form: {"take": o.take},
    masked=True,
    examples=tuple((ReadOut(take=t), Form(SEQUENCE, (5, 4))) for t in ("last", "first", "mean", "max")),
    order=24,
)
