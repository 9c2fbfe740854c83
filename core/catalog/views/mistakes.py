"""Mistakes: what the network says of the whole test set, and where it is wrong."""

from dataclasses import dataclass
from math import nan

from core.catalog.entries import View
from core.spec.facts import Facts
from core.spec.options import DATA, Options, _, option


@dataclass(frozen=True)
class Mistakes(Options):
    """Options of the mistakes."""

    target: str = option("", _("Only samples that are this class; empty: all."), label=_("is (class)"), place_in=DATA)
    predicted: str = option(
        "", _("Only samples of which the network says this class; empty: all."), label=_("says (class)"), place_in=DATA
    )
    order: str = option(
        "worst first",
        _(
            "Which samples come first: those with the largest loss; the least certain, for which the two likeliest "
            "classes are closest; or in the order of the test set."
        ),
        choices=("worst first", "least certain first", "as in the test set"),
    )
    count: int = option(24, _("Samples shown at once."), label=_("samples shown"), low=1, high=96, unit=_("samples"))
    bins: int = option(
        15,
        _("Equal parts of the scale of confidence, in each of which confidence is compared with accuracy."),
        label=_("bins of confidence"),
        low=2,
        high=50,
        unit=_("bins"),
    )


# Of the N answers (more than a limit are not handed out one by one), for classes and numbers:
SAMPLES = "samples"  # [N]: index in the test set
STEPS = "steps"  # [N], where every step is asked: place in the row
TARGET, PREDICTED = "target", "predicted"  # [N]: class, or number
LOSS = "loss"  # [N]: cross-entropy in nats, or the squared error
CONFIDENCE, MARGIN = "confidence", "margin"  # [N], for classes: the answer's probability, and how far above the second
RESIDUAL = "residual"  # [N], for a number: predicted − target
# For classes, K of them:
CONFUSION = "confusion"  # [target, predicted]: counts
PRECISION, RECALL, F1 = "class/precision", "class/recall", "class/f1"  # [K], NaN where nothing can be divided
SUPPORT = "class/support"  # [K]: answers that are this class
EDGES = "calibration/edges"  # [bins + 1]: shares of 1; a bin is (low, high]
BIN_COUNT = "calibration/count"  # [bins]: answers in the bin, and …
BIN_CONFIDENCE, BIN_ACCURACY = "calibration/confidence", "calibration/accuracy"  # … the means of these; NaN if empty
STEP_ACCURACY, STEP_ASKED = "step/accuracy", "step/asked"  # [step], where every step is asked: share right, answers
INDEX = "index"  # of the gallery: place among the N
SHOWN = "shown"  # of the gallery: the samples as people see them


def in_gallery(name: str) -> str:
    """The array of the answers that fit the options, in the asked order: SAMPLES to MARGIN, INDEX or SHOWN."""
    return f"gallery/{name}"


@dataclass(frozen=True, kw_only=True)
class MistakesFacts(Facts):
    """What the answers come to."""

    task: str  # of the data: CLASSES, NUMBER or EACH_STEP
    kind: str  # of the data's form
    classes: tuple[str, ...]  # of a number: its name
    vocabulary: tuple[str, ...]  # of tokens
    test_samples: int
    fits: int  # answers that fit the options
    chosen: tuple[int, int]  # target and predicted class that the gallery is limited to; −1: not limited
    answers: int
    right: int = 0  # of the answers, for classes
    accuracy: float = nan  # for classes
    confidence: float = nan  # its mean, for classes
    ece: float = nan  # the expected calibration error, for classes
    mse: float = nan  # for a number
    guess: float = nan  # for a number: the error of always answering the mean


ENTRY = View(
    name="mistakes",
    title=_("Mistakes"),
    look="core.worker.look.mistakes:look",
    needs="",
    options=Mistakes,
    facts=MistakesFacts,
    arrays=tuple(map(in_gallery, (INDEX, SAMPLES, STEPS, SHOWN, TARGET, PREDICTED, LOSS, CONFIDENCE, MARGIN))),
    optional_arrays=(
        *(SAMPLES, STEPS, TARGET, PREDICTED, LOSS, CONFIDENCE, MARGIN, RESIDUAL),
        *(CONFUSION, PRECISION, RECALL, F1, SUPPORT, EDGES, BIN_COUNT, BIN_CONFIDENCE, BIN_ACCURACY),
        *(STEP_ACCURACY, STEP_ASKED),
    ),
    of_sample=False,
    order=110,
    examples=(Mistakes(), Mistakes(order="least certain first", bins=10), Mistakes(target="0", count=3)),
)
