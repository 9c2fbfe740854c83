"""MNIST (LeCun 1998): 70,000 handwritten digits of 28×28 pixels; downloaded, or read from the data folder."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Mnist(Options):
    """Options of MNIST."""

    samples: int = option(
        55_000,
        _("Training pictures used; 5,000 more are kept for validation."),
        low=100,
        high=55_000,
        unit=_("pictures"),
    )


ENTRY = Dataset(
    name="mnist",
    title=_("MNIST"),
    options=Mnist,
    load="core.worker.data.mnist:load",
    form=lambda _o: DataForm(PICTURE, (1, 28, 28), 10),
    source=_("Y. LeCun, C. Cortes, C. Burges: the MNIST database, read through torchvision"),
    licence=_("CC BY-SA 3.0 (as stated by its curators)"),
    files=True,
    examples=(Mnist(samples=200),),
    order=20,
)
