"""Options that several attribution methods share, and what their prices are made of."""

from dataclasses import dataclass

from core.catalog.entries import MAP_TOLERANCE, PICTURE, TOKENS, VECTOR, Size
from core.spec.options import DATA, Options, _, option

BASELINES = ("usual", "black", "zero", "mean", "blur", "noise", "sample", "pad")


@dataclass(frozen=True)
class Baselined(Options):
    """What the input is compared with."""

    baseline: str = option(
        "usual",
        _(
            "What the input is compared with. usual: black for pictures, zeros for numbers, mean for tokens; black: "
            "an empty picture, or zeros where there is no picture; zero: the value 0 after normalisation, which is "
            "the mean grey; mean: the mean training sample; blur: the input, blurred; noise: random values; sample: "
            "another test sample. For tokens black, zero and pad are the padding's vector, mean is the mean vector of "
            "the vocabulary, noise a random token."
        ),
        choices=BASELINES,
    )
    baseline_sample: int = option(
        0,
        _("The test sample to compare with."),
        label=_("sample"),
        low=0,
        high=1_000_000,
        applies=lambda o: o.baseline == "sample",
        place_in=DATA,
    )


@dataclass(frozen=True)
class OnWay(Baselined):
    """The way from the baseline to the input; points are added where the network bends until the map stands still."""

    steps: int = option(
        32, _("Points on the way from the baseline to the input, to begin with."), low=8, high=2000, unit=_("points")
    )
    most: int = option(
        512,
        _("Points are added where the network bends until the map and its sum are right, at most so many."),
        label=_("at most"),
        low=8,
        high=4000,
        unit=_("points"),
    )
    map_tolerance: float = option(
        MAP_TOLERANCE,
        _("The largest change of a value, if every other point is left out, that is accepted."),
        label=_("map's tolerance"),
        low=1e-5,
        high=1.0,
        unit=_("of the largest value"),
    )


@dataclass(frozen=True)
class Summed(OnWay):
    """A way on which what is found has a known sum."""

    tolerance: float = option(
        0.01,
        _("The largest gap between the sum of the map and the difference that it should be which is accepted."),
        low=1e-5,
        high=1.0,
        unit=_("of the difference"),
    )


@dataclass(frozen=True)
class Cut(Options):
    """What is switched on and off together."""

    pieces: str = option(
        "grid",
        _(
            "What is taken away together. grid: squares of a picture, steps of a sequence, single features of a "
            "vector; slic: regions of like colour in a picture; values: every single number by itself. Tokens are "
            "always whole."
        ),
        choices=("grid", "slic", "values"),
    )
    side: int = option(
        4, _("Side of a square of a picture."), low=1, high=64, unit=_("pixels"), applies=lambda o: o.pieces == "grid"
    )
    segments: int = option(
        49,
        _("About how many regions of like colour a picture is cut into."),
        low=2,
        high=1000,
        applies=lambda o: o.pieces == "slic",
    )


@dataclass(frozen=True)
class Pieced(Cut, Baselined):
    """What is switched on and off together, and what stands in the place of a piece that is off."""


def forwards(count: float) -> float:
    """Units of `count` forward passes without a backward pass, which counts as two of them."""
    return count / 3


def pieces(options: Cut, size: Size) -> int:
    """How many pieces a sample has; for regions of like colour about how many, for tokens at most."""
    shape, kind = size.form.shape, size.form.kind
    if kind == TOKENS:
        return shape[0]
    if options.pieces == "values" or kind == VECTOR:
        return size.features
    if kind != PICTURE:
        return shape[0]
    if options.pieces == "slic":
        return min(options.segments, shape[1] * shape[2])
    return -(-shape[1] // options.side) * -(-shape[2] // options.side)


def squares_at_most(height: int, width: int, most: int) -> int:
    """How many squares a picture has when they are as small as they can be with at most so many."""
    counts = (-(-height // side) * -(-width // side) for side in range(1, max(height, width) + 1))
    return next(n for n in counts if n <= most)
