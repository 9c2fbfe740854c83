"""Which training samples made the network answer a test sample as it does (TracIn; Pruthi 2020, sections 3.1 to 3.3).

A step of gradient descent on a training sample z changes the loss ℓ of a test sample z′ by about −η ∇ℓ(z)·∇ℓ(z′).
Summed over all steps of the run, each sample having its share 1/n of every step, this is

    influence(z, z′) = Σ over kept moments of (Σ of the learning rates of the steps that the moment stands for) / n
                       · ∇ℓ(weights then, z) · ∇ℓ(weights then, z′)

in units of the loss: above zero, learning z has lowered the loss of z′. A step stands with the kept moment nearest to
the weights it started from. (Pruthi 2020 has evenly spaced checkpoints; ours are dense early on, and a bare sum would
count the first steps as much as hundreds of late ones.) Losses of training samples are those that were trained: with
replaced labels and label smoothing; networks evaluate (no dropout, running statistics of batch norm).

last layer: its weights and bias alone. The gradient is the outer product of the error e = ∂ℓ/∂(output) and the input
a, summed over steps, so that ∇ℓ(z)·∇ℓ(z′) = Σ_t e_t · (∇ℓ(z′) a_t): nothing but forward passes (appendix F).
all weights: ∇ℓ(z_i)·v for all i at once is the derivative of Σ_i u_i ∇ℓ(z_i)·v by u: two backward passes, exact.
similarity: cosine of the outputs of one layer, at the looked-at moment. suspects: influence of z on itself.

What it gives is declared in core.catalog.views.influence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER, PICTURE, TOKENS
from core.catalog.views.influence import (
    BY_MOMENT,
    INDEX,
    MOMENTS,
    SAME_LABEL,
    SCORES,
    WEIGHTS,
    Influence,
    InfluenceFacts,
    as_seen,
    hidden,
    places_of,
)
from core.spec import registry
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.store import Run, StoreError
from core.worker.data.splits import NOT_ASKED
from core.worker.explain.views.concept_pictures import seen as pictures_seen
from core.worker.explain.views.gradient_products import (
    BATCH,
    Asked,
    Pieces,
    each_loss,
    every_weight,
    last_layer,
    on_itself,
)
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.train.augment import replace_labels

KEPT_BYTES = 96 << 20  # of what the last layer reads and its errors, so that the next test sample comes at once
MOST_BYTES = 1 << 30  # of them at all
HELPFUL, HARMFUL, ALIKE, OTHERS, SUSPECTS = "helpful", "harmful", "alike", "others", "suspects"


@dataclass(frozen=True)
class Moment:
    """Weights that are kept, and what their products of gradients count."""

    step: int
    weight: float


_known: OrderedDict[Any, list[Pieces]] = OrderedDict()


def look(subject: Subject, options: Influence, report: Report) -> Seen[InfluenceFacts]:
    """The training samples with the largest influence, or the most alike, or the suspects."""
    asked = asked_of(subject, options.samples)
    y, words = _target(subject)
    arrays: dict[str, Any] = {INDEX: asked.index.numpy()}
    if options.measure == "similarity":
        scores = similarity(subject, asked.x, report)
    else:
        moments = moments_of(subject, options.moments)
        parts = _parts(subject, asked, moments, y, options.measure, report)
        scores = parts.sum(0)
        arrays |= {
            MOMENTS: np.array([m.step for m in moments]),
            WEIGHTS: np.array([m.weight for m in moments]),
            BY_MOMENT: parts,
        }
    same = (asked.y == y).numpy() if asked.task == CLASSES else np.zeros(len(asked), bool)
    arrays |= {SCORES: scores, SAME_LABEL: same}
    groups = _groups(scores, same, options, asked.task)
    facts = InfluenceFacts(
        **vars(subject.answer()),
        groups=list(groups),
        measure=options.measure,
        asked=len(asked),
        trained=len(subject.splits.train[0]),
        task=asked.task,
        label=_name(subject, y[0]),
        labels={g: [_name(subject, asked.y[i]) for i in at] for g, at in groups.items()},
        truths={g: [_name(subject, asked.truths[i]) for i in at] for g, at in groups.items()},
        loss=float(each_loss(subject.network(subject.x).detach(), y, asked.task)[0]),
        **_wrong(scores, asked),
    )
    for group, at in groups.items():
        arrays[places_of(group)], arrays[as_seen(group)] = at, _as_seen(subject, asked.x[torch.from_numpy(at)])
    words += _words(subject, facts, arrays, groups)
    return subject.seen(arrays, facts, words, _code(subject, options.measure), _NAMES.format(samples=options.samples))


_NAMES = """\
from core.worker.explain.views.influence import asked_of

