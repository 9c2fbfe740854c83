"""The scoreboard: methods on networks that are seen to use evidence that is known, over several seeds, with spread.

A network of each trial (core.catalog.trials) is trained for each seed and put to the gate (gates.py). Then every method
that is right for it explains test samples that it answers right: why this class and not the second. Each has its
default options and the first layer that it offers; its map is laid beside the masks (marks.py).
Methods that explain one unit inside the network (family NEURON) are left out: what a unit reacts to is not why the
network answers. For tokens the padding is left out. A costly method gets fewer samples. A map
that is no more than rounding is not scored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.catalog.entries import CONTROL, NEURON, TOKENS, WITHHELD, DataForm, Method
from core.catalog.trials import (
    CUE,
    EVIDENCE,
    EXAMPLE,
    EXAMPLE_CLASS,
    EXAMPLE_SEED,
    EXAMPLE_WORDS,
    MOST_SAMPLES,
    MOST_SEEDS,
    OWN,
    Trial,
    map_of,
    of_trial,
    signed_of,
    trials_of,
    within,
)
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import Explain, Explained, Gate, Score, Scored
from core.spec.sentences import Sentence, _
from core.spec.specs import Choice, LayerSpec
from core.worker.data.splits import Splits
from core.worker.explain.attribute import attribute, fit_of
from core.worker.explain.explained_case import Case
from core.worker.explain.scoreboard.dependence import Moved, hanging, moved
from core.worker.explain.scoreboard.gates import as_answered, gate, own_gate
from core.worker.explain.scoreboard.measures import Mark, against, rows_of, to_csv
from core.worker.explain.scoreboard.revealed import judged
from core.worker.look.subject import CannotShow, Report, subject_of
from core.worker.model.build import Network, data_form, layers_of
from core.worker.train.training import Training, load_data

FULL, QUICK = (5, 24, 4000.0), (2, 4, 150.0)  # seeds · samples a network · units that a method may take of a network
LEAST = 2  # samples of a network, however costly the method is
TELL = 0.15  # seconds between two words on progress
LEARNING = 0.25  # of a network's time, for the progress


@dataclass
class _Learned:
    """A trained network with its data, and the samples that methods are asked to explain."""

    name: str  # of its trial
    seed: int
    network: Network
    splits: Splits
    form: DataForm
    layers: tuple[LayerSpec, ...]

    def case(self, sample: int, report: Report) -> Case:
        """A sample, and why its class and not the second: what the gate exchanges decides between these two."""
        x, y = (part[sample : sample + 1] for part in self.splits.test)
        first, second = self.network(x)[0].topk(2).indices.tolist()
        return Case(
            self.network,
            x,
            self.form,
            y=y,
            splits=self.splits,
            specs=self.layers,
            sample=sample,
            target=f"{first}-{second}",
            seed=1000 * self.seed + sample,
            report=report,
        )

    def right(self, count: int) -> list[int]:
        """The first test samples that the network answers right."""
        x, y = self.splits.test
        answers = self.network(x[: 8 * count]).argmax(-1)
        return [int(i) for i in (answers == y[: 8 * count]).nonzero().flatten()[:count]]


@dataclass
class _Board:
    """What has been found so far."""

    marks: list[Mark] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class _Telling:
    """Progress over everything, told a few times a second; `at` and `share` say which part of it is under way."""

    def __init__(self, report: Report) -> None:
        self.report, self.at, self.share, self.words = report, 0.0, 1.0, ""
        self._told = 0.0

    def __call__(self, fraction: float, words: str, _part: Any = None) -> None:
        now = time.perf_counter()
        if now - self._told >= TELL:
            self._told = now
            self.report(min(0.999, self.at + self.share * fraction), f"{self.words}: {words}")


def score(question: Score, report: Report) -> Scored:
    """The scoreboard. SpecError for a trial or a method that there is not; CannotShow for a run that cannot be had."""
    started = time.perf_counter()
    trials, methods = trials_of(question.data), _methods(question.methods)
    seeds, samples, units = QUICK if question.quick else FULL
    seeds = 1 if question.run else within("seeds", question.seeds or seeds, MOST_SEEDS)
    most = (within("samples", question.samples or samples, MOST_SAMPLES), units)
    board, telling = _Board(), _Telling(report)
    if question.run:
        _own(question, methods, most, board, telling)
    else:
        rounds = [(trial, seed) for trial in trials for seed in range(seeds)]
        for i, (trial, seed) in enumerate(rounds):
            telling.words = Sentence("{trial}, seed {seed} of {seeds}", trial=trial.title, seed=seed + 1, seeds=seeds)
            telling.at, telling.share = i / len(rounds), LEARNING / len(rounds)
            steps = question.steps or (trial.quick_steps if question.quick else trial.steps)
            learned = _learned(trial, seed, steps, telling)
            board.gates.append(_gate(learned, trial.uses))
            if board.gates[-1].passed:
                telling.at, telling.share = (i + LEARNING) / len(rounds), (1 - LEARNING) / len(rounds)
                _explain_all(learned, methods, most, board, telling)
    return _scored(question, seeds, board, time.perf_counter() - started)


def _gate(learned: _Learned, uses: str) -> Gate:
    return gate(learned.name, uses, learned.seed, learned.network, learned.splits, learned.form.kind)


def _own(question: Score, methods: list[Method], most: tuple[int, float], board: _Board, telling: _Telling) -> None:
    """A run's own network: what it is seen to use, the evidence or a planted patch, and who finds it."""
    whole = Explain(run=question.run, methods=(), step=question.step, runs=question.runs, data_dir=question.data_dir)
    subject = subject_of(whole)
    splits = subject.splits
    if splits.evidence is None:
        raise CannotShow(
            Sentence(
                "The evidence of {data} is not known, so nobody can say which method finds it. Score a run on "
                "shapes, planted or reviews.",
                data=subject.experiment.data.name,
            )
        )
    telling.words = _("this run")
    learned = _Learned(OWN, subject.experiment.train.seed, subject.network, splits, subject.form, subject.layers)
    uses = (EVIDENCE, CUE) if splits.cue is not None and splits.cue.any() else (EVIDENCE,)
    board.gates += [_gate(learned, what) for what in uses]
    if CUE in uses and not any(one.passed for one in board.gates):  # often wrong, and yet it may be clear what it uses
        learned = replace(learned, splits=as_answered(learned.network, splits))
        right = board.gates[-1].accuracy
        board.gates[-1] = own_gate(learned.seed, learned.network, learned.splits, learned.form.kind, right)
    if any(one.passed for one in board.gates):
        board.gates = [one for one in board.gates if one.passed]
        _explain_all(learned, methods, most, board, telling)


