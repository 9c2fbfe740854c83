"""Some pictures are mirrored, left and right exchanged; not for digits or letters."""

from dataclasses import dataclass

from core.catalog.entries import Augmentation
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Flip(Options):
    """Options of the flip."""

    flip_share: float = option(
        0.5,
        _("How likely a picture is mirrored (not for digits or letters)."),
        label=_("flip"),
        low=0.0,
        high=1.0,
        unit=_("share"),
    )


ENTRY = Augmentation(
    name="flip",
    title=_("flip"),
    module="core.worker.train.augment:Flip",
    options=Flip,
    arguments=lambda o: {"share": o.flip_share},
    examples=(Flip(), Flip(flip_share=0.2)),
    source="torchvision.transforms.v2.RandomHorizontalFlip",
    order=2,
)