asked = asked_of(subject, {samples})
others, labels, y = asked.x, asked.y, subject.y
"""


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


def asked_of(subject: Subject, most: int) -> Asked:
    """At most so many training samples, with the labels that the training saw."""
    (x, truths), spec = subject.splits.train, subject.experiment.train
    y = truths
    if spec.label_noise:
        y = replace_labels(truths, subject.form.classes, spec.label_noise, spec.seed)
    n = len(x)
    drawn = np.random.default_rng(0).permutation(n)[:most] if n > most else np.arange(n)
    index = torch.from_numpy(np.sort(drawn))
    return Asked(index, x[index], y[index], truths[index], subject.form.task, spec.label_smoothing)


def _target(subject: Subject) -> tuple[Tensor, list[str]]:
    """[1, …]: what the test sample should be answered; for a drawing what the network says."""
    if subject.y is not None:
        return subject.y, []
    with torch.no_grad():
        said = subject.network(subject.x).argmax(-1)
    return said, [
        Sentence(
            "Nobody knows what your drawing is: its loss is that of the network's own answer, “{name}”.",
            name=_name(subject, said[0]),
        )
    ]


def rates(run: Run, samples: int, until: int) -> np.ndarray:
    """The learning rates of the steps 1 to `until` of a run on `samples` training samples, as they were set."""
    spec = run.experiment().train
    per_epoch = samples // min(spec.batch_size, samples)
    planned = spec.epochs * per_epoch if spec.epochs else spec.steps
    factor = registry.SCHEDULES.get(spec.schedule.name).factor
    base = np.full(until + 1, spec.lr)
    for event in run.events():
        if event.name == "set/lr":
            base[event.step :] = event.value
    return np.array([base[step] * factor(spec.schedule.options, step - 1, planned) for step in range(1, until + 1)])


def moments_of(subject: Subject, count: int) -> list[Moment]:
    """At most `count` of the kept moments up to the one that is looked at; each stands for the steps nearest to it."""
    if subject.step == 0:
        raise CannotShow(
            _("At step 0 nothing is learned yet: no training sample has any influence. Choose a later step.")
        )
    picked = _picked(subject, [step for step in subject.run.moments() if step <= subject.step], count)
    samples = len(subject.splits.train[0])
    lr = rates(subject.run, samples, subject.step)
    started = np.arange(subject.step)  # the weights that step 1, 2, … started from
    nearest = np.abs(started[:, None] - np.array(picked)).argmin(1)
    sums = np.bincount(nearest, lr, minlength=len(picked)) / samples
    return [Moment(step, float(weight)) for step, weight in zip(picked, sums, strict=True) if weight > 0]


def _picked(subject: Subject, kept: list[int], count: int) -> list[int]:
    """At most `count` of these moments, evenly; one whose weights cannot be read is passed over, and that is said."""
    picked = sorted({kept[round(i)] for i in np.linspace(0, len(kept) - 1, min(count, len(kept)))})
    for step in picked:
        try:
            subject.at(step)
        except StoreError:  # damaged, or gone meanwhile: a run that goes on makes room for newer moments
            words = Sentence(
                "The weights of step {step:,} cannot be read; the moments beside it stand for its steps.", step=step
            )
            subject.words.append(words)
            return _picked(subject, [other for other in kept if other != step], count)
    return picked


# ── products of gradients ────────────────────────────────────────────────────────────────────────────────────────────


def _parts(
    subject: Subject, asked: Asked, moments: Sequence[Moment], y: Tensor, measure: str, report: Report
) -> np.ndarray:
    """[moment, sample]: what each moment adds to the influence."""
    pieces = [] if measure == "all weights" else _pieces_of(subject, asked, moments, report)
    parts = []
    for i, moment in enumerate(moments):
        network = subject.at(moment.step)
        if measure == "all weights":

            def told(fraction: float, done: int = i) -> None:
                report(
                    (done + fraction) / len(moments),
                    Sentence("Comparing gradients, moment {done} of {moments}", done=done + 1, moments=len(moments)),
                )

            product = every_weight(network, (subject.x, y), asked, told)
        elif measure == SUSPECTS:
            product = on_itself(*pieces[i])
        else:
            inputs, errors = last_layer(network, subject.x, y, asked.task)
            gradient = torch.einsum("ntk,ntd->kd", errors, inputs)
            product = torch.einsum("ntk,kd,ntd->n", pieces[i][1], gradient, pieces[i][0])
        parts.append(moment.weight * product.double().numpy())
    broken = [str(moment.step) for moment, part in zip(moments, parts, strict=True) if not np.isfinite(part).all()]
    if broken:
        raise CannotShow(
            Sentence(
                "At the kept moments {broken} (steps) the gradients are beyond all numbers, so no influence can "
                "be summed over them. Choose an earlier moment.",
                broken=broken,
            )
        )
    return np.stack(parts)


def _pieces_of(subject: Subject, asked: Asked, moments: Sequence[Moment], report: Report) -> list[Pieces]:
    """What the last layer reads of every asked sample, and its errors, at each moment. Kept where they are few."""
    stamps = tuple((m.step, subject.run.weights_stamp(m.step)) for m in moments)
    key = (str(subject.run.path), stamps, len(asked))
    if key in _known:
        return _known[key]
    made = []
    for i, moment in enumerate(moments):
        network, found = subject.at(moment.step), []
        for start in range(0, len(asked), BATCH):
            share = (i + start / len(asked)) / len(moments)
            report(
                share, Sentence("Asking the training samples, moment {i} of {moments}", i=i + 1, moments=len(moments))
            )
            part = slice(start, start + BATCH)
            found.append(last_layer(network, asked.x[part], asked.y[part], asked.task, asked.smoothing))
            _affordable(found[0], len(asked), len(moments))
        made.append((torch.cat([a for a, _e in found]), torch.cat([e for _a, e in found])))
    if sum(t.numel() * t.element_size() for both in made for t in both) <= KEPT_BYTES:
        _known.clear()
        _known[key] = made
    return made


def _affordable(batch: Pieces, samples: int, moments: int) -> None:
    """CannotShow where all of it would not fit: `batch` is what the first samples take."""
    each = sum(t.numel() * t.element_size() for t in batch) / len(batch[0])
    if each * samples * moments > MOST_BYTES:
        raise CannotShow(
            Sentence(
                "What the last layer reads of {samples:,} training samples at {moments} moments would take "
                "{each:.1f} GB; at most 1 GB is held. Ask fewer training samples, or choose fewer moments.",
                samples=samples,
                moments=moments,
                each=each * samples * moments / 2**30,
            )
        )


def similarity(subject: Subject, x: Tensor, report: Report) -> np.ndarray:
    """[n]: cosine of what the chosen layer gives for each of x and for the test sample."""
    ours = _representation(subject, subject.x)
    found = []
    for start in range(0, len(x), BATCH):
        report(start / len(x), _("Asking the layer about training samples"))
        found.append(F.cosine_similarity(_representation(subject, x[start : start + BATCH]), ours))
    return torch.cat(found).double().numpy()


def _representation(subject: Subject, x: Tensor) -> Tensor:
    """[n, d]: the layer's output; of rows of tokens the mean over the real ones, however long they are."""
    given = subject.outputs([subject.layer], x)[subject.layer]
    if subject.form.kind == TOKENS and given.dim() == 3 and given.shape[1] == x.shape[1]:
        real = (x != 0)[:, :, None]
        return (given * real).sum(1) / real.sum(1).clamp_min(1)
    return given.flatten(1).float()


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def _groups(scores: np.ndarray, same: np.ndarray, options: Influence, task: str) -> dict[str, np.ndarray]:
    """Name → places of the samples that are shown, the strongest first."""
    order = np.argsort(-scores, kind="stable")
    if options.measure == SUSPECTS:
        return {SUSPECTS: order[: 2 * options.count]}
    if options.measure == "similarity":
        if task != CLASSES:
            return {ALIKE: order[: options.count]}
        return {ALIKE: order[same[order]][: options.count], OTHERS: order[~same[order]][: options.count]}
    rising = order[::-1]
    return {HELPFUL: order[scores[order] > 0][: options.count], HARMFUL: rising[scores[rising] < 0][: options.count]}


