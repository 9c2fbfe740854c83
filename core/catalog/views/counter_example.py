"""Counter-example: the fewest pieces without which the answer is another, and the fewest that keep it alone."""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced
from core.catalog.entries import CLASSES, PICTURE, DataForm, View
from core.spec.facts import AboutSample
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


# S: the sample's shape; n pieces, k of them differ from the baseline
PIECES = "pieces"  # int64, broadcasts to S: which piece a value belongs to; −1: padding
BASELINE, X = "baseline", "x"  # S as the network reads them, for tokens their embedding vectors
REMOVED, KEPT = "removed", "kept"  # [n] bool: the pieces whose removal turns the answer; those that alone keep it
ORIGINAL, WITHOUT, ONLY = "original", "without", "only"  # S as people see it, not for tokens: these three
PROBABILITIES = "probabilities"  # [3, class]: of the whole, without the removed, of the kept alone
CURVE = "curve"  # [m]: the probability of the original class after 0, 1, … removals of the greedy search
RANDOM = "random"  # [order, k + 1]: after 0 … k removals in a random order
RANDOM_REMOVED, RANDOM_KEPT = "random/removed", "random/kept"  # [order]: pieces it took then; −1: it never happened


@dataclass(frozen=True, kw_only=True)
class CounterExampleFacts(AboutSample):
    """Which sets were found, and how they were searched."""

    found_removed: bool
    found_kept: bool
    baseline_keeps: bool  # does the baseline alone have the same answer?
    exact: bool  # were all sets tried?
    greedy_removed: int  # what the search found by itself, −1 = nothing
    greedy_kept: int
    share_removed: float  # of all values
    share_kept: float
    count: int  # k
    same: int  # n − k
    unit: str  # what a piece is
    classes: list[str]
    index: int  # of the original class
    other: int  # of the new class
    tokens: list[str]


ENTRY = View(
    name="counter_example",
    title=_("Counter-example"),
    look="core.worker.explain.views.counter_example:look",
    needs=_(
        "A counter-example turns an answer that is one class. This run answers with a number, or at every step. "
        "Choose a run that says one class a sample, such as cnn on digits or transformer on order."
    ),
    options=CounterExample,
    facts=CounterExampleFacts,
    arrays=(PIECES, BASELINE, X, REMOVED, KEPT, PROBABILITIES, CURVE, RANDOM, RANDOM_REMOVED, RANDOM_KEPT),
    optional_arrays=(ORIGINAL, WITHOUT, ONLY),
    applies=one_class,
    offers=offers,
    order=80,
    section="explain",
    examples=(CounterExample(side=7, orders=4), CounterExample(side=10, baseline="blur", orders=2)),
)
