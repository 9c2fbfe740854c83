"""The activation GELU: x times the share of a normal distribution that lies below x (Hendrycks & Gimpel 2016)."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="gelu",
    title=_("GELU"),
    module="torch.nn:GELU",
    takes=(PICTURE, SEQUENCE, VECTOR),
    examples=((Options(), Form(PICTURE, (2, 4, 4))), (Options(), Form(VECTOR, (8,)))),
    order=6,
)
