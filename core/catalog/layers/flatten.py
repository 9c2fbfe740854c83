"""Flatten: all numbers of a sample in one row."""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="flatten",
    title=_("flatten"),
    module="core.worker.model.modules.shapes:Flatten",
    takes=(PICTURE, SEQUENCE, VECTOR),
    gives=VECTOR,
    examples=((Options(), Form(PICTURE, (4, 7, 7))), (Options(), Form(SEQUENCE, (5, 3)))),
    order=13,
)
