"""The sanity check: a map before and after the network's layers are randomised, from the top down.

Cascading randomisation (Adebayo 2018, Sanity Checks for Saliency Maps, section 3.1): the layers with weights get fresh
ones, those nearest to the answer first, each depth besides those before it. A map that stays the same although nothing
that was learned is left cannot explain what was learned. Maps are compared by Spearman's rank correlation, with their
signs or without, as in section 4.1. The number that is explained stays that of the trained network.

What it gives is declared in core.catalog.views.sanity.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.catalog.entries import CONTROL, NUMBER, PICTURE, TOKENS, Method
from core.catalog.views.sanity import (
    ABSOLUTE,
    BETWEEN,
    CORRELATION,
    DEPENDS,
    DEPTHS,
    FEW,
    GONE,
    INDEPENDENT,
    MAPS,
    NOISE,
    OF_INPUT,
    OF_RANDOM,
    Sanity,
    SanityFacts,
)
from core.spec import registry
from core.spec.options import Options, SpecError, declared
from core.spec.questions import PREDICTED, Explained, Seen
from core.spec.sentences import Sentence, _
from core.spec.specs import Choice
from core.worker.explain.attribute import MOST, attribute
from core.worker.explain.explained_case import Case, case_of
from core.worker.explain.methods.controls import fresh
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.build import Network

MOST_DEPTHS = 17  # at most; deeper networks take larger strides
SAME = 0.95  # a rank correlation above it at every depth: nothing has changed
CHANGED = 0.3  # one below it when everything is random: the map has changed; few values need more, see judged
WIDE = 0.5  # between the seeds' lowest and highest correlation
LEAST = 8  # values; the ranks of fewer say little
DRAWS = 20  # maps of random values
POINTS = 64  # at most on the way of a path method that would add more: ranks need no more


def look(subject: Subject, options: Sanity, report: Report) -> Seen[SanityFacts]:
    """The map of one method at every depth of the cascade."""
    top_down = layers(subject.network)
    if not top_down:
        raise CannotShow(_("No layer of this network has weights that could be randomised."))
    depths = depths_of(len(top_down))
    method: Method = registry.METHODS.get(options.method)
    choice = Choice(method.name, quick(method))
    case = case_of(subject, report=report)
    _affordable(case, method, choice, 1 + options.seeds * (len(depths) - 1))
    target = asked_again(case)
    original = attribute(case, choice)
    if original.withheld:
        raise CannotShow(original.withheld)
    ranked = _ranked(case, shown(case, original), options)
    maps = np.full((len(depths), options.seeds, *shown(case, original).shape), np.nan, np.float32)
    maps[0] = shown(case, original)
    for seed in range(options.seeds):
        made = fresh(subject.layers, subject.form, seed)
        for at, depth in enumerate(depths[1:], 1):
            share = (seed + at / len(depths)) / options.seeds
            report(
                share,
                Sentence(
                    "{method} with {depth} of {top_down} layers randomised, seed {seed}",
                    method=method.title,
                    depth=depth,
                    top_down=len(top_down),
                    seed=seed,
                ),
            )
            changed = replace(subject, network=randomised(subject.network, made, top_down[:depth]))
            found = attribute(case_of(changed, target=target, report=_at(report, share)), choice)
            if not found.withheld:
                maps[at, seed] = shown(case, found)
    correlation = np.array([[spearman(ranked, _ranked(case, one, options)) for one in row] for row in maps])
    arrays = {
        MAPS: maps[:, 0],
        CORRELATION: correlation.astype(np.float32),
        DEPTHS: np.array(depths),
        OF_RANDOM: _of_random(ranked),
        OF_INPUT: _of_input(subject, ranked, options),
    }
    facts = SanityFacts(
        **vars(subject.answer()),
        layers=top_down,
        method=method.title,
        verdict=NOISE if _nothing(method, original) else judged(correlation, len(ranked)),
        ranked=options.values,
        signed=bool((maps < 0).any()),
        explained=original.target,
        count=len(ranked),
    )
    return subject.seen(arrays, facts, _said(facts, arrays), _code(original, top_down))


# ── the cascade ──────────────────────────────────────────────────────────────────────────────────────────────────────


def layers(network: Network) -> tuple[str, ...]:
    """The addresses of the layers that have weights, the one nearest to the answer first."""
    return tuple(a for a in reversed(network.addresses) if list(network.get_submodule(a).parameters()))


def depths_of(count: int) -> list[int]:
    """How many of `count` layers are randomised: 0, 1, …, count; at most MOST_DEPTHS of them, evenly spread."""
    return [int(n) for n in np.unique(np.linspace(0, count, min(count + 1, MOST_DEPTHS)).round())]


def randomised(network: Network, made: Network, names: Sequence[str]) -> Network:
    """The network with the weights, and the statistics, of `made` in the layers called `names`; a copy."""
    copied = copy.deepcopy(network)
    for name in names:
        copied.get_submodule(name).load_state_dict(made.get_submodule(name).state_dict())
    return copied


def asked_again(case: Case) -> str:
    """The target as a question names it, so that it stays the same when the network answers otherwise."""
    if case.form.task == NUMBER:
        return PREDICTED
    target = case.target
    other = "" if target.other is None else f"-{target.other}"
    return f"{target.index}{other}" + ("" if target.step is None else f"@{target.step}")


def quick(method: Method) -> Options:
    """The method's defaults, but with no more points on a way than ranks need."""
    options: Any = method.options()
    if {"steps", "most"} <= set(declared(method.options)):
        options = replace(options, most=max(options.steps, min(options.most, POINTS)))
    made: Options = options
    return made


