"""Layer normalisation (Ba 2016): values are shifted and scaled by their own mean and variance.

Of a sequence those of each step, of a picture those of all its maps together, whatever else is in the batch.
"""

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="layer_norm",
    title=_("layer norm"),
    module="torch.nn:LayerNorm",
    takes=(PICTURE, SEQUENCE, VECTOR),
    arguments=lambda _o, form: {"normalized_shape": form.shape if form.kind == PICTURE else form.shape[-1]},
    examples=(
        (Options(), Form(PICTURE, (4, 6, 6))),
        (Options(), Form(SEQUENCE, (5, 8))),
        (Options(), Form(VECTOR, (8,))),
    ),
    order=3,
)
