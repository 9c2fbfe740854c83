"""Activation maximisation: a picture made so that one unit answers as strongly as it can."""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, DataForm, View
from core.spec.facts import Facts
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Maximise(Options):
    """Options of the activation maximisation."""

    unit: int = option(
        0,
        _("Which map of the layer, or which number of a vector; of the last layer: which class."),
        low=0,
        high=1_000_000,
        unit=_("unit"),
        place_in=NETWORK,
    )
    steps: int = option(96, _("How many steps uphill the picture takes."), low=1, high=1000, unit=_("steps"))
    rate: float = option(
        0.1,
        _("How far one step goes: the change of a typical pixel."),
        label=_("step size"),
        low=0.001,
        high=2.0,
        unit=_("standard deviations of the data"),
        log=True,
    )
    l2: float = option(
        0.3,
        _("Pulls all pixels towards the data's mean, so that only what matters stays."),
        label=_("pull to the mean (L2)"),
        low=0.0,
        high=100.0,
        unit=_("weight"),
    )
    smooth: float = option(
        4.0,
        _("Pulls neighbouring pixels together: without it the picture becomes noise."),
        label=_("smoothness (total variation)"),
        low=0.0,
        high=100.0,
        unit=_("weight"),
    )
    jitter: int = option(
        2, _("The picture is moved by up to so many pixels before every step."), low=0, high=16, unit=_("pixels")
    )
    seed: int = option(0, _("Of the noise it starts from, and of the moves."), low=0, high=1_000_000, unit=_("seed"))


def reads_pictures(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only a picture can be changed a little at a time."""
    return form.kind == PICTURE


def from_the_answer(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All of them, the last first: its units are the classes."""
    return tuple(layer.name for layer in reversed(layers))


FRAMES = "frames"  # [frame, height, width(, 3)] float32, 0 to 1: the picture on its way, noise first, the result last
STEPS = "steps"  # [frame] int64: after which step
ACTIVATIONS = "activations"  # [frame]: the unit's answer to each frame, without jitter
MADE = "picture"  # [channel, height, width]: the last frame as the network reads it
REAL = "real"  # [sample]: the unit's answer to the first test pictures
REAL_TOP = "real_top"  # [rank] int64: which of them are the strongest
REAL_PICTURES = "real_pictures"  # [rank, height, width(, 3)] uint8: those


@dataclass(frozen=True, kw_only=True)
class MaximiseFacts(Facts):
    """The unit, and how it answers real pictures."""

    unit: int  # the one that was maximised
    units: int  # how many the layer has
    mean: float  # of REAL
    best: float  # the largest of REAL
    noise: float  # how strong the start was, in standard deviations
    label: str  # the class, where the unit stands for one
    scale: float  # the standard deviation of REAL: one weight means the same for every unit


ENTRY = View(
    name="maximise",
    title=_("What does this unit want?"),
    look="core.worker.look.maximise:look",
    needs=_(
        "A picture is changed little by little until a unit answers as strongly as it can. This run reads no "
        "pictures: tokens and steps cannot be changed a little. Choose a run on pictures, such as cnn or resnet8 "
        "on digits."
    ),
    options=Maximise,
    facts=MaximiseFacts,
    arrays=(FRAMES, STEPS, ACTIVATIONS, MADE, REAL, REAL_TOP, REAL_PICTURES),
    applies=reads_pictures,
    layers=from_the_answer,
    of_sample=False,
    examples=(Maximise(steps=4), Maximise(unit=1, steps=3, jitter=0, l2=0.0, smooth=0.0, rate=0.5)),
    order=90,
)
