"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 70,000 pictures of clothes in MNIST's format."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class FashionMnist(Options):
    """Options of Fashion-MNIST."""

    samples: int = option(
        55_000,
        _("Training pictures used; 5,000 more are kept for validation."),
        low=100,
        high=55_000,
        unit=_("pictures"),
    )


ENTRY = Dataset(
    name="fashion_mnist",
    title=_("Fashion-MNIST"),
    options=FashionMnist,
    load="core.worker.data.mnist:load_fashion",
    form=lambda _o: DataForm(PICTURE, (1, 28, 28), 10),
    source=_("H. Xiao, K. Rasul, R. Vollgraf (Zalando): Fashion-MNIST, read through torchvision"),
    licence="MIT",
    files=True,
    examples=(FashionMnist(samples=200),),
    order=21,
)
