"""Points in the plane: moons, circles, spirals and blobs, for seeing a decision boundary bend."""

from dataclasses import dataclass

from core.catalog.entries import VECTOR, DataForm, Dataset
from core.spec.options import Options, _, option

ANY_NUMBER = ("spirals", "blobs")  # kinds of as many classes as one likes; the others have two


@dataclass(frozen=True)
class Points(Options):
    """Options of the points."""

    kind: str = option("moons", _("How the classes lie."), choices=("moons", "circles", "spirals", "blobs"))
    classes: int = option(
        3, _("Arms of the spiral, or blobs."), low=2, high=8, unit=_("classes"), applies=lambda o: o.kind in ANY_NUMBER
    )
    noise: float = option(
        0.12,
        _("How far points stray from where their class lies (standard deviation)."),
        low=0.0,
        high=1.0,
        unit=_("distance in the plane"),
    )
    samples: int = option(
        1500, _("Points drawn in all, for training, validation and test."), low=60, high=100_000, unit=_("points")
    )


def classes_of(o: Points) -> int:
    """The number of classes of this kind."""
    return o.classes if o.kind in ANY_NUMBER else 2


ENTRY = Dataset(
    name="points",
    title=_("points in the plane"),
    options=Points,
    load="core.worker.data.points:load",
    form=lambda o: DataForm(VECTOR, (2,), classes_of(o)),
    source=_("drawn by LayerLab; moons and circles as in scikit-learn"),
    licence="Apache-2.0",
    examples=(
        Points(samples=300),
        Points(kind="circles", samples=300),
        Points(kind="spirals", classes=4, samples=400),
        Points(kind="blobs", classes=5, samples=400),
    ),
    order=3,
)
