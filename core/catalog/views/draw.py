"""Draw: what the network makes of a picture drawn by hand."""

from dataclasses import dataclass

from core.catalog.entries import CLASSES, PICTURE, DataForm, View
from core.spec.facts import AboutSample
from core.spec.options import Options, _
from core.spec.specs import LayerSpec

# Besides, LAYER → what the chosen layer makes of it: [channel, height, width], [step, feature] or [feature].
ANSWERS = "answers"  # [class]: shares that sum to 1
# [height, width]: how much the predicted class's logit changes for a small change of that pixel: |∂logit/∂x|, the
# largest over the channels, per unit of the standardised x (Simonyan 2014, section 3)
SALIENCY = "saliency"


@dataclass(frozen=True, kw_only=True)
class DrawFacts(AboutSample):
    """The classes, and how the data's own pictures stand in their frame (core.worker.look.draw.habit)."""

    classes: list[str]  # in the order of the answers
    box: float  # the longer side of what is lit, in sides of the picture
    middle: list[float]  # its centre of mass (row, column), in heights and widths
    blur: float  # how soft its edges are, in heights


def reads_pictures(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only pictures can be drawn, and the bars need classes."""
    return form.kind == PICTURE and form.task == CLASSES


def every_layer(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All of them."""
    return tuple(layer.name for layer in layers)


ENTRY = View(
    name="draw",
    title=_("Draw"),
    look="core.worker.look.draw:look",
    needs=_(
        "Only pictures can be drawn, and this network reads something else. Train one on pictures, for instance "
        "the preset cnn on digits."
    ),
    facts=DrawFacts,
    arrays=(ANSWERS, SALIENCY, "*"),
    applies=reads_pictures,
    layers=every_layer,
    of_sample=False,  # it tells of its answer itself: asking the network once more would cost a third of the question
    examples=(Options(),),
    order=30,
    draws_itself=True,
)
