"""What can be asked of the engine besides starting a run. Answers are dataclasses of plain values and numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from core.spec.facts import AboutSample, Facts
from core.spec.options import Options
from core.spec.question_base import OfRuns, Question
from core.spec.sentences import Sentence, _
from core.spec.specs import Choice, DataSpec, LayerSpec, ModelSpec

if TYPE_CHECKING:  # a refusal on the command line does not wait for numpy
    import numpy as np

F = TypeVar("F", bound=Facts)


@dataclass(frozen=True)
class LayerRow:
    """One line of a Description. Shapes are without the batch; macs are multiply-adds of one sample."""

    name: str
    kind: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    params: int
    macs: int
    receptive_field: int  # pixels of the input that one output cell sees; 0 where the notion does not apply
    activations: int = 0  # bytes that this layer's output takes for one sample


@dataclass(frozen=True)
class Problem:
    """Why a model cannot work, or works badly: the guilty layer, a sentence, and one way to mend it."""

    layer: str
    message: str
    fix: str
    mended: tuple[LayerSpec, ...] = ()  # the whole model with the mend applied; empty where no click can mend it

    def sentence(self) -> str:
        """The three in one line."""
        return Sentence("{layer}: {message}. To mend it: {fix}.", layer=self.layer, message=self.message, fix=self.fix)


@dataclass(frozen=True)
class Description:
    """The answer to Describe."""

    params: int
    macs: int
    layers: tuple[LayerRow, ...]
    problems: tuple[Problem, ...]
    memory: int = 0  # bytes one training step needs with Adam: weights × 4, and what is kept for the backward pass
    code: str = ""  # PyTorch source of exactly this model; empty where it cannot work
    remarks: tuple[Problem, ...] = ()  # what a model that can work would do badly all the same


@dataclass(frozen=True)
class Describe(Question[Description]):
    """The layers of a model, checked on shapes alone: nothing is allocated. Answer: Description."""

    handler = "core.worker.answers:describe"
    model: ModelSpec
    data: DataSpec
    batch_size: int = 64
    input: tuple[int, ...] = ()  # overrides the data set's input shape, without the batch
    classes: int = 0  # overrides the data set's number of classes


@dataclass(frozen=True)
class ValueRange:
    """Of all values of the training part: the least, the largest, the mean and the standard deviation."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class DataPreview:
    """The answer to Preview.

    samples: pictures uint8 [n, H, W] or [n, H, W, 3] · tokens int64 [n, T], 0 = padding · sequences float32 [n, T, F] ·
    points float32 [n, 2], by `kind` (a form of core.catalog.entries). labels: int64 [n]; for a number float32 [n]; for
    a class at every step int64 [n, T], −100 where none is asked.
    """

    kind: str
    task: str  # classes, number or each_step
    samples: np.ndarray
    labels: np.ndarray
    shapes: dict[str, tuple[int, ...]]  # part → [n, …] of what the model gets; parts: train, validation, test
    counts: dict[str, dict[str, int]]  # part → class → how often it is the answer
    given: ValueRange  # as the model gets it
    raw: ValueRange  # as it is stored: bytes of pictures; everything else is given as it is
    classes: tuple[str, ...]  # for a number: its name
    vocabulary: tuple[str, ...]
    source: str
    licence: str
    notes: tuple[str, ...]  # sentences on what was loaded, where that is not what one would think


@dataclass(frozen=True)
class Preview(Question[DataPreview]):
    """What a data set holds, with `count` samples of its training part. Answer: DataPreview."""

    handler = "core.worker.answers:preview"
    data: DataSpec
    count: int = 24
    folder: str = ""  # of the data sets; empty means $LAYERLAB_DATA or data/ under the home


@dataclass(frozen=True)
class Sound(Question[str]):
    """Can the files of a data set that are here be used? Answer: a sentence on what is wrong, or ""."""

    handler = "core.worker.answers:sound"
    data: DataSpec
    folder: str = ""  # as in Preview


@dataclass(frozen=True)
class StartText(Question[str]):
    """Can a model of this data go on from this text? Answer: a sentence on why not, or ""."""

    handler = "core.worker.answers:start_text"
    data: DataSpec
    text: str
    folder: str = ""  # as in Preview


@dataclass(frozen=True)
class Refresh(OfRuns, Question[None]):
    """Make and write the live frame of a run that is not training, for this sample and layer. Answer: None."""

    handler = "core.worker.answers:refresh"
    run: str
    sample: int
    layer: str


@dataclass(frozen=True)
class Doctor(Question[dict[str, Any]]):
    """What the workers' machine offers. Answer: dict of plain values (devices, versions)."""

    handler = "core.worker.answers:doctor"


NEWEST = -1  # the step of a Look that follows the run
NO_WEIGHTS = _("This run keeps no weights yet; they come with its first step.")