def _methods(names: tuple[str, ...]) -> list[Method]:
    chosen = [registry.METHODS.get(name) for name in names] or list(registry.METHODS)
    return [method for method in chosen if method.family != NEURON]


def _learned(trial: Trial, seed: int, steps: int, telling: _Telling) -> _Learned:
    """Trained in this process; nothing of it is kept."""
    experiment = trial.experiment(seed, steps)
    telling(0.0, _("drawing the data"))
    splits = load_data(experiment)
    training = Training(experiment, splits, device="cpu")
    for _happened in training:
        telling(
            training.step / steps,
            Sentence("learning, step {training_step} of {steps}", training_step=training.step, steps=steps),
        )
    form = data_form(experiment.data)
    network = training.network.eval().requires_grad_(False)
    return _Learned(trial.name, seed, network, splits, form, layers_of(experiment.model, form))


def _explain_all(
    learned: _Learned, methods: list[Method], most: tuple[int, float], board: _Board, telling: _Telling
) -> None:
    """Every method that is right for the network; and how much of what they explain hangs on which part."""
    board.moved += moved(learned.name, learned.seed, learned.network, learned.splits, learned.form.kind)
    samples = learned.right(most[0])
    base, share = telling.at, telling.share
    _keep_example(learned, samples[0], board)
    for i, method in enumerate(methods):
        telling.at, telling.share = base + share * i / len(methods), share / len(methods)
        place = (learned.name, method.name)
        try:
            reason = _explain(learned, method, samples, most[1], board, telling)
        except SpecError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (minutes of work are not lost to one method)
            reason = Sentence(
                "It failed here ({name}: {first}).",
                name=type(error).__name__,
                first=str(error).splitlines()[0] if str(error) else "?",
            )
        if reason:
            board.left_out[place] = reason


