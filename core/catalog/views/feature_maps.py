"""Feature maps: what every layer makes of one sample."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.options import Options, _, option
from core.specs import LayerSpec


@dataclass(frozen=True)
class FeatureMaps(Options):
    """Options of the feature maps."""

    by_strength: bool = option(
        False, _("Strongest map first, by the mean of its absolute values."), label=_("strongest first")
    )


def every_layer(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All of them."""
    return tuple(layer.name for layer in layers)


ENTRY = View(
    "feature_maps", _("Feature maps"), "core.views.feature_maps:look", needs="", options=FeatureMaps,
    layers=every_layer, examples=(FeatureMaps(), FeatureMaps(by_strength=True)), order=1,
)  # fmt: skip