@dataclass(frozen=True)
class Seen(Generic[F]):
    """The answer to Look.

    arrays: what the view shows and `look --out` writes, by the names that the view's entry declares (View.arrays).
    facts: plain values beside them, of the class that the entry declares (View.facts). words: sentences for the
    reader, the most important first. code: lines of PyTorch that compute the arrays, for a `network` and a batch `x` of
    one sample. names: lines that bind what they need besides, from `subject` (core.worker.look.subject) and `torch`.
    """

    view: str
    step: int  # of the weights that were looked at
    sample: int
    layer: str
    arrays: dict[str, np.ndarray]
    facts: F
    words: tuple[str, ...]
    code: str
    names: str = ""


@dataclass(frozen=True)
class Look(OfRuns, Question[Seen[Any]]):
    """One view of a run at one moment of its training. Answer: Seen."""

    handler = "core.worker.answers:look"
    run: str
    view: str  # a name of the catalog of views
    sample: int = 0  # of the test set
    layer: str = ""  # its address; empty: the first that the view offers
    step: int = NEWEST  # the nearest one of which weights are kept is shown
    options: Options = field(default_factory=Options)  # of the view
    drawing: str = ""  # a picture drawn by hand (core.spec.drawings) in the place of the test sample


PREDICTED, TRUE = "predicted", "true"


MOST_SPREAD = 50  # seeds of one map


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """What the maps of several seeds have in common.

    overlap: the mean share of the top tenth that two seeds share · correlation: the mean of Pearson's between two
    seeds · deviation: the largest standard deviation (n − 1) over the seeds, as a share of the mean's largest value.
    """

    seeds: list[int]
    overlap: float
    correlation: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One method's answer with its own proof.

    attribution: float32 in the input's shape, without the batch: pictures [channel, height, width], sequences
    [step, feature], points [feature], tokens [step] (contributions are summed over the embedding; of a
    gradient it is the length). Positive speaks for the target where the map is `signed`.
    delta: Σ attribution − (f(x) − f(baseline)); gap: |delta| / |f(x) − f(baseline)|; None where not defined.
    change: by how much a value changes if every other point of a way is left out. error: the standard error of a mean
    over random draws. Both of the place where it is largest, as a share of the map's largest value; None where nothing
    is averaged so. holds: do gap and change hold, as far as there are any? None where there is neither.
    cost: in units of one forward and one backward pass of one sample (a backward pass counts as two forward passes).
    """

    method: str
    step: int  # of the weights
    sample: int
    target: str  # in words
    layer: str
    attribution: np.ndarray
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # "layer" (values at the layer), "x", "baseline"
    delta: float | None = None
    gap: float | None = None
    change: float | None = None
    error: float | None = None
    holds: bool | None = None
    cost: float = 0.0
    seconds: float = 0.0
    seed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)  # numbers of the method's own: f_x, f_baseline, points, …
    about: AboutSample | None = None  # the sample; None where no run was asked
    classes: tuple[str, ...] = ()  # names of the run's classes
    draws: bool = False  # is another seed another map?
    over: OverSeeds | None = None  # of a mean over several seeds
    failed: bool = False  # withheld because of a mistake of ours, not of what was asked
    words: tuple[str, ...] = ()
    code: str = ""  # lines of plain Captum that bind `attribution`, given model ([n, …] → [n]), x, baseline and seed
    withheld: str = ""  # why there is no attribution; `attribution` is empty then
    signed: bool = True  # have the values a direction?
    rounding: str = ""  # why nothing can be read off the map: its values are float32's rounding; `words` say it, too


@dataclass(frozen=True, kw_only=True)
class Explain(OfRuns, Question[tuple[Explained, ...]]):
    """Why a run's network answers as it does. Answer: a tuple of Explained, each also sent as a part when it is ready.

    target: "predicted", "true", a class's number "3", a difference "3-5"; with "@7" behind it: at step 7, for data
    that asks at every step (else the last step that is asked). What cannot be had is an Explained with `withheld`.
    """

    handler = "core.worker.answers:explain"
    run: str
    methods: tuple[Choice, ...]  # name and options of each
    sample: int = 0  # of the test set
    target: str = PREDICTED
    layer: str = ""  # for methods that explain by a layer; empty: the first that the method offers
    step: int = NEWEST
    seed: int = 0
    drawing: str = ""  # a picture drawn by hand (core.spec.drawings) in the place of the test sample
    spread: tuple[str, ...] = ()  # of the methods: those whose map is to be the mean over several seeds, from `seed` on
    seeds: int = 5  # for those, 2 to MOST_SPREAD; see core.worker.explain.seed_spread


@dataclass(frozen=True)
class Reproduction:
    """The answer to Reproduce: the program, and what it reads from attribution.npz beside it."""

    program: str
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Reproduce(Question[Reproduction]):
    """A program that makes an attribution again with plain Captum. `asked` names one method. Answer: Reproduction."""

    handler = "core.worker.answers:reproduce"
    asked: Explain

    def placed(self, runs: str) -> Self:
        """See Question.placed."""
        return replace(self, asked=self.asked.placed(runs))


@dataclass(frozen=True)
class MethodFit:
    """Part of the answer to Fits. status: ready, other (ready by another way, named in the reason) or withheld."""

    method: str
    status: str
    reason: str
    layers: tuple[str, ...] = ()  # to choose among
    cost: float = 0.0  # units that its default options are predicted to take, and …
    most: float = 0.0  # … that they do not exceed


@dataclass(frozen=True)
class Fits(OfRuns, Question[tuple[MethodFit, ...]]):
    """Which methods are right for a run's network. Answer: a tuple of MethodFit in the order of the catalog."""

    handler = "core.worker.answers:fits"
    run: str
    step: int = NEWEST


