"""What the network says of the whole test set.

What it gives is declared in core.catalog.views.mistakes. An answer is what is asked once: a sample's
class or number, or the class at one asked step of a row (each_step). N answers, K classes.

Sources: calibration and ECE: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2, equations 2, 3, 5.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER
from core.catalog.views.mistakes import (
    BIN_ACCURACY,
    BIN_CONFIDENCE,
    BIN_COUNT,
    CONFIDENCE,
    CONFUSION,
    INDEX,
    LOSS,
    MARGIN,
    PREDICTED,
    RESIDUAL,
    SAMPLES,
    SHOWN,
    STEP_ACCURACY,
    STEP_ASKED,
    STEPS,
    SUPPORT,
    TARGET,
    Mistakes,
    MistakesFacts,
    in_gallery,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.data.splits import NOT_ASKED
from core.worker.look.subject import Report, Subject, finite
from core.worker.train.objective import cross_entropy, squared_error

BATCH = 64  # samples between two reports
MOST = 100_000  # answers that are handed out one by one
KEPT = 4  # evaluations that a worker remembers: another cell of the same matrix then comes at once
PLAIN = {"\n": "↵", "\t": "⇥", " ": "␣"}  # how a page writes classes that cannot be seen

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Answers:
    """Every answer of the test set: samples, steps, target, predicted, loss [N]; for classes confidence, margin [N]."""

    samples: np.ndarray
    steps: np.ndarray
    target: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray


_known: OrderedDict[Any, Answers] = OrderedDict()


def look(subject: Subject, options: Mistakes, report: Report) -> Seen[MistakesFacts]:
    """The whole test set. CannotShow where an answer is no number."""
    found = answers_of(subject, report)
    finite(torch.from_numpy(found.loss))
    return _numbers(subject, options, found) if subject.form.task == NUMBER else _classes(subject, options, found)


def answers_of(subject: Subject, report: Report) -> Answers:
    """All answers, computed once for each moment of a run."""
    stamp = subject.run.weights_stamp(subject.step)
    key = (str(subject.run.path), subject.step, stamp)
    if key not in _known:
        _known[key] = _evaluate(subject, report)
    _known.move_to_end(key)
    while len(_known) > KEPT:
        _known.popitem(last=False)
    return _known[key]


def _evaluate(subject: Subject, report: Report) -> Answers:
    x, y = subject.splits.test
    pieces = []
    with torch.no_grad():
        for start in range(0, len(x), BATCH):
            report(
                start / len(x),
                Sentence("asking the network about test samples {start:,} to {x:,}", start=start, x=len(x)),
            )
            piece = slice(start, start + BATCH)
            pieces.append(_judged(subject.network(x[piece]), y[piece], subject.form.task, start))
    joined = [torch.cat(column).numpy() for column in zip(*pieces, strict=True)]
    return Answers(*joined)


def _judged(given: Tensor, y: Tensor, task: str, start: int) -> tuple[Tensor, ...]:
    """The columns of Answers for one batch, whose first sample is number `start`."""
    if task == NUMBER:
        said, nothing = given.reshape(y.shape), torch.zeros(len(y))
        samples = torch.arange(start, start + len(y))
        return samples, torch.zeros_like(samples), y, said, squared_error(given, y, "none"), nothing, nothing
    rows = y[:, None] if task == CLASSES else y
    logits = given[:, None] if task == CLASSES else given
    sample, step = (rows != NOT_ASKED).nonzero(as_tuple=True)
    logits, target = logits[sample, step], rows[sample, step]
    best = logits.softmax(-1).topk(min(2, logits.shape[-1])).values
    margin = best[:, 0] - best[:, -1] if best.shape[1] > 1 else best[:, 0]
    loss = cross_entropy(logits, target, "none")
    return sample + start, step, target, logits.argmax(-1), loss, best[:, 0], margin


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _classes(subject: Subject, options: Mistakes, found: Answers) -> Seen[MistakesFacts]:
    count = subject.form.classes
    confusion = confusion_of(found.target, found.predicted, count)
    arrays: Arrays = {CONFUSION: confusion, **per_class(confusion)}
    right = found.target == found.predicted
    arrays |= {f"calibration/{n}": v for n, v in calibration(found.confidence, right, options.bins).items()}
    if subject.form.task == EACH_STEP:
        arrays |= _by_step(found, right, subject.form.shape[0])
    words: list[str] = []
    target = class_of(subject, options.target, words)
    predicted = class_of(subject, options.predicted, words)
    in_row, in_column = (target < 0) | (found.target == target), (predicted < 0) | (found.predicted == predicted)
    fits = np.flatnonzero(in_row & in_column)
    chosen = fits[_order(found, options.order)[fits].argsort(kind="stable")][: options.count]
    arrays |= _gallery(subject, found, chosen) | _one_by_one(subject, found, words)
    error = expected_calibration_error(arrays[BIN_COUNT], arrays[BIN_CONFIDENCE], arrays[BIN_ACCURACY])
    facts = MistakesFacts(
        **_facts(subject, fits),
        chosen=(target, predicted),
        ece=error,
        right=int(right.sum()),
        accuracy=float(right.mean()) if len(right) else float("nan"),
        answers=len(right),
        confidence=float(found.confidence.mean()) if len(right) else float("nan"),
    )
    return subject.seen(arrays, facts, [*_said(subject, facts, confusion), *words], _CLASSES_CODE)


def confusion_of(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts [target, predicted], int64, of targets and answers [N]."""
    return np.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> Arrays:
    """Precision, recall, F1 and support [K]; NaN where nothing was said, or is, of a class."""
    hits, support, said = np.diag(confusion).astype(float), confusion.sum(1), confusion.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = {"precision": hits / said, "recall": hits / support, "f1": 2 * hits / (said + support)}
    return {**{f"class/{name}": value for name, value in ratios.items()}, SUPPORT: support}


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int) -> Arrays:
    """Confidence against accuracy in `bins` equal bins (low, high] of 0…1; see the module's arrays."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence.astype(np.float64), side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        sure = np.bincount(place, confidence, bins) / count
        share = np.bincount(place, right, bins) / count
    return {"edges": edges, "count": count, "confidence": sure, "accuracy": share}


def expected_calibration_error(count: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray) -> float:
    """The mean gap between confidence and accuracy of the bins, each weighted by its answers; share of 1."""
    there = count > 0
    gaps = np.abs(confidence[there] - accuracy[there]) * count[there]
    return float(gaps.sum() / max(1, count.sum()))


def class_of(subject: Subject, name: str, words: list[str]) -> int:
    """The number of the class of this name (a page may write a space as ␣), −1 for all; says so if there is none."""
    if name == "":
        return -1
    classes = subject.splits.classes
    for same in (lambda one: one == name, lambda one: PLAIN.get(one, one) == name, lambda one: one == name.strip()):
        if (at := next((i for i, one in enumerate(classes) if same(one)), -1)) >= 0:
            return at
    some = ", ".join(PLAIN.get(one, one) for one in classes[:12])
    words.append(
        Sentence(
            "There is no class {name}; all are shown. The classes are {some}{classes}.",
            name=name[:40],
            some=some,
            classes="…" * (len(classes) > 12),
        )
    )
    return -1


def _order(found: Answers, order: str) -> np.ndarray:
    """Keys [N] by which the answers are sorted, rising."""
    by = {"worst first": -found.loss, "least certain first": found.margin}
    return by.get(order, np.arange(len(found.samples)))


def _by_step(found: Answers, right: np.ndarray, steps: int) -> Arrays:
    asked = np.bincount(found.steps, minlength=steps)
    with np.errstate(invalid="ignore"):
        share = np.bincount(found.steps, right, steps) / np.where(asked > 0, asked, np.nan)
    return {STEP_ACCURACY: share, STEP_ASKED: asked}


def _one_by_one(subject: Subject, found: Answers, words: list[str]) -> Arrays:
    """What is known of each answer."""
    if len(found.samples) > MOST:
        words.append(
            Sentence("The {samples:,} answers are too many to be handed out one by one.", samples=len(found.samples))
        )
        return {}
    each = {
        SAMPLES: found.samples,
        TARGET: found.target,
        PREDICTED: found.predicted,
        LOSS: found.loss,
        CONFIDENCE: found.confidence,
        MARGIN: found.margin,
    }
    return each | ({STEPS: found.steps} if subject.form.task == EACH_STEP else {})


def _gallery(subject: Subject, found: Answers, chosen: np.ndarray) -> Arrays:
    samples = found.samples[chosen]
    return {
        in_gallery(INDEX): chosen,
        in_gallery(SAMPLES): samples,
        in_gallery(STEPS): found.steps[chosen],
        in_gallery(SHOWN): subject.splits.shown[samples],
        in_gallery(TARGET): found.target[chosen],
        in_gallery(PREDICTED): found.predicted[chosen],
        in_gallery(LOSS): found.loss[chosen],
        in_gallery(CONFIDENCE): found.confidence[chosen],
        in_gallery(MARGIN): found.margin[chosen],
    }


def _facts(subject: Subject, fits: np.ndarray) -> dict[str, Any]:
    return {
        "task": subject.form.task,
        "kind": subject.form.kind,
        "classes": subject.splits.classes,
        "vocabulary": subject.splits.vocabulary,
        "test_samples": len(subject.splits.test[0]),
        "fits": len(fits),
    }


def _said(subject: Subject, facts: MistakesFacts, confusion: np.ndarray) -> list[str]:
    n, right = facts.answers, facts.right
    each_step = subject.form.task == EACH_STEP
    what = (
        Sentence("asked steps of the {test_samples:,} test rows", test_samples=facts.test_samples)
        if each_step
        else _("test samples")
    )
    words: list[str] = [
        Sentence(
            "Of {n:,} {what}, {right:,} are answered right ({accuracy:.1%}) and {wrong:,} wrong.",
            n=n,
            what=what,
            right=right,
            accuracy=facts.accuracy,
            wrong=n - right,
        )
    ]
    wrong = confusion - np.diag(np.diag(confusion))
    if wrong.any():
        target, predicted = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        names = [PLAIN.get(name, name) for name in (subject.label(target), subject.label(predicted))]
        alike = int((wrong == wrong.max()).sum())
        times = "once" if wrong.max() == 1 else f"{int(wrong.max())} times"
        most = (
            _("The most frequent mistake")
            if alike == 1
            else Sentence("{alike} mistakes are equally frequent. One of them", alike=alike)
        )
        words.append(
            Sentence(
                "{most}: {true} was predicted as {predicted}, {times}.",
                most=most,
                true=names[0],
                predicted=names[1],
                times=times,
            )
        )
    gap = round(facts.confidence - facts.accuracy, 3)  # as it is written
    side = (
        _("surer than it is right")
        if gap > 0
        else _("less sure than it is right")
        if gap
        else _("as sure as it is right")
    )
    words.append(
        Sentence(
            "On average it is {confidence:.1%} sure and {accuracy:.1%} right: {side}. The expected "
            "calibration error, the mean gap over the bins of confidence, is {ece:.3f} (0 is best).",
            confidence=facts.confidence,
            accuracy=facts.accuracy,
            side=side,
            ece=facts.ece,
        )
    )
    if 0 < n < 1000:
        words.append(Sentence("With {n:,} answers, bins and classes that hold few of them say little.", n=n))
    return words


_CLASSES_CODE = '''import torch
import torch.nn.functional as F


@torch.no_grad()
def answers(x, y):
    """x: test samples [n, …]; y: their classes [n], or [n, step] with −100 where none is asked."""
    asked = y != -100
    logits = network(x)[asked]
    probabilities, target = logits.softmax(-1), y[asked]
    best = probabilities.topk(2).values
    return {
        "target": target, "predicted": logits.argmax(-1), "loss": F.cross_entropy(logits, target, reduction="none"),
        "confidence": best[:, 0], "margin": best[:, 0] - best[:, 1],
    }


def confusion(target, predicted, classes):
    """counts[target, predicted]"""
    return torch.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def calibration_error(confidence, right, bins=15):
    """Guo et al. 2017, equation 5"""
    place = (confidence.double() * bins).ceil().long().clamp(1, bins) - 1
    gap = confidence.double() - right.double()
    return sum(gap[place == b].sum().abs() for b in place.unique()) / len(gap)


with torch.no_grad():
    print(network(x).softmax(-1))  # x: a batch of one sample; give answers(x, y) the whole test set
'''


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _numbers(subject: Subject, options: Mistakes, found: Answers) -> Seen[MistakesFacts]:
    order = "worst first" if options.order == "least certain first" else options.order
    chosen = _order(found, order).argsort(kind="stable")[: options.count]
    residual = found.predicted - found.target
    arrays: Arrays = {
        SAMPLES: found.samples,
        TARGET: found.target,
        PREDICTED: found.predicted,
        RESIDUAL: residual,
        LOSS: found.loss,
        **_gallery(subject, found, chosen),
    }
    mse, guess = float(np.mean(found.loss)), float(np.var(found.target))
    facts = MistakesFacts(
        **_facts(subject, found.samples), chosen=(-1, -1), answers=len(residual), mse=mse, guess=guess
    )
    words = [
        Sentence(
            "The mean squared error over {residual:,} test samples is {mse:.3g}; always answering their mean "
            "would have {guess:.3g}, so {value:.0%} of the variance is explained.",
            residual=len(residual),
            mse=mse,
            guess=guess,
            value=max(0.0, 1 - mse / guess) if guess else 0.0,
        ),
        Sentence(
            "On average the answer is {mean:.2g} too {side}; half of the answers are off by less than {median:.2g}.",
            mean=abs(float(residual.mean())),
            side=_("high") if residual.mean() > 0 else _("low"),
            median=float(np.median(np.abs(residual))),
        ),
    ]
    if options.target or options.predicted:
        words.append(
            _("This run answers with a number, so there are no classes to choose among; all samples are shown.")
        )
    if options.order == "least certain first":
        words.append(_("A network that answers with a number does not say how sure it is; the worst come first."))
    return subject.seen(arrays, facts, words, _NUMBERS_CODE)


_NUMBERS_CODE = '''import torch


@torch.no_grad()
def residuals(x, y):
    """x: test samples [n, …]; y: their numbers [n]. The answer minus the target."""
    return network(x).reshape(y.shape) - y


with torch.no_grad():
    print(network(x))  # x: a batch of one sample; give residuals(x, y) the whole test set
'''
