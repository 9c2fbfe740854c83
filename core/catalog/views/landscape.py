"""Loss landscape: the loss around the weights of the moment, and the path that training took through it."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.spec.facts import Facts
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


DISTANCE = "distance"  # of a line: [point], in filter lengths
X, Y = "x", "y"  # [point] of a plane in filter lengths, of a path in distances of weights from the moment shown
LOSS = "loss"  # of a line [direction, point], else [y, x]; one that overflows is inf or nan
ACCURACY = "accuracy"  # the same of the accuracy, unless a number is asked
# Of a path:
STEP = "step"  # [moment]
PLACE = "place"  # [moment, 2]: (x, y), [0, 0] at the moment shown
MOMENT_LOSS = "moment_loss"  # [moment]: of the moment's own network
DRAWN_LOSS = "drawn_loss"  # [moment]: at its place in the plane
OFF_PLANE = "off_plane"  # [moment]: its distance from the plane
EXPLAINED = "explained"  # [2]: share of the moments' variance along x and y (PCA; Li et al. 2018, section 7)


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Of all losses that are drawn."""

    low: float
    high: float  # the largest that is a number
    broken: int  # how many are none


@dataclass(frozen=True, kw_only=True)
class LandscapeFacts(Facts):
    """What the loss is of, and how far it goes."""

    kind: str  # LINE, PLANE or PATH
    task: str  # of the data: CLASSES, NUMBER or EACH_STEP
    part: str  # of the data
    samples: int  # that the loss is the mean of
    parameters: int  # of the network
    centre_loss: float  # at the weights of the moment shown
    centre_accuracy: float
    losses: Losses
    here: int = -1  # of a path: which of its moments is shown; −1 where none is


ENTRY = View(
    name="landscape",
    title=_("Loss landscape"),
    look="core.worker.look.landscape:look",
    needs="",
    options=Landscape,
    facts=LandscapeFacts,
    arrays=(LOSS,),
    optional_arrays=(ACCURACY, DISTANCE, X, Y, STEP, PLACE, MOMENT_LOSS, DRAWN_LOSS, OFF_PLANE, EXPLAINED),
    of_sample=False,
    examples=tuple(Landscape(kind=kind, resolution=5, samples=32) for kind in (LINE, PLANE, PATH)),
    order=100,
)