def _as_seen(subject: Subject, x: Tensor) -> np.ndarray:
    return pictures_seen(subject.splits, x) if subject.form.kind == PICTURE else x.numpy()


def _name(subject: Subject, y: Tensor) -> str:
    """An answer in words."""
    if subject.form.task == NUMBER:
        return f"{float(y):.3g}"
    if subject.form.task == EACH_STEP:
        names = [subject.label(int(k)) for k in y[y != NOT_ASKED]]
        return ("" if all(len(name) == 1 for name in names) else " ").join(names).replace("\n", "⏎")
    return subject.label(int(y))


def _wrong(scores: np.ndarray, asked: Asked) -> dict[str, Any]:
    """Of the replaced labels: how many were asked, how many of them lead the order, and the area under its curve."""
    wrong = (asked.y != asked.truths).reshape(len(asked), -1).any(1).numpy()
    count = int(wrong.sum())
    if count in (0, len(wrong)):
        return {"wrong": count, "found": -1, "auroc": -1.0}
    return {
        "wrong": count,
        "found": int(wrong[np.argsort(-scores, kind="stable")[:count]].sum()),
        "auroc": auroc(scores, wrong),
    }


def auroc(scores: np.ndarray, wrong: np.ndarray) -> float:
    """The chance that a wrong one scores above a right one; equal scores count half."""
    _values, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n = wrong.sum()
    return float((ranks[wrong].sum() - n * (n + 1) / 2) / (n * (len(wrong) - n)))


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _words(subject: Subject, facts: InfluenceFacts, arrays: dict[str, Any], groups: dict[str, np.ndarray]) -> list[str]:
    measure = facts.measure
    if measure == "similarity":
        said: list[str] = [
            Sentence(
                "These training samples are most alike to this one at {layer}: cosine 1 is the same direction. "
                "Being alike is not having an influence: the measure knows nothing of losses or of how it was "
                "learned.",
                layer=subject.layer,
            )
        ]
    elif measure == SUSPECTS:
        said = _suspects(facts)
    else:
        said = _strongest(facts, arrays, groups)
    if measure != "similarity":
        said += _how(subject, facts, arrays)
        if subject.layer != hidden(subject.layers, subject.form)[0]:
            said.append(_("The layer that is chosen matters for similarity alone."))
    if facts.asked < facts.trained:
        said.append(
            Sentence(
                "{asked:,} of {trained:,} training samples were asked, drawn at random.",
                asked=facts.asked,
                trained=facts.trained,
            )
        )
    if facts.wrong and measure != SUSPECTS:
        said.append(
            Sentence("{wrong:,} of the asked samples were trained with a wrong label on purpose.", wrong=facts.wrong)
        )
    return said