def _affordable(case: Case, method: Method, choice: Choice, maps: int) -> None:
    units = maps * method.cost(choice.options, case.size)
    if units > MOST:
        raise SpecError(
            "method",
            Sentence(
                "{maps} maps of {method} would take about {units:,.0f} passes; at most {most:,} are allowed. "
                "Choose fewer seeds, or a method that takes fewer passes.",
                maps=maps,
                method=method.title,
                units=units,
                most=MOST,
            ),
        )


def _at(report: Report, share: float) -> Report:
    """Progress within one map moves nothing; its words, and its way of being given up, stay."""
    return lambda _fraction, words, part=None: report(share, words, part)


# ── how alike two maps are ───────────────────────────────────────────────────────────────────────────────────────────


def shown(case: Case, found: Explained) -> np.ndarray:
    """The map as it is drawn: the channels of a picture are summed."""
    return found.attribution.sum(0) if case.form.kind == PICTURE else found.attribution


def _nothing(method: Method, found: Explained) -> bool:
    """Is the trained network's map nothing, or rounding? Controls do not ask the network."""
    return method.family != CONTROL and bool(found.rounding or not found.attribution.any())


def _ranked(case: Case, values: np.ndarray, options: Sanity) -> np.ndarray:
    """The values that are compared [n]: those of real tokens, by size where that is asked for."""
    if case.form.kind == TOKENS and case.real is not None:
        values = values[case.real.numpy()]
    return (np.abs(values) if options.values == ABSOLUTE else values).ravel()


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of the ranks [n], equal values sharing theirs; NaN where one side is the same everywhere."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    a, b = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1 on; equal values have the mean of the ranks that they take together."""
    _values, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[place.ravel()]
    return ranks


def _of_random(ranked: np.ndarray) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(ranked)))
    return np.array([spearman(ranked, one) for one in drawn], np.float32)


def _of_input(subject: Subject, ranked: np.ndarray, options: Sanity) -> np.ndarray:
    case = case_of(subject)
    given = attribute(case, Choice("input_magnitude", Options()))
    return np.array(spearman(ranked, _ranked(case, shown(case, given), options)), np.float32)


# ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────────


def judged(correlation: np.ndarray, count: int) -> str:
    """The verdict of correlations [depth, seed] of maps with `count` values; the first depth is the trained network."""
    if count < LEAST:
        return FEW
    last = correlation[-1][np.isfinite(correlation[-1])]
    if not len(last):
        return GONE
    if np.isfinite(correlation).all() and correlation.min() >= SAME:
        return INDEPENDENT
    by_chance = 2 / np.sqrt(count - 1)  # two standard deviations of ranks that have nothing to do with each other
    typical = np.sqrt((last**2).mean())  # not the mean: maps that are turned round have not changed their order
    return DEPENDS if typical <= max(CHANGED, by_chance) else BETWEEN


