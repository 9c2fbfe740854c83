"""Global average pooling: each map goes on as one number, its mean."""

from core.catalog.entries import PICTURE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="global_pool",
    title=_("global average pooling"),
    module="core.worker.model.modules.shapes:GlobalPool",
    takes=(PICTURE,),
    gives=VECTOR,
    examples=((Options(), Form(PICTURE, (4, 7, 7))),),
    order=12,
)