def _suspects(facts: InfluenceFacts) -> list[str]:
    said: list[str] = [
        _(
            "These training samples pull hardest on their own answer: rare, hard or wrongly labelled ones "
            "do. A high score is a reason to look, not a proof."
        )
    ]
    if facts.auroc >= 0:
        by_chance = facts.wrong**2 / facts.asked
        said.insert(
            0,
            Sentence(
                "{wrong:,} labels were replaced on purpose. Among the first {wrong:,} suspects are {found:,} of "
                "them; chance would find {by_chance:.0f} (AUROC {auroc:.3f}).",
                wrong=facts.wrong,
                found=facts.found,
                by_chance=by_chance,
                auroc=facts.auroc,
            ),
        )
    return said


def _strongest(facts: InfluenceFacts, arrays: dict[str, Any], groups: dict[str, np.ndarray]) -> list[str]:
    of = {"last layer": _("by the last layer's weights"), "all weights": _("by all weights")}[facts.measure]
    unit = "" if facts.task == NUMBER else " nats"
    said: list[str] = []
    for group, did in ((HELPFUL, "lowered"), (HARMFUL, "raised")):
        if not len(groups[group]):
            said.append(Sentence("No training sample has {did} the loss of this sample.", did=did))
            continue
        first = groups[group][0]
        said.append(
            Sentence(
                "Learning training sample {arrays} (“{labels}”) has {did} the loss of this sample most, {of}: by "
                "about {change:.2g}{unit}.",
                arrays=int(arrays[INDEX][first]),
                labels=facts.labels[group][0],
                did=did,
                of=of,
                change=abs(arrays[SCORES][first]),
                unit=unit,
            )
        )
    return said


