"""Rows as steps: a picture is read row by row, as a sequence."""

from core.catalog.entries import PICTURE, SEQUENCE, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="rows",
    title=_("rows as steps"),
    module="core.worker.model.modules.shapes:Rows",
    takes=(PICTURE,),
    gives=SEQUENCE,
    examples=((Options(), Form(PICTURE, (3, 8, 6))),),
    order=20,
)
