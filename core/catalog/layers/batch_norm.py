"""Batch normalisation (Ioffe & Szegedy 2015): each map is shifted and scaled by the batch's own mean and variance."""

from core.catalog.entries import PICTURE, Form, Layer
from core.spec.options import Options, _

ENTRY = Layer(
    name="batch_norm",
    title=_("batch norm"),
    module="torch.nn:BatchNorm2d",
    takes=(PICTURE,),
    arguments=lambda _o, form: {"num_features": form.shape[0]},
    examples=((Options(), Form(PICTURE, (4, 6, 6))),),
    order=2,
)
