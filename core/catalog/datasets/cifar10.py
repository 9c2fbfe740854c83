"""CIFAR-10 (Krizhevsky 2009): 60,000 colour photographs of 32×32 pixels in ten classes."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Cifar10(Options):
    """Options of CIFAR-10."""

    samples: int = option(
        45_000,
        _("Training pictures used, as far as there are; a tenth more is for validation."),
        low=100,
        high=45_000,
        unit=_("pictures"),
    )


ENTRY = Dataset(
    name="cifar10",
    title=_("CIFAR-10"),
    options=Cifar10,
    load="core.worker.data.cifar10:load",
    form=lambda _o: DataForm(PICTURE, (3, 32, 32), 10),
    source=_("A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009), read through torchvision"),
    licence=_("none stated by its author"),
    files=True,
    examples=(Cifar10(samples=200),),
    order=24,
)
