"""Through time: how much of the loss's gradient reaches the early steps of a sequence."""

from dataclasses import dataclass

from core.catalog.entries import View
from core.catalog.views import _recurrent
from core.spec.facts import AboutSample
from core.spec.options import _, option


@dataclass(frozen=True)
class ThroughTime(_recurrent.Cells):
    """Options of the gradient through time. All but the first two are a what-if on a copy of the weights."""

    untrained: bool = option(False, _("The same network with freshly drawn weights, as before any training."))
    seed: int = option(
        0,
        _("Which fresh weights; try several, a single draw is luck."),
        low=0,
        high=99,
        unit=_("(number)"),
        applies=lambda o: o.untrained,
    )
    gain: float = option(
        1.0,
        _("What if the recurrent weight were this many times as large? 1 leaves it as learned."),
        low=0.0,
        high=3.0,
        unit=_("(factor)"),
        slider=True,
    )
    forget_bias: float = option(
        0.0,
        _(
            "What if the forget gate's bias were this much higher? The higher, the more the cell keeps. 0 leaves it "
            "as learned."
        ),
        label=_("forget bias, added"),
        low=-5.0,
        high=5.0,
        unit=_("(logit)"),
        slider=True,
    )


# By k = 0, 1, … steps back from the end (of the cell's reading; not a number where a sample has no such step):
HIDDEN = "hidden"  # [k]: the mean over a probe of test samples of ‖∂L/∂h‖
CELL = "cell"  # [k]: the same of the cell state of an LSTM
# Where the loss reads the last state alone, with σ the largest singular value of the recurrent weight U:
BOUND = "bound"  # [k] hidden[0] · σᵏ, of a vanilla layer: the gradient is never above it (Pascanu 2013, section 2.1)
RADIUS = "radius"  # [k] hidden[0] · ρᵏ, ρ the spectral radius of U: its pace where f is linear; no bound
GATES = "gates"  # [k], of an LSTM or a GRU: what would arrive if the state were only handed on by its gates
LEARNED = "learned"  # [k], with a what-if: the cell (LSTM) or hidden state of the network as it is


def samples(state: str) -> str:
    """The array [sample, k] of HIDDEN or CELL of each sample of the probe."""
    return f"{state}/samples"


def sample(state: str) -> str:
    """The array [k] of HIDDEN or CELL of the chosen sample."""
    return f"{state}/sample"


@dataclass(frozen=True, kw_only=True)
class ThroughTimeFacts(AboutSample):
    """Which cell it is, and how much of the gradient arrives."""

    ratio: float | None  # ‖∂L/∂s₁‖ ÷ ‖∂L/∂s_T‖, the mean of the probe; None where the end gets nothing
    verdict: str  # vanishing, fading, healthy, growing, exploding; "" where there is no ratio
    per_step: float | None  # what one step multiplies the gradient by
    between: int  # steps between the first and the last state
    singular: float | None = None  # the largest singular value of U, of a vanilla layer
    radius: float | None = None  # its spectral radius
    cell_kind: str  # rnn, lstm or gru
    stack: int  # which of the stacked cells, counted from the input from 1 on, and …
    stacks: int  # … of how many
    backward: bool  # does it read from the end?
    steps: int  # that the probe's longest sample has
    at_end: bool  # does the loss read the last state alone?
    what_if: bool  # is it of a changed copy?
    step_word: str  # what a step is called: step or row
    probe: int  # test samples
    spread: tuple[float, ...]  # the smallest and the largest ratio of a single one; () where there is none
    limits: tuple[float, ...]  # of the ratio, between the verdicts
    asked: dict[str, float]  # gain and forget_bias


ENTRY = View(
    name="through_time",
    title=_("Through time"),
    look="core.worker.look.through_time:look",
    needs=_recurrent.NEEDS,
    options=ThroughTime,
    facts=ThroughTimeFacts,
    arrays=(HIDDEN, samples(HIDDEN), sample(HIDDEN)),
    optional_arrays=(CELL, samples(CELL), sample(CELL), BOUND, RADIUS, GATES, LEARNED),
    applies=_recurrent.has_one,
    layers=_recurrent.recurrent,
    offers=_recurrent.offers,
    examples=(
        ThroughTime(),
        ThroughTime(gain=1.5, forget_bias=3.0),
        ThroughTime(untrained=True, seed=1),
        ThroughTime(stack=2, direction="backward"),
    ),
    order=70,
)