def _explain(
    learned: _Learned, method: Method, samples: list[int], units: float, board: _Board, telling: _Telling
) -> str:
    """The method's marks on as many of the samples as its price allows; why not, where it is withheld."""
    choice = Choice(method.name, method.options())
    first = learned.case(samples[0], telling)
    fit = fit_of(method, first)
    if fit.status == WITHHELD:
        return fit.reason
    price = method.cost(choice.options, first.size)
    count = max(LEAST, min(len(samples), int(units / max(price, 1e-9))))
    marks, example = [], None
    for i, sample in enumerate(samples[:count]):
        telling(i / count, method.title)
        case = first if i == 0 else learned.case(sample, telling)
        case.report = _part(telling, i, count)
        found = attribute(case, choice)
        if found.withheld:  # of one sample only: its mean over the others would not be that of the other methods
            return found.withheld
        if found.rounding:  # what is scored would be noise, and noise can follow the picture
            return found.rounding
        marks.append(_mark(learned, sample, found))
        example = found if i == 0 else example
    board.marks += marks
    if example is not None and board.facts[of_trial(learned.name, EXAMPLE_SEED)] == learned.seed:
        board.arrays[map_of(learned.name, method.name)] = example.attribution
        board.facts[signed_of(learned.name, method.name)] = example.signed
    return ""


def _part(telling: _Telling, i: int, count: int) -> Report:
    return lambda fraction, words, _part=None: telling((i + fraction) / count, words)


def _mark(learned: _Learned, sample: int, found: Explained) -> Mark:
    """The map beside the masks."""
    there, splits = _places(learned, sample), learned.splits
    values = sizes(found.attribution, there)
    assert splits.evidence is not None
    judged: dict[str, float | None] = {**against(values, splits.evidence[sample][there])}
    for name in tuple(judged):
        judged[f"cue_{name}"] = None
    if splits.cue is not None and splits.cue[sample].any():
        judged |= {f"cue_{name}": value for name, value in against(values, splits.cue[sample][there]).items()}
    given: dict[str, Any] = {**judged, "cost": found.cost, "seconds": found.seconds}
    return Mark(learned.name, learned.seed, found.method, sample, **given)


def _places(learned: _Learned, sample: int) -> np.ndarray:
    """Where there is something to explain: the words, or every pixel."""
    if learned.form.kind == TOKENS:
        real: np.ndarray = (learned.splits.test[0][sample] != 0).numpy()
        return real
    return np.ones(learned.form.shape[1:], dtype=bool)


def sizes(found: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How much a map says of every place: its absolute value, summed over the channels of a picture."""
    size = np.abs(found.astype(np.float64))
    flat: np.ndarray = (size.sum(0) if size.ndim > there.ndim else size)[there]
    return flat


def _keep_example(learned: _Learned, sample: int, board: _Board) -> None:
    """What the trial looks like: the first sample of its first network."""
    name, splits = learned.name, learned.splits
    if of_trial(name, EXAMPLE) in board.arrays:
        return
    board.arrays[of_trial(name, EXAMPLE)] = splits.shown[sample]
    for kind, mask in (("evidence", splits.evidence), ("cue", splits.cue)):
        if mask is not None and mask[sample].any():
            board.arrays[of_trial(name, kind)] = mask[sample]
    board.facts[of_trial(name, EXAMPLE_SEED)] = learned.seed
    board.facts[of_trial(name, EXAMPLE_CLASS)] = splits.classes[int(splits.test[1][sample])]
    if splits.vocabulary:
        tokens = splits.shown[sample]
        board.facts[of_trial(name, EXAMPLE_WORDS)] = [splits.vocabulary[int(token)] for token in tokens]


def _scored(question: Score, seeds: int, board: _Board, seconds: float) -> Scored:
    controls = frozenset(method.name for method in registry.METHODS if method.family == CONTROL)
    rows = rows_of(board.marks, controls)
    hangs = hanging(board.moved)
    verdict = judged(rows, board.gates, question, hangs)
    left_out = tuple((*place, why) for place, why in board.left_out.items())
    return Scored(
        question.quick,
        seeds,
        seconds,
        time.time(),
        rows,
        tuple(board.gates),
        left_out,
        verdict.reveal,
        verdict.draw,
        verdict.words,
        to_csv(board.marks),
        board.arrays,
        board.facts,
        hangs,
        verdict.more,
    )
