"""What the views of recurrent layers share."""

from dataclasses import dataclass

from core.catalog.entries import DataForm
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec

KINDS = ("rnn", "lstm", "gru")
NEEDS = _(
    "This view needs a recurrent layer, one that keeps a state from step to step, and this model has none. "
    "The presets rnn, irnn, lstm and gru have one."
)


@dataclass(frozen=True)
class Cells(Options):
    """Which of the cells of a layer: fused layers hold several."""

    stack: int = option(
        1,
        _("A layer may hold several on top of each other. 1 is the top one, 2 the one below it, and so on."),
        label=_("which of the stacked"),
        low=1,
        high=16,
        unit=_("from the top"),
        place_in=NETWORK,
    )
    direction: str = option(
        "forward",
        _("A layer that reads in both directions has one cell from the left and one from the right."),
        choices=("forward", "backward"),
        place_in=NETWORK,
    )


def recurrent(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """The recurrent layers."""
    return tuple(layer.name for layer in layers if layer.kind in KINDS)


def offers(name: str, layer: LayerSpec | None, _layers: tuple[LayerSpec, ...], _form: DataForm) -> bool:
    """Only what the chosen layer has: several cells, a recurrent weight alone, a forget gate."""
    if layer is None:
        return True
    needed = {
        "stack": getattr(layer.options, "layers", 2) > 1,
        "direction": getattr(layer.options, "bidirectional", True),
        "gain": layer.kind == "rnn",
        "forget_bias": layer.kind == "lstm",
    }
    return bool(needed.get(name, True))


def has_one(layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Is there a recurrent layer?"""
    return bool(recurrent(layers, form))
