"""Average pooling: every window goes on as its mean."""

from core.catalog.entries import PICTURE, Form, Layer, Window
from core.catalog.layers.max_pool import MaxPool, fault
from core.options import _

ENTRY = Layer(
    name="avg_pool",
    title=_("average pooling"),
    module="torch.nn:AvgPool2d",
    takes=(PICTURE,),
    options=MaxPool,
    arguments=lambda o, _form: {"kernel_size": o.kernel},
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.kernel),),
    examples=((MaxPool(), Form(PICTURE, (2, 7, 8))),),
    order=8,
)
