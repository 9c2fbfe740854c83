"""Feature maps: what every layer makes of one sample."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class FeatureMaps(Options):
    """Options of the feature maps."""

    map: int = option(
        0,
        _("The map that is drawn large; a click on a map does the same."),
        label=_("large map"),
        low=0,
        high=1_000_000,
        unit=_("map"),
        place_in=NETWORK,
    )
    by_strength: bool = option(
        False, _("Strongest map first, by the mean of its absolute values."), label=_("strongest first")
    )
    own_scale: bool = option(
        False,
        _("Each map on a scale of its own: weak maps show what is in them, but no longer compare with others."),
        label=_("own scale"),
    )
    kernels: bool = option(
        True,
        _("Beside each map of a convolution the kernel that made it, as the mean over the channels it reads."),
        label=_("kernels"),
    )
    overlay: bool = option(False, _("The large map laid over the picture that the network got."), label=_("overlay"))
    page: int = option(
        1, _("Where a layer has more maps than fit on one page."), low=1, high=10_000, unit=_("page"), place_in=NETWORK
    )
    measure: str = option(
        "largest value",
        _(
            "What a test sample is ranked by: the map's largest value, which a blank border can reach, "
            "too, or its mean."
        ),
        label=_("rank samples by"),
        choices=("largest value", "mean"),
    )
    searched: int = option(
        512,
        _("How many test samples are searched for dead maps and for those that drive a map most."),
        label=_("search"),
        low=8,
        high=10_000,
        unit=_("samples"),
    )


def every_layer(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All of them."""
    return tuple(layer.name for layer in layers)


ENTRY = View(
    "feature_maps",
    _("Feature maps"),
    "core.worker.look.feature_maps:look",
    needs="",
    options=FeatureMaps,
    layers=every_layer,
    order=10,
    examples=(FeatureMaps(), FeatureMaps(map=2, by_strength=True, measure="mean", searched=16)),
)
