"""Draw: what the network makes of a picture drawn by hand."""

from core.catalog.entries import CLASSES, PICTURE, DataForm, View
from core.spec.options import Options, _
from core.spec.specs import LayerSpec


def reads_pictures(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only pictures can be drawn, and the bars need classes."""
    return form.kind == PICTURE and form.task == CLASSES


def every_layer(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All of them."""
    return tuple(layer.name for layer in layers)


ENTRY = View(
    "draw",
    _("Draw"),
    "core.worker.look.draw:look",
    needs=_(
        "Only pictures can be drawn, and this network reads something else. Train one on pictures, for instance "
        "the preset cnn on digits."
    ),
    applies=reads_pictures,
    layers=every_layer,
    of_sample=False,  # it tells of its answer itself: asking the network once more would cost a third of the question
    examples=(Options(),),
    order=30,
    draws_itself=True,
)
