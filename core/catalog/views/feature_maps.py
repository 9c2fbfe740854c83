"""Feature maps: what every layer makes of one sample."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.catalog.entries import DataForm, View
from core.spec.facts import AboutSample
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec

if TYPE_CHECKING:
    import numpy as np


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


# Of the chosen layer, by of_layer(LAYER, …). Besides, of every layer, LAYER → what it makes: [channel, height, width]
# (a picture), [step, feature] (a sequence) or [feature]. A unit is a channel, a feature of a sequence, or a number.
STRENGTH = "strength"  # [unit]: the mean of the absolute values for this sample
DEAD = "dead"  # [unit]: 1 = never above zero on the searched test samples; where a ReLU has cut what it gives at zero
TOP_SAMPLES = "top"  # [unit, rank] int64: the test samples (their index) with the unit's largest values, and …
TOP_VALUES = "top_values"  # [unit, rank]: … these: the maximum (or the mean: option `measure`) over places or steps
TOP_PICTURES = "top_pictures"  # [rank, height, width(, 3)] uint8: those of the unit of option `map`, where pictures
# By of_layer(CONVOLUTION, …), the one whose kernels made these maps one for one, where there is one:
KERNELS = "kernels"  # [channel, in_channel, height, width], unless its weights are too many
KERNEL = "kernel"  # [in_channel, height, width]: that of the chosen map


def of_layer(layer: str, what: str) -> str:
    """The array of a layer by its address: STRENGTH, DEAD, TOP_SAMPLES, …"""
    return f"{layer}/{what}"


@dataclass(frozen=True, kw_only=True)
class FeatureMapsFacts(AboutSample):
    """Which units are shown, and what was searched."""

    order: list[int]  # the units as they are to be shown
    map: int  # the chosen one
    searched: int  # test samples that were looked at, of …
    tested: int  # … so many
    kernels_of: str  # the convolution whose kernels made these maps, or ""
    rectified: bool  # does DEAD apply?
    unit: str  # what one is called: map, feature or unit
    names: list[str]  # of the last layer's units, where they are classes
    given: "np.ndarray | None"  # [height, width(, 3)] uint8: the picture as the network got it, where it got one
    options: FeatureMaps


ENTRY = View(
    name="feature_maps",
    title=_("Feature maps"),
    look="core.worker.look.feature_maps:look",
    needs="",
    options=FeatureMaps,
    facts=FeatureMapsFacts,
    arrays=("*", *(of_layer("*", what) for what in (STRENGTH, TOP_SAMPLES, TOP_VALUES))),
    optional_arrays=tuple(of_layer("*", what) for what in (DEAD, TOP_PICTURES, KERNELS, KERNEL)),
    layers=every_layer,
    order=10,
    examples=(FeatureMaps(), FeatureMaps(map=2, by_strength=True, measure="mean", searched=16)),
)
