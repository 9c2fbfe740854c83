"""EMNIST (Cohen et al. 2017): handwritten letters and digits of NIST Special Database 19 in MNIST's format."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option

CLASSES = {"digits": 10, "letters": 26, "balanced": 47}


@dataclass(frozen=True)
class Emnist(Options):
    """Options of EMNIST."""

    split: str = option(
        "letters",
        _("Digits; letters, large and small as one; or both, 47 classes equally often."),
        choices=tuple(CLASSES),
    )
    samples: int = option(
        55_000,
        _("Training pictures used, as far as there are; 5,000 more are for validation."),
        low=100,
        high=235_000,
        unit=_("pictures"),
    )


ENTRY = Dataset(
    name="emnist",
    title=_("EMNIST"),
    options=Emnist,
    load="core.worker.data.emnist:load",
    form=lambda o: DataForm(PICTURE, (1, 28, 28), CLASSES[o.split]),
    source=_(
        "G. Cohen, S. Afshar, J. Tapson, A. van Schaik: EMNIST, from NIST Special Database 19, through torchvision"
    ),
    licence=_("none stated by its authors"),
    files=True,
    examples=(Emnist(samples=200), Emnist(split="digits", samples=200), Emnist(split="balanced", samples=200)),
    order=23,
)
