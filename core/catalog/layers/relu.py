"""The activation ReLU: max(0, x)."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="relu",
    title=_("ReLU"),
    module="torch.nn:ReLU",
    takes=(PICTURE, SEQUENCE, VECTOR),
    examples=((Options(), Form(PICTURE, (2, 4, 4))), (Options(), Form(VECTOR, (8,)))),
    order=4,
)
