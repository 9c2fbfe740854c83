"""Gradient flow: how large the gradient is at every layer, now and over the training, and what that says."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec

RESHAPING = ("flatten", "rows", "dropout")  # their outputs are those of the layer before


@dataclass(frozen=True)
class Gradients(Options):
    """Options of the gradient flow."""

    batch: int = option(
        64,
        _("How many samples of the training set, from the first on, the gradient is taken of."),
        label=_("samples"),
        low=2,
        high=512,
        unit=_("samples"),
    )


def computing_layers(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All that do more than rearrange; the choice is whose outputs are counted in the large histogram."""
    names = tuple(layer.name for layer in layers if layer.kind not in RESHAPING)
    return names or tuple(layer.name for layer in layers)


ENTRY = View(
    "gradients",
    _("Gradient flow"),
    "core.worker.look.gradients:look",
    needs="",
    options=Gradients,
    layers=computing_layers,
    of_sample=False,
    examples=(Gradients(), Gradients(batch=16)),
    order=60,
)
