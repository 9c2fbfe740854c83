"""Each picture is moved by a few pixels; what comes in from outside is black."""

from dataclasses import dataclass

from core.catalog.entries import Augmentation
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Shift(Options):
    """Options of the shift."""

    shift_pixels: int = option(
        2, _("How far a picture is moved at most, each way."), label=_("shift"), low=1, high=64, unit=_("pixels")
    )


ENTRY = Augmentation(
    name="shift",
    title=_("shift"),
    module="core.worker.train.augment:Shift",
    options=Shift,
    arguments=lambda o: {"pixels": o.shift_pixels},
    examples=(Shift(), Shift(shift_pixels=1)),
    source="torchvision.transforms.v2.RandomCrop with padding",
    order=1,
)
