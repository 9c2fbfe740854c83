"""A part of each picture is cut out and enlarged to the picture's size (Szegedy 2015)."""

from dataclasses import dataclass

from core.catalog.entries import Augmentation
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Crop(Options):
    """Options of the crop."""

    crop_smallest: float = option(
        0.6,
        _("The smallest part that is cut out, as a share of the picture's area."),
        label=_("smallest crop"),
        low=0.05,
        high=1.0,
        unit=_("share of the area"),
    )


ENTRY = Augmentation(
    name="crop",
    title=_("crop"),
    module="core.worker.train.augment:Crop",
    options=Crop,
    arguments=lambda o: {"smallest": o.crop_smallest},
    examples=(Crop(), Crop(crop_smallest=0.2)),
    source="torchvision.transforms.v2.RandomResizedCrop",
    order=3,
)
