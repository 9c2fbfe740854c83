"""CutMix (Yun 2019): a box of one picture is put into another; the labels are mixed as the areas are."""

from dataclasses import dataclass
from typing import Any

from core.catalog.entries import CLASSES, Augmentation
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class CutMix(Options):
    """Options of CutMix."""

    cutmix_alpha: float = option(
        1.0,
        _("How the box's size varies: the two parameters of a beta distribution."),
        label=_("CutMix α"),
        low=0.01,
        high=10.0,
        unit="(α)",
    )


def shares(o: CutMix, draw: Any, n: int) -> Any:
    """1 less the area of a box whose middle is anywhere: what lies beyond the edge is cut off."""
    half = 0.5 * (1 - draw.beta(o.cutmix_alpha, o.cutmix_alpha, n)) ** 0.5
    sides = [(at + half).clip(0, 1) - (at - half).clip(0, 1) for at in (draw.random(n), draw.random(n))]
    return 1 - sides[0] * sides[1]


ENTRY = Augmentation(
    name="cutmix",
    title="CutMix",
    module="core.worker.train.augment:CutMix",
    options=CutMix,
    arguments=lambda o: {"alpha": o.cutmix_alpha},
    tasks=(CLASSES,),
    mixes=True,
    shares=shares,
    examples=(CutMix(), CutMix(cutmix_alpha=0.3)),
    source="torchvision.transforms.v2.CutMix",
    order=5,
)
