"""Layer normalisation (Ba 2016): each step's features are shifted and scaled by their own mean and variance."""

from core.catalog.entries import SEQUENCE, VECTOR, Form, Layer
from core.options import Options, _

ENTRY = Layer(
    name="layer_norm",
    title=_("layer norm"),
    module="torch.nn:LayerNorm",
    takes=(SEQUENCE, VECTOR),
    arguments=lambda _o, form: {"normalized_shape": form.shape[-1]},
    examples=((Options(), Form(SEQUENCE, (5, 8))), (Options(), Form(VECTOR, (8,)))),
    order=3,
)
