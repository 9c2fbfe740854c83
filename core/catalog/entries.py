"""The forms of catalog entries. An entry is light: options, words, closed forms, and the name of its heavy half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from core.spec.facts import Facts
from core.spec.options import Options
from core.spec.quoting import Quoted
from core.spec.sentences import Sentence, _
from core.spec.specs import LayerSpec

PICTURE, SEQUENCE, TOKENS, VECTOR = "picture", "sequence", "tokens", "vector"
WORDS = {  # how a form is written in a sentence
    PICTURE: _("a picture [channel, height, width]"),
    SEQUENCE: _("a sequence [step, feature]"),
    TOKENS: _("a row of tokens [step]"),
    VECTOR: _("a vector [feature]"),
}

CLASSES, NUMBER, EACH_STEP = "classes", "number", "each_step"
TASKS = {  # what is asked about a sample, as a sentence has it
    CLASSES: _("one class a sample"),
    NUMBER: _("one number a sample"),
    EACH_STEP: _("a class at every step"),
}


@dataclass(frozen=True)
class Form:
    """The shape of one sample between two layers, without the batch, and what its axes mean."""

    kind: str  # PICTURE [C, H, W], SEQUENCE [T, F], TOKENS [T] (ids), VECTOR [F]
    shape: tuple[int, ...]

    def words(self) -> str:
        """The shape as people write it: 16×14×14."""
        return Quoted("×".join(map(str, self.shape))) or _("nothing")


@dataclass(frozen=True)
class DataForm(Form):
    """What a data set gives: the form of one sample, and what is asked about it."""

    classes: int = 10  # logits of the answer; 1 for a number
    vocabulary: int = 0  # number of token ids, 0 = padding; for TOKENS only
    task: str = CLASSES  # classes: one of them a sample · number: one a sample · each_step: a class at every step
    next_step: bool = False  # the class asked at a step is the token of the next: no step may read a later one

    def answer(self) -> Form:
        """What a model must end with."""
        if self.task == EACH_STEP:
            return Form(SEQUENCE, (self.shape[0], self.classes))
        return Form(VECTOR, (self.classes,))

    def asks(self) -> str:
        """What a model must end with, in words."""
        if self.task == EACH_STEP:
            return Sentence("{classes} logits at each of {steps} steps", classes=self.classes, steps=self.shape[0])
        if self.task == NUMBER:
            return _("one number")
        return Sentence("one logit for each of {classes} classes", classes=self.classes)


@dataclass(frozen=True)
class Window:
    """How far one output cell of a layer sees: kernel, stride and dilation in pixels."""

    kernel: int
    stride: int = 1
    dilation: int = 1


@dataclass(frozen=True)
class Fault:
    """Why a layer cannot work on what it gets, and one mend: in words, and as what a click does to the layers.

    The click changes `options` of the layer itself, puts layers (kind, options) before it, or removes it;
    a fault with none of the three can be mended by words only.
    """

    message: str
    fix: str
    options: dict[str, Any] = field(default_factory=dict)
    insert: tuple[tuple[str, dict[str, Any]], ...] = ()
    remove: bool = False


def _nothing(_options: Any, _form: Form) -> dict[str, Any]:
    return {}


def _no_fault(_options: Any, _form: Form) -> Fault | None:
    return None


def _always(_layers: Any, _form: Any) -> bool:
    return True


def _all_offered(_name: str, _layer: Any, _layers: Any, _form: Any) -> bool:
    return True


def _no_layers(_layers: Any, _form: Any) -> tuple[str, ...]:
    return ()


def _no_window(_options: Any) -> tuple[Window, ...]:
    return ()


@dataclass(frozen=True)
class Layer:
    """A kind of layer. `module` is the class's address; `arguments` its keyword arguments for what the layer gets."""

    name: str
    title: str
    module: str
    takes: tuple[str, ...]  # kinds of form
    gives: str = "same"  # kind of form it makes
    options: type[Options] = Options
    arguments: Callable[[Any, Form], dict[str, Any]] = _nothing
    fault: Callable[[Any, Form], Fault | None] = _no_fault
    windows: Callable[[Any], tuple[Window, ...]] = _no_window
    masked: bool = False  # forward(x, mask) instead of forward(x); mask [batch, step], True = a real step
    attention: str = ""  # address below the layer of a module with `weights(x, mask)`, where there is one
    examples: tuple[tuple[Options, Form], ...] = ()
    order: int = 100


@dataclass(frozen=True)
class Architecture:
    """A family of models: from options and what the data gives to a list of layers."""

    name: str
    title: str
    options: type[Options]
    layers: Callable[[Any, DataForm], tuple[LayerSpec, ...]]
    takes: tuple[str, ...]
    tasks: tuple[str, ...] = (CLASSES, NUMBER)  # what it can answer
    example_data: DataForm = DataForm(PICTURE, (1, 28, 28), 10)  # what `describe` assumes where nothing is said
    recommended: dict[str, Any] = field(default_factory=dict)  # train fields that this family learns well with
    examples: tuple[Options, ...] = ()
    order: int = 100


