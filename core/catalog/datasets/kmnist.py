"""KMNIST (Clanuwat et al. 2018): 70,000 cursive Japanese characters in MNIST's format."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Kmnist(Options):
    """Options of KMNIST."""

    samples: int = option(
        55_000,
        _("Training pictures used; 5,000 more are kept for validation."),
        low=100,
        high=55_000,
        unit=_("pictures"),
    )


ENTRY = Dataset(
    name="kmnist",
    title=_("KMNIST"),
    options=Kmnist,
    load="core.worker.data.mnist:load_kuzushiji",
    form=lambda _o: DataForm(PICTURE, (1, 28, 28), 10),
    source=_("T. Clanuwat et al.: Kuzushiji-MNIST (Center for Open Data in the Humanities), read through torchvision"),
    licence=_("CC BY-SA 4.0"),
    files=True,
    examples=(Kmnist(samples=200),),
    order=22,
)
