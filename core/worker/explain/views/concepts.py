"""Does a concept matter for a class? Testing with concept activation vectors (TCAV; Kim 2018, sections 3.2 to 3.5).

A concept is a set of pictures. At a layer, a linear classifier (a support vector machine with C = 1, activations
scaled to a mean square of 1) tells what the layer makes of them from what it makes of random training pictures; the
vector across its border is the concept activation vector (CAV). The score is the share of the class's test samples
whose logit rises when the activation moves along the CAV. In every repeat all pictures are drawn anew, for the concept
and for the random sets, so that repeats are independent of each other; scores of random sets against random sets show
what chance gives, and a permutation test (two-sided, of the difference of means) compares the two. With one fixed set
of concept pictures the repeats would share its luck, and chance would look significant. Compared with the other
concepts (relative TCAV, section 3.6), the random sets are drawn from all concepts together. Each repeat has RANDOM
pairs of random sets, and each pair counts both ways round, as either of the two could have been called the concept.

What it gives is declared in core.catalog.views.concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.views.concepts import (
    ACCURACY,
    DERIVATIVES,
    OF_RANDOM,
    P_CORRECTED,
    PICTURES,
    RANDOM_ACCURACY,
    RANDOM_PICTURES,
    SAMPLE,
    SCORES,
    Concepts,
    ConceptsFacts,
    P,
)
from core.spec.questions import Seen
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.worker.explain.views.concept_pictures import Concept, Draw, at_random, concepts_of, mixed, seen
from core.worker.look.mistakes import class_of
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.build import Network

LEVEL = 0.05  # of significance, over all concepts together
TOLD = 0.6  # share of held-out pictures told apart, below which a CAV says nothing
RANDOM = 2  # pairs of random sets in a repeat
HELD = 3  # one of so many pictures is kept from the classifier
SAMPLES = 100  # of the class, at most
MOST = 200_000  # numbers that a layer may give for one picture
SHUFFLES = 10_000  # of a permutation test
SHOWN = 4
BATCH = 64
FOR, AGAINST, NONE, UNSEEN = "for", "against", "none", "unseen"


@dataclass
class Found:
    """As in the arrays above; slopes [C, R, m + 1]: along each CAV for each sample, last the one that is looked at."""

    scores: np.ndarray
    accuracy: np.ndarray
    random: np.ndarray
    random_accuracy: np.ndarray
    slopes: np.ndarray


def look(subject: Subject, options: Concepts, report: Report) -> Seen[ConceptsFacts]:
    """The scores of every concept of the chosen set, at the chosen layer."""
    words: list[str] = []
    target = _target(subject, options.target, words)
    label = subject.label(target)
    members = torch.nonzero(subject.splits.test[1] == target).flatten()[:SAMPLES]
    if not len(members):
        named = quoted(label)
        raise CannotShow(
            Sentence(
                "No test sample is “{named}”, and the score is a share of them. Choose another class.", named=named
            )
        )
    random = at_random(subject.splits)
    drawing = subject.x if subject.y is None else None
    ground = random if options.ground == "training pictures" else None
    concepts = concepts_of(options.concepts, subject.splits, ground, drawing)
    trials = trials_of(concepts, random, options)
    x = torch.cat([subject.splits.test[0][members], subject.x])
    network = subject.copied()  # outside it nothing is told of gradients
    slopes = gradients(network, subject.layer, x, target, report)
    found = tested(network, subject.layer, slopes, trials, options, report)
    p = np.array([chance(one, found.random, options.seed) for one in found.scores])
    corrected = np.minimum(1, p * len(concepts))
    facts = ConceptsFacts(
        **vars(subject.answer()),
        concepts=[one.name for one in concepts],
        against=trials[-1].name,
        label=label,
        samples=len(members),
        verdicts=[verdict(*row, found.random) for row in zip(found.scores, found.accuracy, corrected, strict=True)],
        constant=bool((slopes - slopes[0]).abs().max() <= 1e-6 * slopes.abs().max()),
        least=min(1.0, least(len(found.random), options.repeats) * len(concepts)),
    )
    arrays = _arrays(found) | {P: p, P_CORRECTED: corrected} | _pictures(subject, trials, options.seed)
    words += _words(subject.layer, facts, arrays, options)
    ground_name = "pictures" if ground else "None"
    names = _NAMES.format(
        which=options.concepts, ground=ground_name, count=options.examples, seed=options.seed, target=target
    )
    return subject.seen(arrays, facts, words, _code(subject.layer, target), names)


_NAMES = """\
import numpy as np