@dataclass(frozen=True)
class Dataset:
    """A data set. `load` is the address of a function (options, seed, folder, report) → Splits (core.worker.data)."""

    name: str
    title: str
    options: type[Options]
    load: str
    form: Callable[[Any], DataForm]
    source: str
    licence: str
    files: bool = False  # is read from files, which may be broken: they are looked at before a run is made
    examples: tuple[Options, ...] = ()
    order: int = 100


@dataclass(frozen=True)
class Optimizer:
    """An optimizer. `module` is the class's address; lr and weight_decay are given by the TrainSpec."""

    name: str
    title: str
    module: str
    options: type[Options]
    arguments: Callable[[Any], dict[str, Any]]
    fused: bool = True  # has one kernel for all weights; else torch's foreach
    of_network: bool = False  # is given the network, not its parameters: it treats layers differently
    examples: tuple[Options, ...] = ()
    order: int = 100


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves: `factor(options, step, steps)` multiplies it; step counts from 0.

    A test of learning rates has `suggest(rates, losses)` → (suggested rate or 0, rate with the smallest loss); there
    a loss that explodes is the end, not a failure.
    """

    name: str
    title: str
    options: type[Options]
    factor: Callable[[Any, int, int], float]
    suggest: Callable[[list[float], list[float]], tuple[float, float]] | None = None
    source: str = ""
    examples: tuple[Options, ...] = ()
    order: int = 100


@dataclass(frozen=True)
class Augmentation:
    """How training batches are varied. `module`: the address of a class (classes, fill, **arguments).

    Its objects change a batch: (x, y) → (x, y).
    """

    name: str
    title: str
    module: str
    options: type[Options]
    arguments: Callable[[Any], dict[str, Any]]
    takes: tuple[str, ...] = (PICTURE,)
    tasks: tuple[str, ...] = (CLASSES, NUMBER)
    mixes: bool = False  # mixes samples and their labels; one of these at a time
    # of one that mixes: (options, numpy generator, n) → n draws of the part that the first of two labels has
    shares: Callable[[Any, Any, int], Any] | None = None
    source: str = ""
    examples: tuple[Options, ...] = ()
    order: int = 100


@dataclass(frozen=True, kw_only=True)
class View:
    """A way to look inside a run at one moment of its training.

    `look` is the address of a function (core.worker.look.subject.Subject, options, report) → Seen[facts], where
    report(fraction, words, part=None) tells how far it is and lets the question be given up. `applies` and `layers`
    judge a model by its list of layers alone, so that a page need not ask for what cannot be.
    """

    name: str
    title: str
    look: str
    needs: str  # a sentence: what it is that a model without it lacks, and which presets have it; "" where all do
    options: type[Options] = Options
    facts: type[Facts] = Facts
    arrays: tuple[str, ...] = ()  # names, with * for what differs from network to network; these are always there,
    optional_arrays: tuple[str, ...] = ()  # these depend on the options and the network
    applies: Callable[[tuple[LayerSpec, ...], DataForm], bool] = _always
    layers: Callable[[tuple[LayerSpec, ...], DataForm], tuple[str, ...]] = _no_layers  # to choose among; () = no choice
    # (option, chosen layer, all layers, data) → can this option matter here? One that cannot is not shown:
    offers: Callable[[str, LayerSpec | None, tuple[LayerSpec, ...], DataForm], bool] = _all_offered
    of_sample: bool = True  # shows one sample, not the whole test set
    marks_sample: bool = False  # shows the whole set, and where the sample lies in it
    examples: tuple[Options, ...] = ()
    section: str = "look_inside"  # of the menu
    draws_itself: bool = False  # its page asks and draws by itself, not as those of the other views do
    order: int = 100  # in its section


@dataclass(frozen=True)
class Findings:
    """What an attribution method must know of a network, found by running it once (core.worker.explain.inspect).

    Every field names the addresses of the modules where it is so; () = nowhere.
    """

    kinds: frozenset[str] = frozenset()  # class names of all modules that were called: "Conv2d", "LayerNorm", …
    reused: tuple[str, ...] = ()  # modules called more than once in one pass
    functional: tuple[str, ...] = ()  # "address: relu" where an activation is a function, not a module of its own
    inplace: tuple[str, ...] = ()  # activations that overwrite what they get
    relu_before_max_pool: tuple[str, ...] = ()  # the max-pools whose input is the very tensor a ReLU has given
    activations: tuple[str, ...] = ()  # ReLU, GELU, tanh …: modules of their own
    relus: tuple[str, ...] = ()  # those of them that are ReLUs
    convolutions: tuple[str, ...] = ()  # those that give maps [channel, height, width]
    normalisations: tuple[str, ...] = ()  # batch norms (they are affine in evaluation)
    layer_norms: tuple[str, ...] = ()  # layer and group norms: they mix what they get
    softmaxes: tuple[str, ...] = ()  # softmax and attention inside the network
    recurrent: tuple[str, ...] = ()  # RNN, LSTM, GRU
    embeddings: tuple[str, ...] = ()  # token ids become vectors here
    products: tuple[str, ...] = ()  # where two signals that both depend on the input are multiplied (gates)
    without_rule: tuple[str, ...] = ()  # "address (Kind)" of leaf modules for which Captum has no rule of LRP
    bends: tuple[str, ...] = ()  # names of what bends the signal: functions of one value, and max-pools
    chained: tuple[str, ...] = ()  # activations and max-pools that get the very tensor another one has given
    max_pools: tuple[str, ...] = ()
    overlapping: tuple[str, ...] = ()  # those of them whose windows overlap or have gaps
    additions: tuple[str, ...] = ()  # where two signals that both depend on the input are added (shortcuts)
    loose: tuple[str, ...] = ()  # "address: mean" where a sum or a factor is a function, not a module of its own
    biased: tuple[str, ...] = ()  # where a constant is added: biases, norms, positions
    foldable: tuple[tuple[str, str], ...] = ()  # (convolution or linear layer, the batch norm that alone reads it)
    strange: tuple[str, ...] = ()  # "address: exp" where a function is called of which no rule is known


READY, OTHER, WITHHELD = "ready", "other", "withheld"


@dataclass(frozen=True)
class Fit:
    """Is a method right for a network? ready · other: ready by another way, which `reason` names · withheld."""

    status: str = READY
    reason: str = ""  # a sentence; "" where it is ready


@dataclass(frozen=True)
class Size:
    """What the price of a method depends on besides its options."""

    form: DataForm
    features: int  # pixels, steps × features or tokens of one sample
    channels: int = 1


def _ready(_findings: Findings) -> Fit:
    return Fit()


def _one_pass(_options: Any, _size: Size) -> float:
    return 1.0


GRADIENT, PATH, RULE, PERTURBATION, LAYER, NEURON, CONTROL = (
    "gradient",
    "path",
    "rule",
    "perturbation",
    "layer",
    "neuron",
    "control",
)


POINTS, DRAWS, FITS = "points", "draws", "fits"  # see Method.averages
MAP_TOLERANCE = 0.02  # of the largest value: what a value of a map may change if every other point is left out


@dataclass(frozen=True, kw_only=True)
class Method:
    """An attribution method: which parts of one input made the network answer as it did.

    `attribute` is the address of a function (core.worker.explain.explained_case.Case, options) → Result. `cost`
    predicts, from options and Size, the price in units: one unit is a forward and a backward pass of one sample.
    Options that have `steps` and `most` begin with so many points and go on, where it is needed, to at most so many.

    A map that is a mean says how right it is. averages = POINTS: over points of a way, as many as it takes until the
    map changes by no more than MAP_TOLERANCE if every other one is left out (Explained.change) · DRAWS: over random
    draws, whose number is chosen: their standard error is told (Explained.error) · FITS: a model is fitted to random
    draws, which has no such error: another seed shows how far it goes · "": nothing is averaged.
    """

    name: str
    title: str
    attribute: str
    words: str  # a sentence: what the picture shows, for somebody who meets the method for the first time
    family: str  # GRADIENT, PATH, RULE, PERTURBATION, LAYER, NEURON or CONTROL
    options: type[Options] = Options
    fit: Callable[[Findings], Fit] = _ready
    cost: Callable[[Any, Size], float] = _one_pass
    layers: Callable[[tuple[LayerSpec, ...], DataForm], tuple[str, ...]] = _no_layers  # to choose among; () = no choice
    signed: bool = True  # values have a direction: for or against the answer
    tolerance: float = 0.05  # of the completeness gap, where the method is complete
    averages: str = ""  # POINTS, DRAWS, FITS
    takes: tuple[str, ...] = (PICTURE, SEQUENCE, TOKENS, VECTOR)
    panel: bool = False  # one of the eight that are shown first
    source: str = ""  # paper, section
    examples: tuple[Options, ...] = ()
    order: int = 100

    def most(self, options: Any, size: Size) -> float:
        """Units that it does not exceed: more than `cost` where it goes on until its sum is right."""
        if hasattr(options, "steps") and hasattr(options, "most"):
            options = replace(options, steps=max(options.steps, options.most))
        return self.cost(options, size)