def _said(facts: SanityFacts, arrays: dict[str, Any]) -> list[str]:
    title, last, layers = facts.method, arrays[CORRELATION][-1], facts.layers
    finite = last[np.isfinite(last)]
    seeds = "1 seed" if len(finite) == 1 else f"{len(finite)} seeds"
    spread = f" ± {finite.std(ddof=1):.2f}" if len(finite) > 1 else ""
    value = f"{finite.mean():.2f}{spread} ({seeds})" if len(finite) else ""
    alike = Sentence(
        "with all {layers} layers randomised, its rank correlation with the trained network's map is {value}",
        layers=len(layers),
        value=value,
    )
    said = {
        INDEPENDENT: Sentence(
            "{title} does not depend on the model here: {alike}. Whatever it shows, it is not what was learned.",
            title=title,
            alike=alike,
        ),
        DEPENDS: Sentence("{title} depends on the model here: {alike}.", title=title, alike=alike),
        BETWEEN: Sentence(
            "{title} depends on the model only in part here: {alike}. Some of its order comes from the input "
            "or from the architecture, and not from what was learned.",
            title=title,
            alike=alike,
        ),
        GONE: Sentence(
            "{title} gives a map that is the same everywhere, here or with fresh weights: there are no ranks "
            "to compare.",
            title=title,
        ),
        NOISE: Sentence(
            "{title} gives values here that are no more than rounding beside the answers: this network "
            "answers nearly the same whatever it is given, so there are no ranks to compare. Choose a later "
            "moment, or train it longer.",
            title=title,
        ),
        FEW: Sentence(
            "The map has {count} values. The ranks of fewer than {least} agree or disagree by chance, so "
            "this check cannot tell; look at the maps themselves.",
            count=facts.count,
            least=LEAST,
        ),
    }
    words: list[str] = [said[facts.verdict]]
    if facts.verdict in (DEPENDS, BETWEEN) and np.isfinite(arrays[OF_INPUT]):
        words.append(
            Sentence(
                "A map of |input|, which knows no network, would have {arrays:.2f}; maps of random values have 0 "
                "± {std:.2f}.",
                arrays=float(arrays[OF_INPUT]),
                std=arrays[OF_RANDOM].std(ddof=1),
            )
        )
    if len(finite) > 1 and finite.max() - finite.min() > WIDE:
        words.append(
            Sentence(
                "The seeds differ widely, from {min:.2f} to {max:.2f}: much of this is luck. Take more seeds, or "
                "a sample with more values.",
                min=finite.min(),
                max=finite.max(),
            )
        )
    words.append(_("A method that passes is not yet right: the check finds maps that ignore the model, and no others."))
    return words


def _code(original: Explained, top_down: tuple[str, ...]) -> str:
    return f'''import copy

import captum
import numpy as np
import torch
from scipy.stats import spearmanr


class Model(torch.nn.Module):
    """Answers with the number that is explained: a logit, the same when the network would answer otherwise."""

    def __init__(self, network, target):
        super().__init__()
        self.network, self.target = network, target

    def forward(self, rows):
        return self.network(rows)[:, self.target]


def explained(model, x, baseline, seed=0):
    """Gives the map."""
{textwrap.indent(original.code, "    ")}
    return attribution.detach()


def drawn_anew(network, names, seed=0):
    """A copy of the network in which these layers have fresh weights."""
    torch.manual_seed(seed)
    made = copy.deepcopy(network)
    for name in names:
        for layer in made.get_submodule(name).modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return made


top_down = {list(top_down)!r}
networks = [drawn_anew(network, top_down[:depth]) for depth in range(len(top_down) + 1)]
target = int(network(x)[0].argmax())
maps = [explained(Model(made, target), x, torch.zeros_like(x)) for made in networks]
correlation = [spearmanr(maps[0].flatten(), one.flatten()).statistic for one in maps]
'''