from core.worker.explain.views.concept_pictures import at_random, concepts_of

luck, pictures = np.random.default_rng({seed}), at_random(subject.splits)
concept = concepts_of({which!r}, subject.splits, {ground})[0].draw({count}, luck)  # the first of the set
random = pictures({count}, luck)
x = subject.splits.test[0][subject.splits.test[1] == {target}]
"""


def _target(subject: Subject, name: str, words: list[str]) -> int:
    """The class that is meant; the predicted one where none is named."""
    unknown: list[str] = []
    found = class_of(subject, name, unknown)
    if unknown:
        words.append(unknown[0].replace("all are shown", "the answer of the network is taken"))
    if found >= 0:
        return found
    with torch.no_grad():
        return int(subject.network(subject.x)[0].argmax())


# ── the two halves of a network ──────────────────────────────────────────────────────────────────────────────────────


def before(network: Network, address: str, x: Tensor) -> Tensor:
    """[n, …]: what the layer gives for pictures x."""
    for name, layer in network.named_children():
        x = layer(x, None) if name in network.masked else layer(x)
        if name == address:
            break
    return x


def after(network: Network, address: str, h: Tensor) -> Tensor:
    """[n, class]: the logits that the layers behind make of its output h."""
    passed = False
    for name, layer in network.named_children():
        if passed:
            h = layer(h, None) if name in network.masked else layer(h)
        passed = passed or name == address
    return h


def gradients(network: Network, address: str, x: Tensor, target: int, report: Report) -> Tensor:
    """[n, d]: how the logit of `target` rises with each number that the layer gives, for pictures x [n, …]."""
    found = []
    for start in range(0, len(x), BATCH):
        report(0.05 * start / len(x), _("Asking how the answer depends on the layer"))
        with torch.no_grad():
            h = before(network, address, x[start : start + BATCH])
        h = h.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(after(network, address, h)[:, target].sum(), h)
        found.append(slope.flatten(1))
    if found[0].shape[1] > MOST:
        raise CannotShow(
            Sentence(
                "{address} gives {shape:,} numbers for each picture; among so many no direction is found from a "
                "few pictures. Choose a layer with at most {most:,}.",
                address=address,
                shape=found[0].shape[1],
                most=MOST,
            )
        )
    return torch.cat(found)


# ── concept activation vectors ───────────────────────────────────────────────────────────────────────────────────────


def direction(with_it: Tensor, without: Tensor) -> tuple[Tensor, float]:
    """The CAV [d], of length 1, from activations [n, d] of a concept and of random pictures; share told apart.

    The last third of each is kept for that share. In the dual only the products of the activations matter, so that
    the classifier costs as much at a layer of 10,000 numbers as at one of 10.
    """
    from sklearn.svm import SVC  # only this view needs it

    kept = [len(rows) - len(rows) // HELD for rows in (with_it, without)]
    rows = torch.cat([with_it[: kept[0]], without[: kept[1]]])
    middle = rows.mean(0)
    rows = rows - middle
    products = (rows @ rows.T).double()
    scale = float(products.trace()) / len(rows)
    if scale == 0:  # a dead layer
        return torch.zeros(with_it.shape[1]), 0.5
    machine = SVC(kernel="precomputed", C=1.0).fit((products / scale).numpy(), np.repeat([1, 0], kept))
    across = torch.from_numpy(machine.dual_coef_[0]).float() @ rows[torch.from_numpy(machine.support_).long()]
    sides = [
        (held - middle) @ across / scale + float(machine.intercept_[0])
        for held in (with_it[kept[0] :], without[kept[1] :])
    ]
    right = int((sides[0] > 0).sum() + (sides[1] <= 0).sum()) / (len(sides[0]) + len(sides[1]))
    return across / across.norm().clamp_min(1e-30), right


@dataclass(frozen=True)
class Trial:
    """What is told apart from what."""

    name: str
    draw: Draw
    other: Draw


def trials_of(concepts: Sequence[Concept], random: Draw, options: Concepts) -> list[Trial]:
    """One for each concept, and last the one that shows what chance gives: two sets of the same kind."""
    if options.against == "random pictures" or len(concepts) < 2:
        return [Trial(one.name, one.draw, random) for one in concepts] + [Trial(_("random pictures"), random, random)]
    rest = [mixed([other.draw for other in concepts if other is not one]) for one in concepts]
    every = mixed([one.draw for one in concepts])
    made = [Trial(one.name, one.draw, others) for one, others in zip(concepts, rest, strict=True)]
    return [*made, Trial(_("all concepts mixed"), every, every)]


def tested(
    network: Network, address: str, slopes: Tensor, trials: Sequence[Trial], options: Concepts, report: Report
) -> Found:
    """Every trial, `options.repeats` times with everything drawn anew; the last shows what chance gives.

    slopes: [m + 1, d] of the class's samples, and last of the sample that is looked at, which does not count.
    """
    trials = [*trials, *[trials[-1]] * (RANDOM - 1)]
    rows, repeats, known = len(trials), options.repeats, len(trials) - RANDOM
    along = np.zeros((rows, repeats, len(slopes)), np.float32)
    accuracy = np.zeros((rows, repeats))
    for r in range(repeats):
        for i, trial in enumerate(trials):
            report(
                0.05 + 0.95 * (r * rows + i) / (rows * repeats),
                Sentence("Repeat {r} of {repeats}: {trial}", r=r + 1, repeats=repeats, trial=trial.name),
            )
            rng = np.random.default_rng([options.seed, r, i])
            sets = [_activations(network, address, draw(options.examples, rng)) for draw in (trial.draw, trial.other)]
            across, accuracy[i, r] = direction(*sets)
            along[i, r] = (slopes @ across).numpy()
    up, down = (along[:, :, :-1] > 0).mean(2), (along[:, :, :-1] < 0).mean(2)
    random = np.concatenate([up[known:].ravel(), down[known:].ravel()])
    return Found(up[:known], accuracy[:known], random, accuracy[known:].ravel(), along[:known])


def _activations(network: Network, address: str, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([before(network, address, part).flatten(1) for part in x.split(BATCH)])


# ── what is luck ─────────────────────────────────────────────────────────────────────────────────────────────────────


def chance(one: np.ndarray, other: np.ndarray, seed: int) -> float:
    """How often scores [n], [m] that are shuffled between two groups differ as much in their means, two-sided."""
    both, n = np.concatenate([one, other]), len(one)
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(len(both)), (SHUFFLES, 1)), axis=1)
    shuffled = both[order[:, :n]].mean(1) - both[order[:, n:]].mean(1)
    as_far = np.abs(shuffled) >= abs(one.mean() - other.mean()) - 1e-12
    return float((as_far.sum() + 1) / (SHUFFLES + 1))


def least(randoms: int, repeats: int) -> float:
    """The smallest that chance() can be."""
    return max(2 / comb(randoms + repeats, repeats), 1 / (SHUFFLES + 1))


def verdict(scores: np.ndarray, accuracy: np.ndarray, corrected: float, random: np.ndarray) -> str:
    """for, against, none (as random pictures do) or unseen (the layer cannot tell the concept from random pictures)."""
    if accuracy.mean() < TOLD:
        return UNSEEN
    if corrected > LEVEL:
        return NONE
    return FOR if scores.mean() > random.mean() else AGAINST


# ── what is shown and said ───────────────────────────────────────────────────────────────────────────────────────────


def _arrays(found: Found) -> dict[str, Any]:
    return {
        SCORES: found.scores,
        OF_RANDOM: found.random,
        ACCURACY: found.accuracy,
        RANDOM_ACCURACY: found.random_accuracy,
        SAMPLE: (found.slopes[:, :, -1] > 0).mean(1),
        DERIVATIVES: found.slopes[:, :, :-1].mean(1),
    }


def _pictures(subject: Subject, trials: Sequence[Trial], seed: int) -> dict[str, np.ndarray]:
    """What the first repeat drew first."""
    shown = [seen(subject.splits, one.draw(SHOWN, np.random.default_rng([seed, 0, i]))) for i, one in enumerate(trials)]
    return {PICTURES: np.stack(shown[:-1]), RANDOM_PICTURES: shown[-1]}


def _words(layer: str, facts: ConceptsFacts, arrays: dict[str, Any], options: Concepts) -> list[str]:
    said = _of_concepts(layer, facts, arrays)
    said.append(
        Sentence(
            "A score is the share of {samples} test samples of “{label}” whose logit rises when {layer} "
            "moves towards the concept: mean ± spread over {repeats} repeats with everything drawn anew; "
            "{spread} for {against}. Significant is p < {level}, corrected for {concepts} concepts.",
            samples=facts.samples,
            label=facts.label,
            layer=layer,
            repeats=options.repeats,
            spread=_spread(arrays[OF_RANDOM]),
            against=facts.against,
            level=LEVEL,
            concepts=len(facts.concepts),
        )
    )
    if facts.least > LEVEL:
        said.append(
            Sentence(
                "With {repeats} repeats p cannot fall below {least:.2g}, so nothing can be significant. Take "
                "more repeats.",
                repeats=options.repeats,
                least=facts.least,
            )
        )
    if facts.constant:
        said.append(
            Sentence(
                "Behind {layer} the network is linear, so that its slope is the same for every sample: a repeat "
                "scores 0 or 1, nothing between. An earlier layer says more.",
                layer=layer,
            )
        )
    if options.ground == "nothing" and options.concepts != "classes":
        said.append(
            _(
                "Drawn on nothing, every concept also differs from training pictures by what is missing there; "
                "scores may tell of that alone."
            )
        )
    if options.concepts == "classes":
        said.append(_("A class as a concept is all that its pictures share, not one visible thing."))
    return said


def _of_concepts(layer: str, facts: ConceptsFacts, arrays: dict[str, Any]) -> list[str]:
    told: dict[str, list[str]] = {FOR: [], AGAINST: [], NONE: [], UNSEEN: []}
    for i, (name, kind) in enumerate(zip(facts.concepts, facts.verdicts, strict=True)):
        numbers = _spread(arrays[SCORES][i])
        if kind in (FOR, AGAINST):
            told[kind].append(
                Sentence(
                    "“{name}” speaks {kind} “{label}” at {layer}: {numbers} against {spread} for {against} (p = "
                    "{arrays:.2g}).",
                    name=name,
                    kind=kind,
                    label=facts.label,
                    layer=layer,
                    numbers=numbers,
                    spread=_spread(arrays[OF_RANDOM]),
                    against=facts.against,
                    arrays=arrays[P_CORRECTED][i],
                )
            )
        else:
            told[kind].append(
                f"“{name}” ({arrays[ACCURACY][i].mean():.0%})" if kind == UNSEEN else f"“{name}” ({numbers})"
            )
    said = told[FOR] + told[AGAINST]
    if told[NONE]:
        said.append(Sentence("Not significant: {told}.", told=told[NONE]))
    if told[UNSEEN]:
        said.append(
            Sentence(
                "{layer} cannot tell these from {against} (share told apart), so their scores mean nothing: {told}.",
                layer=layer,
                against=facts.against,
                told=told[UNSEEN],
            )
        )
    return said


def _spread(scores: np.ndarray) -> str:
    return f"{scores.mean():.2f} ± {scores.std():.2f}"


def _code(address: str, target: int) -> str:
    return f"""\
# concept, random: pictures [n, channel, height, width]; x: test samples of the class; one repeat
from sklearn.svm import SVC

layers = dict(network.named_children())
cut = list(layers).index({address!r}) + 1
before = torch.nn.Sequential(*list(layers.values())[:cut])
after = torch.nn.Sequential(*list(layers.values())[cut:])
with torch.no_grad():
    rows = torch.cat([before(concept), before(random)]).flatten(1).double()
    h = before(x)
rows -= rows.mean(0)
rows /= rows.square().sum(1).mean().sqrt()
labels = [1] * len(concept) + [0] * len(random)
cav = torch.tensor(SVC(kernel="linear", C=1.0).fit(rows.numpy(), labels).coef_[0]).float()
h.requires_grad_()
(slopes,) = torch.autograd.grad(after(h)[:, {target}].sum(), h)
score = (slopes.flatten(1) @ cav > 0).float().mean()
"""
