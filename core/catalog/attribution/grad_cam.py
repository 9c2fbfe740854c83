"""Grad-CAM: the feature maps of one layer, each weighted by its mean gradient."""

from dataclasses import dataclass

from core.catalog.attribution._layers import with_places
from core.catalog.entries import LAYER, PICTURE, SEQUENCE, TOKENS, Method
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class GradCam(Options):
    """Options of Grad-CAM."""

    relu: bool = option(
        False,
        _(
            "Keep only what speaks for the answer, as the paper does. Without it, what speaks "
            "against it is there, too, as negative values."
        ),
        label=_("ReLU"),
    )


ENTRY = Method(
    name="grad_cam",
    title=_("Grad-CAM"),
    attribute="core.worker.explain.methods.layers:grad_cam",
    words=_(
        "Where a layer sees what speaks for the answer: its maps, each weighted by the mean of its gradient. Coarse, "
        "as the layer's own maps are."
    ),
    family=LAYER,
    options=GradCam,
    layers=with_places,
    takes=(PICTURE, SEQUENCE, TOKENS),
    panel=True,
    source="Selvaraju 2017, equations 1 and 2",
    examples=(GradCam(), GradCam(relu=True)),
    order=90,
)
