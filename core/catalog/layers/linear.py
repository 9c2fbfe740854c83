"""Linear: every output is a weighted sum of all inputs plus a bias. On a sequence it acts on each step alike."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Linear(Options):
    """Options of a linear layer."""

    features: int = option(64, _("Number of outputs."), low=1, high=65_536, unit=_("features"))
    bias: bool = option(True, _("Adds one number per output."))


ENTRY = Layer(
    name="linear",
    title=_("linear"),
    module="torch.nn:Linear",
    takes=(VECTOR, SEQUENCE),
    options=Linear,
    arguments=lambda o, form: {"in_features": form.shape[-1], "out_features": o.features, "bias": o.bias},
    examples=((Linear(), Form(VECTOR, (12,))), (Linear(features=3, bias=False), Form(SEQUENCE, (5, 8)))),
    order=14,
)
