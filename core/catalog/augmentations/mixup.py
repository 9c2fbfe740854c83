"""MixUp (Zhang 2018): pairs of pictures are laid over each other, and their labels with them."""

from dataclasses import dataclass

from core.catalog.entries import CLASSES, Augmentation
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class MixUp(Options):
    """Options of MixUp."""

    mixup_alpha: float = option(
        0.2,
        _("How evenly two pictures are mixed: the two parameters of a beta distribution."),
        label=_("MixUp α"),
        low=0.01,
        high=10.0,
        unit="(α)",
    )


ENTRY = Augmentation(
    name="mixup",
    title="MixUp",
    module="core.worker.train.augment:MixUp",
    options=MixUp,
    arguments=lambda o: {"alpha": o.mixup_alpha},
    tasks=(CLASSES,),
    mixes=True,
    shares=lambda o, draw, n: draw.beta(o.mixup_alpha, o.mixup_alpha, n),
    examples=(MixUp(), MixUp(mixup_alpha=1.0)),
    source="torchvision.transforms.v2.MixUp",
    order=4,
)
