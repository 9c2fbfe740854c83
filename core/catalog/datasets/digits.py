"""scikit-learn's handwritten digits: 1,797 pictures, embedded, no download."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Digits(Options):
    """Options of the digits."""

    size: int = option(
        28,
        _("Side to which the 8×8 pictures are resampled; 28 fits what fits MNIST."),
        low=8,
        high=64,
        unit=_("pixels"),
    )


ENTRY = Dataset(
    name="digits",
    title=_("handwritten digits"),
    options=Digits,
    load="core.worker.data.digits:load",
    form=lambda o: DataForm(PICTURE, (1, o.size, o.size), 10),
    source=_("E. Alpaydin & C. Kaynak, Optical Recognition of Handwritten Digits (UCI), as shipped by scikit-learn"),
    licence=_("CC BY 4.0"),
    examples=(Digits(), Digits(size=8)),
    order=1,
)
