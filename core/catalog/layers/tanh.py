"""The activation tanh: squeezes every value between −1 and 1."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="tanh",
    title=_("tanh"),
    module="torch.nn:Tanh",
    takes=(PICTURE, SEQUENCE, VECTOR),
    examples=((Options(), Form(PICTURE, (2, 4, 4))), (Options(), Form(VECTOR, (8,)))),
    order=8,
)
