"""Average pooling: every window goes on as its mean."""

from core.catalog.entries import PICTURE, Form, Layer, Window
from core.catalog.layers.max_pool import Pool, arguments, fault
from core.spec.options import _

ENTRY = Layer(
    name="avg_pool",
    title=_("average pooling"),
    module="torch.nn:AvgPool2d",
    takes=(PICTURE,),
    options=Pool,
    arguments=arguments,
    fault=fault,
    windows=lambda o: (Window(o.kernel, o.stride or o.kernel),),
    examples=(
        (Pool(), Form(PICTURE, (2, 7, 8))),
        (Pool(kernel=3, stride=1, padding=1), Form(PICTURE, (2, 7, 8))),
    ),
    order=11,
)
