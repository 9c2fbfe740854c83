"""Memory: the states and gates of a recurrent layer over one sequence."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.catalog.views import _recurrent
from core.spec.facts import AboutSample
from core.spec.options import _, option


@dataclass(frozen=True)
class States(_recurrent.Cells):
    """Options of the view of states."""

    by_separation: bool = option(
        False,
        _("Order the units by how well their state tells the classes apart, the best at the top."),
        label=_("units that differ between classes first"),
    )


# For the real steps of the sample (padding is left out), in the order of the sequence:
HIDDEN = "hidden"  # [step, unit]
CELL = "cell"  # [step, unit], of an LSTM
ANSWERS = "answers"  # [step, class]: after the first 1, 2, … steps; probabilities, or the number [step, 1]
TRAJECTORY = "trajectory"  # [step, 2]: the hidden state in the two directions in which states differ most (PCA)
# Of test samples:
ENDS = "ends"  # [sample, 2]: their states when they have been read, in the same two directions
ENDS_TARGET = "ends/target"  # [sample]: their classes, or the number asked for
SEPARATION = "separation"  # [unit]: the share of the variance of the state that lies between the classes


def gate(name: str) -> str:
    """The array [step, unit] of a gate: input, forget, candidate, output (LSTM) or reset, update, new (GRU)."""
    return f"gate/{name}"


@dataclass(frozen=True, kw_only=True)
class StatesFacts(AboutSample):
    """Which cell it is, what its steps are, and which units tell most."""

    cell_kind: str  # rnn, lstm or gru
    stack: int  # which of the stacked cells, counted from the input from 1 on, and …
    stacks: int  # … of how many
    backward: bool  # does it read from the end?
    gates: tuple[str, ...]  # their names, in the order in which they are drawn
    steps: list[str]  # what is read at every step
    step_word: str  # what a step is called: step or row
    order: list[int]  # the units as they are to be shown
    best: list[int]  # the units that tell most, the best first
    difference: float  # the largest, of the states computed by hand from those of torch's own layer
    explained: tuple[float, float]  # shares of the variance that the two directions hold
    tested: int  # test samples that the separation is of
    classes: list[str]
    task: str  # of the data: CLASSES, NUMBER or EACH_STEP
    settled: int  # from which step on (from 1) the answer stays what it is in the end; 0 where there is none
    target_index: int  # the class that is right; −1 where there is none, or one at every step


ENTRY = View(
    name="states",
    title=_("Memory"),
    look="core.worker.look.states:look",
    needs=_recurrent.NEEDS,
    options=States,
    facts=StatesFacts,
    arrays=(HIDDEN, TRAJECTORY, ENDS, ENDS_TARGET, SEPARATION),
    optional_arrays=(CELL, ANSWERS, gate("*")),
    applies=_recurrent.has_one,
    layers=_recurrent.recurrent,
    offers=_recurrent.offers,
    examples=(States(), States(stack=2, direction="backward", by_separation=True)),
    order=50,
)
