"""The activation sigmoid: squeezes every value between 0 and 1."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="sigmoid",
    title=_("sigmoid"),
    module="torch.nn:Sigmoid",
    takes=(PICTURE, SEQUENCE, VECTOR),
    examples=((Options(), Form(PICTURE, (2, 4, 4))), (Options(), Form(VECTOR, (8,)))),
    order=9,
)