@dataclass(frozen=True)
class Measured:
    """The mean over the seeds, and the standard deviation (n − 1) over the seeds' own means.

    Of a single seed: the mean over its samples, and its standard error.
    """

    mean: float
    spread: float


@dataclass(frozen=True)
class ScoreRow:
    """One method on one trial. cue_…: against the planted cue; None where there is none.

    hit: how often the largest value lies in the evidence · mass: the share of the map in it · auroc: how often a place
    of the evidence has more than another place (by chance: 0.5). All by size, whatever the sign: a mask says where the
    evidence is, not which way it speaks. For tokens the padding is left out.
    """

    data: str
    method: str
    control: bool  # it knows nothing of the network, or of what the network has learned
    seeds: int
    samples: int  # of all seeds together
    hit: Measured
    mass: Measured
    auroc: Measured
    cue_hit: Measured | None
    cue_mass: Measured | None
    cue_auroc: Measured | None
    cost: Measured  # units
    seconds: Measured
    chance: float  # hit and mass of a map that knows nothing: the share of the sample that is evidence
    cue_chance: float | None


@dataclass(frozen=True)
class Gate:
    """Does this network really use what a map is to find? One that does not is not scored.

    The three are shares of the test samples that are answered right.
    """

    data: str
    seed: int
    uses: str  # "evidence", or "cue": what it should use
    accuracy: float
    without: float  # when what it should use is exchanged, and the label stays
    otherwise: float  # when the cue, or everything else, is exchanged
    passed: bool
    words: str


@dataclass(frozen=True)
class Hanging:
    """How much of the explained number hangs on a part of the sample: its mean change when that part is exchanged.

    A share of the number's mean size; 2 is a number that changes its sign. part: "evidence", "cue" (the planted patch)
    or "rest" (of words those that are no evidence).
    """

    data: str
    part: str
    share: Measured
    seeds: int


@dataclass(frozen=True)
class Scored:
    """The answer to Score.

    table: CSV, one line for each trial, seed, method and sample; the rows are its means. arrays: one example sample a
    trial, "NAME/shown", "NAME/evidence", "NAME/cue" and "NAME/method/METHOD" (its map, in the sample's shape).
    """

    quick: bool
    seeds: int
    seconds: float
    when: float  # since the epoch
    rows: tuple[ScoreRow, ...]
    gates: tuple[Gate, ...]
    left_out: tuple[tuple[str, str, str], ...]  # (trial, method, why)
    reveal: tuple[str, ...]  # methods that show that the cheating network reads the patch
    draw: tuple[str, ...]  # methods that draw the shape there
    words: tuple[str, ...]
    table: str
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)  # of the examples: "NAME/class", "NAME/seed", "NAME/words"
    hanging: tuple[Hanging, ...] = ()
    more: tuple[str, ...] = ()  # those of `draw` that put more of their map there than of the number hangs on it


@dataclass(frozen=True)
class Score(OfRuns, Question[Scored]):
    """How well the methods find evidence that is known, on networks trained for it. Answer: Scored.

    quick: fewer seeds, steps and samples; a look, not a claim. 0 and () leave the number or the list as it is there.
    run: this run's own network is scored instead, where the evidence of its data is known.
    """

    handler = "core.worker.answers:score"
    quick: bool = False
    seeds: int = 0
    data: tuple[str, ...] = ()  # names of core.catalog.trials
    methods: tuple[str, ...] = ()
    samples: int = 0  # a network, of those that it answers right
    steps: int = 0
    run: str = ""
    step: int = NEWEST  # of the run's weights


def kinds() -> list[type[Question[Any]]]:
    """Every question of LayerLab's, by its class. One that is declared elsewhere is none."""
    return [kind for kind in Question.__subclasses__() if kind.__module__.startswith("core.")]
