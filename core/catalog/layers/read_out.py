"""Read-out: from one vector per step to one vector; padding is never read."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, VECTOR, Fault, Form, Layer
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence


@dataclass(frozen=True)
class ReadOut(Options):
    """Options of the read-out."""

    take: str = option(
        "last",
        _(
            "Which steps are read: the last real one; the first (a class token); the mean or maximum of all; or both "
            "ends, where a bidirectional layer's two states have seen the whole row."
        ),
        choices=("last", "first", "mean", "max", "both_ends"),
    )


def fault(o: ReadOut, form: Form) -> Fault | None:
    if o.take != "both_ends" or form.shape[1] % 2 == 0:
        return None
    return Fault(
        Sentence("both ends need two states a step, but it gets {features} features", features=form.shape[1]),
        _("read the last step"),
        options={"take": "last"},
    )


ENTRY = Layer(
    name="read_out",
    title=_("read-out"),
    module="core.worker.model.modules.shapes:ReadOut",
    takes=(SEQUENCE,),
    gives=VECTOR,
    options=ReadOut,
    arguments=lambda o, _form: {"take": o.take},
    fault=fault,
    masked=True,
    examples=tuple((ReadOut(take=t), Form(SEQUENCE, (5, 4))) for t in ("last", "first", "mean", "max", "both_ends")),
    order=24,
)
