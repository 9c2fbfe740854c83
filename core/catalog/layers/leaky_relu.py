"""The activation leaky ReLU (Maas 2013): negative values go on, scaled down, so that every unit keeps a gradient."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class LeakyReLU(Options):
    """Options of leaky ReLU."""

    slope: float = option(0.01, _("What negative values are multiplied by."), low=0.0, high=1.0, unit=_("(factor)"))


ENTRY = Layer(
    name="leaky_relu",
    title=_("leaky ReLU"),
    module="torch.nn:LeakyReLU",
    takes=(PICTURE, SEQUENCE, VECTOR),
    options=LeakyReLU,
    arguments=lambda o, _form: {"negative_slope": o.slope},
    examples=((LeakyReLU(), Form(PICTURE, (2, 4, 4))), (LeakyReLU(slope=0.2), Form(VECTOR, (8,)))),
    order=5,
)