def _how(subject: Subject, facts: InfluenceFacts, arrays: dict[str, Any]) -> list[str]:
    train = subject.experiment.train
    steps = ", ".join(str(step) for step in arrays[MOMENTS])
    said: list[str] = [
        Sentence(
            "Gradients are compared at the kept moments {steps} (steps); each counts the learning rates of "
            "the steps nearest to it, shared among {trained:,} training samples (TracIn).",
            steps=steps,
            trained=facts.trained,
        )
    ]
    optimizer = registry.OPTIMIZERS.get(train.optimizer.name)
    if train.optimizer.name != "sgd" or getattr(train.optimizer.options, "momentum", False):
        said.append(
            Sentence(
                "Sizes are those of plain gradient descent; {optimizer} steps otherwise, so trust the order more "
                "than the size.",
                optimizer=optimizer.title,
            )
        )
    if train.augmentation:
        names = ", ".join(one.name for one in train.augmentation)
        said.append(Sentence("Training varied its samples ({names}); here they are taken as they are.", names=names))
    said.append(_("It does not say what the network would answer without a sample: that would take training again."))
    return said


def _code(subject: Subject, measure: str) -> str:
    if measure == "similarity":
        return f"""\
# others: training samples
layers = dict(network.named_children())
until = torch.nn.Sequential(*list(layers.values())[: list(layers).index({subject.layer!r}) + 1])
alike = torch.nn.functional.cosine_similarity(until(others).flatten(1), until(x).flatten(1))
"""
    part = "network" if measure == "all weights" else f"network.{subject.network.addresses[-1]}"
    other = "gradient(sample, label)" if measure == SUSPECTS else "gradient(x[0], y[0])"
    loss = "mse_loss" if subject.form.task == NUMBER else "cross_entropy"
    given = "network(sample[None])" + ("" if subject.form.task == CLASSES else "[0]")
    target = "label" if subject.form.task == EACH_STEP else "label[None]"
    return f"""\
# y: the answer to x; others, labels: training samples as they were trained; one kept moment, to be weighted and summed
network.requires_grad_()
weights = list({part}.parameters())

def gradient(sample, label):
    loss = torch.nn.functional.{loss}({given}, {target})
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])

products = torch.stack([gradient(sample, label) @ {other} for sample, label in zip(others, labels)])
"""
