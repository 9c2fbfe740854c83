"""Counter-example: the fewest pieces without which the answer is another, and the fewest that keep it alone."""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced
from core.catalog.entries import CLASSES, PICTURE, DataForm, View
from core.spec.options import _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class CounterExample(Pieced):
    """Options of the search for a counter-example."""

    orders: int = option(
        20,
        _("How often pieces are taken away in a random order, to compare with."),
        label=_("random orders"),
        low=2,
        high=200,
    )
    seed: int = option(0, _("Of the random orders, and of a baseline of noise."), low=0, high=1_000_000, unit=_("seed"))


def one_class(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only an answer that is one class can become another."""
    return form.task == CLASSES


def offers(name: str, _layer: LayerSpec | None, _layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only a picture can be cut in more than one way."""
    return form.kind == PICTURE or name not in ("pieces", "side", "segments")


ENTRY = View(
    "counter_example",
    _("Counter-example"),
    "core.worker.explain.views.counter_example:look",
    needs=_(
        "A counter-example turns an answer that is one class. This run answers with a number, or at every step. "
        "Choose a run that says one class a sample, such as cnn on digits or transformer on order."
    ),
    options=CounterExample,
    applies=one_class,
    offers=offers,
    order=80,
    section="explain",
    examples=(CounterExample(side=7, orders=4), CounterExample(side=10, baseline="blur", orders=2)),
)
