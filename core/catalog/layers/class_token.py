"""Class token: one learned vector put before the first step; what it has gathered at the end is read out."""

from core.catalog.entries import SEQUENCE, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="class_token",
    title=_("class token"),
    module="core.worker.model.modules.shapes:ClassToken",
    takes=(SEQUENCE,),
    gives=SEQUENCE,
    arguments=lambda _o, form: {"width": form.shape[1]},
    examples=((Options(), Form(SEQUENCE, (5, 4))),),
    order=32,
)
