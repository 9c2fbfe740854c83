"""Guided Grad-CAM: guided backprop's outlines where Grad-CAM sees evidence."""

from core.catalog.attribution import _fit
from core.catalog.attribution._layers import MAPS, places
from core.catalog.entries import PICTURE, RULE, DataForm, Method
from core.spec.options import Options, _
from core.spec.specs import LayerSpec

CONVOLVE = ("conv", "residual", "depthwise_separable", "inverted_bottleneck")


def layers(specs: tuple[LayerSpec, ...], form: DataForm) -> tuple[str, ...]:
    """The layers that give maps: convolutions first, the last of them foremost."""
    kinds = {spec.name: spec.kind for spec in specs}
    maps = [name for name, place in reversed(places(specs, form).items()) if place.how == MAPS]
    return tuple(sorted(maps, key=lambda name: kinds[name] not in CONVOLVE))


ENTRY = Method(
    name="guided_grad_cam",
    title=_("Guided Grad-CAM"),
    attribute="core.worker.explain.methods.rules:guided_grad_cam",
    words=_(
        "Guided backprop's sharp outlines, weighted by where the chosen layer's maps speak for the answer (Grad-CAM). "
        "It inherits guided backprop's fault: the outlines depend little on what the network has learned."
    ),
    family=RULE,
    fit=_fit.guided_grad_cam,
    cost=lambda _o, _size: 2.0,
    layers=layers,
    takes=(PICTURE,),
    source="Selvaraju 2017, section 3.2",
    examples=(Options(),),
    order=46,
)
