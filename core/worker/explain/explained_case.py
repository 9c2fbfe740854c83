"""What an attribution method works on: a private network, one sample, the number to explain, and what it has cost.

Every method is built on four calls: `f` (differentiable), `values` and `gradients` (any number of rows, in batches that
fit the memory, counted, cancellable) and `baseline`. Tokens are explained through their embedding vectors.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from core.catalog.applies import check_seed, check_target
from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, TOKENS, DataForm, Findings, Size
from core.spec.options import SpecError
from core.spec.questions import PREDICTED, TRUE
from core.spec.quoting import quoted, shown
from core.spec.sentences import Sentence, _
from core.spec.specs import LayerSpec
from core.worker.data.splits import NOT_ASKED, Splits
from core.worker.explain import baselines
from core.worker.explain.inspect import inspect
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.build import Network

BUDGET = 192 << 20  # bytes that the activations of one batch may take
ROWS = 64  # at most in one batch; µs a row, forward and backward, by rows 16, 32, 64, 96 (one thread):
# transformer 82, 61, 53, 49 · lstm 46, 36, 30, 29 · cnn 98, 98, 103, 103 · resnet8 368, 366, 369, 492
ROUNDING = 1e-6  # of the answers: a difference of two of them, or a place of a map, is no more than float32's rounding
TELL = 0.05  # seconds between two words on progress

# What a value of a map is, which decides how those of a token are put together and what they are measured by.
CONTRIBUTION = "contribution"  # a part of the answer
GRADIENT = "gradient"  # of the answer: by how much it changes for each unit of change
VARIANCE = "variance"  # of gradients
VALUE = "value"  # of something else: a layer's own values, a map that does not ask the network


class Withheld(CannotShow):
    """A method that cannot be had for this network or sample; the text says why."""


@dataclass(frozen=True)
class Target:
    """The number that is explained: a logit, the difference of two, or the number that the network answers."""

    index: int
    other: int | None = None  # its logit is subtracted
    step: int | None = None  # of an answer at every step
    words: str = ""

    def of(self, answers: Tensor) -> Tensor:
        """[n, …] answers of the network → [n]."""
        if self.step is not None:
            answers = answers[:, self.step]
        answers = answers.flatten(1)
        picked = answers[:, self.index]
        return picked if self.other is None else picked - answers[:, self.other]


@dataclass
class Result:
    """What a method found.

    attribution: [1, …] in the shape of Case.inputs. complete: it should sum to f(inputs) − f(baseline), or to
    `expected` where that is another number (the mean over several baselines), or to what `expected` finds when it is
    called: a check is not part of the price. `change`, `error` and `code`: see Explained.
    of: CONTRIBUTION, GRADIENT, VARIANCE or VALUE.
    signed: have the values a direction? (Where the method's have one at all.)
    """

    attribution: Tensor
    complete: bool = False
    baseline: Tensor | None = None
    expected: float | Callable[[], float] | None = None
    change: float | None = None
    error: float | None = None
    arrays: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    words: Sequence[str] = ()
    code: str = ""
    of: str = CONTRIBUTION
    signed: bool = True


def _quiet(_fraction: float, _words: str, _part: Any = None) -> None:
    return None


def _as_it_is(_network: nn.Module) -> None:
    return None


class Case:
    """One sample of one network, to be explained. The network is a copy in float32, evaluating: yours to change.

    move: what is done to the weights, also to those that a method puts in their place.
    inputs: [1, …] float32; for tokens their embedding vectors [1, step, width], and `ids` [1, step] besides.
    real: [step] bool, the tokens that are no padding; None for other data. x: what the network itself is given.
    """

    def __init__(  # noqa: PLR0913
        self,
        network: Network,
        x: Tensor,
        form: DataForm,
        *,
        y: Tensor | None = None,
        splits: Splits | None = None,
        specs: tuple[LayerSpec, ...] = (),
        sample: int = -1,
        target: str = PREDICTED,
        layer: str = "",
        seed: int = 0,
        report: Report = _quiet,
        move: Callable[[nn.Module], None] = _as_it_is,
    ) -> None:
        self._given, self.move = network, move
        self.network: Network = copy.deepcopy(network).float().eval().requires_grad_(False)
        move(self.network)
        if form.kind == PICTURE:  # convolutions of many rows are faster so (a third, small CNN on one thread)
            self.network.to(memory_format=torch.channels_last)
        self.x, self.y, self.form, self.splits, self.specs = x, y, form, splits, specs
        self.sample, self.layer, self._seed = sample, layer, seed
        self.drew = False  # has somebody asked for the seed?
        self.report, self.title = report, ""
        self.words: list[str] = []
        self.forward_rows = self.backward_rows = 0
        self.predicted = 0.0  # units that are expected; 0: not known
        self._told = time.perf_counter()
        self.ids: Tensor | None = None
        self.real: Tensor | None = None
        self.inputs = x.detach().clone()
        if form.kind == TOKENS:
            self.ids, self.real = x, (x != 0)[0]
            with torch.no_grad():
                self.inputs = self.embedding(x).detach().clone()
        self.inputs = self._begun = self.inputs.float()
        self.findings: Findings = inspect(self.network, x)
        answers, memory = self._first_look()
        self.rows = int(max(1, min(ROWS, BUDGET // max(1, memory))))
        self.answers = answers
        self.target = self.asked = target_of(target, answers, y, form, splits)

    @property
    def seed(self) -> int:
        """What everything random is drawn from. Who asks for it draws."""
        self.drew = True
        return self._seed

    # ── the network ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def embedding(self) -> nn.Module:
        """Where token ids become vectors."""
        for module in self.network.modules():
            if isinstance(module, nn.Embedding):
                return module
        raise Withheld(_("Tokens are explained by their embedding vectors, and this network has no token embedding."))

    def logits(self, inputs: Tensor) -> Tensor:
        """What the network answers to [n, …] inputs (for tokens: embedding vectors): [n, …], differentiable."""
        if self.ids is None:
            answers: Tensor = self.network(inputs)
            return answers
        with self._embedded(inputs):
            answers = self.network(self.ids.expand(len(inputs), -1))
        return answers

    @contextmanager
    def _embedded(self, vectors: Tensor) -> Iterator[None]:
        """Inside, the embedding gives these vectors, whatever ids it gets; the ids still say what is padding.

        Ahead of other hooks, so that one which looks at the embedding, or puts its own values there, is right, too.
        """
        handle = self.embedding.register_forward_hook(lambda _module, _inputs, _output: vectors, prepend=True)
        try:
            yield
        finally:
            handle.remove()

    def f(self, inputs: Tensor) -> Tensor:
        """The number to explain, for [n, …] inputs: [n], differentiable. Counts, tells, can be given up."""
        self.forward_rows += len(inputs)
        self._tell()
        values = self.target.of(self.logits(inputs))
        if values.requires_grad:
            values.register_hook(self._went_back)
        return values

    def _went_back(self, gradient: Tensor) -> None:
        self.backward_rows += len(gradient)

    @property
    def model(self) -> nn.Module:
        """f as a module, with the network as its part `network`: what Captum's classes are given."""
        return _Model(self)

    def values(self, inputs: Tensor) -> Tensor:
        """f of [n, …] inputs, without gradients: [n]."""
        with torch.no_grad():
            return torch.cat(list(self.batched(self.f, inputs)))

    def gradients(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """f of [n, …] inputs and its gradient there: [n], [n, …]."""
        both = list(self.batched(self._value_and_gradient, inputs))
        return torch.cat([value for value, _gradient in both]), torch.cat([gradient for _value, gradient in both])

    def _value_and_gradient(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        inputs = inputs.detach().clone().requires_grad_()
        values = self.f(inputs)
        (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach(), gradient

    def batched(self, call: Callable[[Tensor], Any], inputs: Tensor) -> Iterator[Any]:
        """`call` of all rows, as many at once as fit; where the memory does not do, half as many."""
        at = 0
        while at < len(inputs):
            try:
                done = call(inputs[at : at + self.rows])
            except (MemoryError, RuntimeError) as error:
                if self.rows == 1 or not out_of_memory(error):
                    raise
                self.rows //= 2
                self.words.append(Sentence("The memory did not do; it went on with batches of {rows}.", rows=self.rows))
                continue
            at += self.rows
            yield done

    def _first_look(self) -> tuple[Tensor, int]:
        """The network's answers to the sample [1, …], and the bytes that all its activations take."""
        held = 0

        def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
            nonlocal held
            held += output.numel() * 4 if isinstance(output, Tensor) else 0

        handles = [module.register_forward_hook(count) for module in self.network.modules()]
        try:
            with torch.no_grad():
                answers = self.logits(self.inputs)
        finally:
            for handle in handles:
                handle.remove()
        return answers, 2 * held

    def fold(self) -> None:
        """Make each batch norm a part of the layer before it: the same answers, one sum less (as in zennit).

        Not for who looks at a layer: what those two layers give is another thing afterwards.
        """
        for name, norm in self.findings.foldable:
            layer, batch_norm = self.network.get_submodule(name), self.network.get_submodule(norm)
            fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
            self.network.set_submodule(name, fuse(layer, batch_norm))
            self.network.set_submodule(norm, nn.Identity())

    def again(self, move: Callable[[nn.Module], None]) -> Case:
        """The same question, untouched by what a method has done to this network, to weights that `move` has moved."""
        made = Case(
            self._given,
            self.x,
            self.form,
            y=self.y,
            splits=self.splits,
            specs=self.specs,
            sample=self.sample,
            layer=self.layer,
            seed=self._seed,
            report=lambda _share, words, _part=None: self.report(0.99, words),
            move=move,
        )
        made.target, made.title, made.predicted = self.asked, self.title, self.predicted
        if not torch.equal(self.inputs, self._begun):  # somebody has put noise on them
            made.inputs = made.inputs + (self.inputs - self._begun)
            with torch.no_grad():
                made.answers = made.logits(made.inputs)
        return made

    # ── what it is compared with, and what it has cost ──────────────────────────────────────────────────────────

    def baseline(self, options: Any) -> Tensor:
        """[1, …] the baseline that the options (see catalog/attribution/_options.py) name, in the shape of inputs."""
        return baselines.make(self, options)

    @property
    def size(self) -> Size:
        """For Method.cost."""
        return Size(self.form, int(np.prod(self.form.shape)), self.form.shape[0] if len(self.form.shape) == 3 else 1)

    @property
    def cost(self) -> float:
        """Units so far: one is a forward and a backward pass of one sample; a backward pass counts as two forwards."""
        return (self.forward_rows + 2 * self.backward_rows) / 3

    def _tell(self) -> None:
        now = time.perf_counter()
        if now - self._told >= TELL:
            self._told = now
            share = min(0.99, self.cost / self.predicted) if self.predicted else 0.0
            self.report(share, self.title or "Explaining")


class _Model(nn.Module):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.network = case.network
        self._f = case.f
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        return self._f(inputs)


def out_of_memory(error: Exception) -> bool:
    """Is this what torch says when there is no memory left?"""
    said = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in said


def case_of(
    subject: Subject, *, target: str = PREDICTED, layer: str = "", seed: int = 0, report: Report = _quiet
) -> Case:
    """The sample that a view or a question looks at."""
    return Case(
        subject.network,
        subject.x,
        subject.form,
        y=subject.y,
        splits=subject.splits,
        specs=subject.layers,
        sample=subject.sample,
        target=target,
        layer=layer,
        seed=seed,
        report=report,
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch, numpy and random draw from `seed`; Captum uses all three. Their states are put back after it.

    SpecError for a seed that one of them does not take.
    """
    check_seed(seed)
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (Captum draws from it)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        if devices:
            torch.manual_seed(seed)
        else:  # before CUDA is in use torch would write down who asked: 0.2 ms, as much as a small network takes
            torch.default_generator.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


def drawn() -> tuple[Any, ...]:
    """How far the three have been drawn from: another value after every draw."""
    numpy: Any = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes(), numpy[1].tobytes(), numpy[2], random.getstate()


# ── the target ───────────────────────────────────────────────────────────────────────────────────────────────────────


def target_of(text: str, answers: Tensor, y: Tensor | None, form: DataForm, splits: Splits | None) -> Target:
    """What `text` (see core.spec.questions.Explain) means for these answers [1, …]; SpecError in words."""
    each_step = form.task == EACH_STEP
    check_target(text, form.task, answers.shape[-1], answers.shape[1] if each_step else 0)
    if form.task == NUMBER:
        name = splits.classes[0] if splits and splits.classes else _("the number")
        return Target(0, words=Sentence("the answered number ({name})", name=name))
    which, _at, where = text.partition("@")
    step = _step(where, answers, y) if each_step else None
    row = answers[0] if step is None else answers[0, step]
    names = splits.classes if splits else ()
    truth = None if y is None else int(y.reshape(-1)[0 if step is None else step])
    picked = [_class(part, row, truth) for part in which.split("-", 1)]
    index, other = picked[0], picked[1] if len(picked) > 1 else None
    if index == other:
        name = quoted(_name(names, index))
        raise SpecError(
            "target",
            Sentence(
                "Both sides of {which} are “{name}” here, and a class less itself is 0 whatever the input: there "
                "is nothing to explain. Choose another class to compare with.",
                which=shown(which),
                name=name,
            ),
        )
    words = Sentence("“{name}”", name=quoted(_name(names, index)))
    if other is not None:
        words = Sentence("“{name}” and not “{other}”", name=quoted(_name(names, index)), other=_name(names, other))
    if step is not None:
        words = Sentence("{answer} at step {step}", answer=words, step=step)
    return Target(index, other, step, words)


def _class(part: str, row: Tensor, truth: int | None) -> int:
    """The class that one side of a target names."""
    if part == PREDICTED:
        return int(row.argmax())
    if part == TRUE:
        if truth is None or truth == NOT_ASKED:
            raise SpecError("target", _("Nobody knows the true class of this sample; choose predicted or a class."))
        return truth
    return int(part)


def _step(where: str, answers: Tensor, y: Tensor | None) -> int:
    if where:
        return int(where)
    asked = torch.nonzero(y.reshape(-1) != NOT_ASKED).flatten() if y is not None else None
    return int(asked[-1]) if asked is not None and len(asked) else answers.shape[1] - 1


def _name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else str(index)
