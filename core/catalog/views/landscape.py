"""Loss landscape: the loss around the weights of the moment, and the path that training took through it."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.spec.options import Options, _, option

LINE, PLANE, PATH = "line", "plane", "path"


@dataclass(frozen=True)
class Landscape(Options):
    """Options of the loss landscape."""

    kind: str = option(
        LINE,
        _(
            "Line: along random directions from the weights. Plane: over two random directions. "
            "Path: over the two directions in which this run moved most."
        ),
        label=_("what is drawn"),
        choices=(LINE, PLANE, PATH),
    )
    radius: float = option(
        1.0,
        _("How far to go each way; at 1 every filter has moved by its own length."),
        label=_("radius"),
        low=0.01,
        high=5.0,
        unit=_("filter lengths"),
        applies=lambda o: o.kind != PATH,
    )
    resolution: int = option(
        21,
        _("Points along each direction, always an odd number: the one in the middle is the model itself."),
        label=_("points"),
        low=5,
        high=51,
        unit=_("points"),
    )
    directions: int = option(
        3,
        _("Random directions to compare."),
        label=_("directions"),
        low=1,
        high=8,
        unit=_("directions"),
        applies=lambda o: o.kind == LINE,
    )
    part: str = option(
        "train",
        _("Which samples the loss is the mean of."),
        label=_("data part"),
        choices=("train", "validation", "test"),
    )
    samples: int = option(
        256,
        _("How many samples the loss is the mean of; more are slower and steadier."),
        label=_("samples"),
        low=16,
        high=4096,
        unit=_("samples"),
        log=True,
    )
    seed: int = option(
        0,
        _("Another seed draws other directions."),
        label=_("seed"),
        low=0,
        high=99_999,
        unit=_("(number)"),
        applies=lambda o: o.kind != PATH,
    )


ENTRY = View(
    "landscape",
    _("Loss landscape"),
    "core.worker.look.landscape:look",
    needs="",
    options=Landscape,
    of_sample=False,
    examples=tuple(Landscape(kind=kind, resolution=5, samples=32) for kind in (LINE, PLANE, PATH)),
    order=100,
)
