"""Drawn shapes at random places; every pixel that says the class is known, and a false hint can be planted."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, Dataset
from core.spec.options import Options, _, option

NAMES = ("circle", "square", "triangle", "cross", "star", "ring")


@dataclass(frozen=True)
class Shapes(Options):
    """Options of the shapes."""

    size: int = option(28, _("Side of the picture."), low=20, high=96, unit=_("pixels"))
    classes: int = option(
        4,
        _("How many of circle, square, triangle, cross, star and ring there are."),
        low=2,
        high=len(NAMES),
        unit=_("classes"),
    )
    noise: float = option(
        0.05, _("Noise on every pixel (standard deviation)."), low=0.0, high=0.5, unit=_("of the brightness")
    )
    lines: int = option(
        2, _("Faint lines at random places; they say nothing of the class."), low=0, high=8, unit=_("lines")
    )
    patch: float = option(
        0.0,
        _("Share of the training pictures with a small bright patch at the border."),
        low=0.0,
        high=1.0,
        unit=_("share"),
    )
    patch_train: str = option(
        "class",
        _("What the patch's place stands for while training: the picture's class, or nothing."),
        choices=("class", "random"),
        applies=lambda o: o.patch > 0,
    )
    patch_test: str = option(
        "same",
        _("The patch in the test pictures: as in training, absent, or at a random class's place."),
        choices=("same", "absent", "random"),
        applies=lambda o: o.patch > 0,
    )
    samples: int = option(
        4000, _("Pictures drawn in all, for training, validation and test."), low=60, high=50_000, unit=_("pictures")
    )


ENTRY = Dataset(
    name="shapes",
    title=_("drawn shapes"),
    options=Shapes,
    load="core.worker.data.shapes:load",
    form=lambda o: DataForm(PICTURE, (1, o.size, o.size), o.classes),
    source=_("drawn by LayerLab"),
    licence="Apache-2.0",
    examples=(
        Shapes(samples=600),
        Shapes(size=20, classes=6, lines=0, samples=300),
        Shapes(patch=0.9, patch_test="random", samples=300),
    ),
    order=2,
)
