"""The activation SiLU: x · sigmoid(x), also called swish (Elfwing 2017, Ramachandran 2017)."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="silu",
    title=_("SiLU"),
    module="torch.nn:SiLU",
    takes=(PICTURE, SEQUENCE, VECTOR),
    examples=((Options(), Form(PICTURE, (2, 4, 4))), (Options(), Form(VECTOR, (8,)))),
    order=7,
)
