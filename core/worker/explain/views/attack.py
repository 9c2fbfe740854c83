"""Attack: the smallest change that turns the answer, what it does to the attribution, and random changes beside it.

What it gives is declared in core.catalog.views.attack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import PICTURE, TOKENS, Method
from core.catalog.views.attack import (
    ATTACKED,
    CHANGE,
    CURVE,
    CURVE_OTHER,
    FGSM,
    LINF,
    MAP_AFTER,
    MAP_BEFORE,
    ORIGINAL,
    PROBABILITIES,
    RANDOM,
    RANDOM_SIZES,
    SIZES,
    Attack,
    AttackFacts,
    X,
)
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import Explained, Seen
from core.spec.quoting import quoted, shown
from core.spec.sentences import Sentence, _, counted
from core.spec.specs import Choice
from core.worker.explain.attribute import attribute
from core.worker.explain.explained_case import Case, case_of
from core.worker.explain.views import small_change, substitution
from core.worker.explain.views.flip import Goal, logits
from core.worker.explain.views.small_change import Search, Space
from core.worker.look.subject import Report, Subject, finite

SEARCHED = 0.7  # of the progress
GREY = _("grey levels")
FEW = 8  # values below which ranks say nothing


@dataclass
class Found:
    """What an attack came to. All tensors as people see the sample; `x` and `random_x` as the network is given it."""

    original: Tensor  # [1, …]
    attacked: Tensor
    x: Tensor
    before: Tensor  # [class] logits
    after: Tensor
    turned: bool
    size: float
    below: float
    sizes: list[float]  # the first is 0
    curve: list[Tensor]  # [class] logits at each
    random_sizes: list[float]
    random: list[Tensor]  # [draw, class] logits at each; the last are of the found size
    random_x: Tensor  # [draw, …] at the found size
    facts: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    code: str = ""


def look(subject: Subject, options: Attack, report: Report) -> Seen[AttackFacts]:
    """The attack, its control, and the maps before and after it. SpecError where `toward` is no other class."""
    case = case_of(subject, seed=options.seed, report=lambda f, words, part=None: report(SEARCHED * f, words, part))
    case.title = _("Looking for the smallest change")
    goal = Goal(int(finite(case.answers)[0].argmax()), wanted=wanted(options, subject, case), loss=options.loss)
    found = (_tokens if case.form.kind == TOKENS else _values)(case, goal, options)
    maps, told, spoken = _maps(subject, options, found, goal, report)
    other = goal.wanted if goal.wanted >= 0 else _other(found, goal)
    unit = {TOKENS: _("tokens"), PICTURE: GREY}.get(case.form.kind, _("units of the data"))
    facts = AttackFacts(
        **vars(subject.answer()),
        turned=found.turned,
        size=found.size,
        below=found.below,
        unit=unit,
        index=goal.index,
        wanted=goal.wanted,
        other=other,
        classes=[subject.label(k) for k in range(len(found.before))],
        random_turned=int(goal.turned(found.random[-1]).sum()),
        draws=options.draws,
        norm=options.norm,
        **found.facts,
        **told,
    )
    words = [*_words(subject, options, found, facts), *spoken, *case.words]
    return subject.seen({**_arrays(found, goal, other), **maps}, facts, words, found.code)


def wanted(options: Attack, subject: Subject, case: Case) -> int:
    """The number of the class that `toward` names, −1 for any."""
    text = options.toward.strip()
    if not text:
        return -1
    names = [subject.label(k).casefold() for k in range(case.answers.shape[-1])]
    found = names.index(text.casefold()) if text.casefold() in names else int(text) if text.isdecimal() else -1
    if not 0 <= found < len(names):
        known = ", ".join(map(quoted, names[:12]))
        raise SpecError(
            "toward",
            Sentence("toward = {toward} is no class; there are {known}.", toward=shown(options.toward), known=known),
        )
    if found == int(case.answers[0].argmax()):
        raise SpecError(
            "toward",
            Sentence("The network says “{label}” already; choose another class.", label=quoted(subject.label(found))),
        )
    return found


# ── the two kinds of attack ──────────────────────────────────────────────────────────────────────────────────────────


def _values(case: Case, goal: Goal, options: Attack) -> Found:
    """Pictures, sequences and vectors are changed a little everywhere."""
    space = small_change.space_of(case, case.splits)
    before = logits(case, space.inputs(space.origin))[0]
    tried: Search = small_change.search(case, goal, options, space)
    best = tried.best
    order = [*(one for one in small_change.doubled(options, space) if one != best.size), best.size]
    changed = list(small_change.at_random(options, space, order))
    change = best.values - space.origin
    measured = float(small_change.size(change, options.norm))
    facts = {
        "rms": float(change.square().mean().sqrt()),
        "measured": measured,
        "changed": [],
        "names": [],
        "fails_above": [one.size for one in tried.tries if one.size > best.size and not one.turned],
    }
    return Found(
        space.origin,
        best.values,
        space.inputs(best.values),
        before,
        best.logits,
        best.turned,
        best.size,
        tried.below,
        [0.0, *(one.size for one in tried.tries)],
        [before, *(one.logits for one in tried.tries)],
        order,
        [logits(case, space.inputs(one)) for one in changed],
        space.inputs(changed[-1]),
        facts,
        _zero(best.values, space),
        small_change.lines(options, space, best),
    )


def _zero(values: Tensor, space: Space) -> list[str]:
    if bool((values != space.origin).any()):
        return []
    return [_("The gradient is zero or too small for the size: nothing was changed. The loss “margin” may find a way.")]


def _tokens(case: Case, goal: Goal, options: Attack) -> Found:
    """Tokens are replaced, as few as will do."""
    found = substitution.replace_few(case, goal, options.tokens)
    original, attacked = found.rows[:1], found.rows[-1:]
    places = torch.nonzero(original[0] != attacked[0]).flatten().tolist()
    counts = [int((row != original[0]).sum()) for row in found.rows]
    every = list(range(1, max(1, len(places)) + 1))
    changed = substitution.at_random(case, options, every)
    words: list[str] = []
    if found.spare:
        words.append(
            Sentence(
                "Of what the search replaced, {spare} could be taken back: the answer stays turned.", spare=found.spare
            )
        )
    facts = {
        "rms": 0.0,
        "measured": float(len(places)),
        "changed": places,
        "fails_above": [],
        "names": [(_token(case, int(original[0, i])), _token(case, int(attacked[0, i]))) for i in places],
    }
    return Found(
        original,
        attacked,
        attacked,
        found.logits[0],
        found.logits[-1],
        found.turned,
        float(len(places)),
        float(len(places) - 1),
        [float(n) for n in counts],
        list(found.logits),
        [float(n) for n in every],
        [logits(case, substitution.vectors(case, rows)) for rows in changed],
        changed[-1],
        facts,
        words,
        _TOKENS.format(places=places, tokens=[int(attacked[0, i]) for i in places]),
    )


def _token(case: Case, token: int) -> str:
    words = case.splits.vocabulary if case.splits else ()
    return words[token] if token < len(words) else str(token)


_TOKENS = """\
attacked = x.clone()
attacked[0, {places}] = torch.tensor({tokens}, dtype=x.dtype)
logits = network(attacked)
"""


# ── the maps before and after ────────────────────────────────────────────────────────────────────────────────────────


def _maps(
    subject: Subject, options: Attack, found: Found, goal: Goal, report: Report
) -> tuple[dict[str, np.ndarray], dict[str, Any], list[str]]:
    """The attribution of the original class before and after: arrays, facts, words."""
    method: Method = registry.METHODS.get(options.compare)
    none: dict[str, Any] = {"method_title": method.title, "rank": None, "rank_random": []}
    inputs = [subject.x, found.x, *(found.random_x[i : i + 1] for i in range(min(options.maps, options.draws)))]
    made: list[Explained] = []
    for i, x in enumerate(inputs):

        def told(fraction: float, words: str, part: object = None, done: int = i) -> None:
            report(SEARCHED + (1 - SEARCHED) * (done + fraction) / len(inputs), words, part)

        case = Case(
            subject.network,
            x,
            subject.form,
            y=subject.y,
            splits=subject.splits,
            specs=subject.layers,
            sample=subject.sample,
            target=str(goal.index),
            seed=options.seed,
            report=told,
        )
        try:
            made.append(attribute(case, Choice(method.name, method.options())))
        except SpecError as error:
            return {}, none, [str(error)]
        if made[-1].withheld:
            return {}, none, [made[-1].withheld]
    if made[0].rounding:
        return {}, none, [made[0].rounding]
    first = made[0].attribution
    ranks = [rank_correlation(first, one.attribution) for one in made[1:]]
    maps = {MAP_BEFORE: first, MAP_AFTER: made[1].attribution}
    if first.size < FEW:
        return maps, none, []
    return maps, {**none, "rank": ranks[0], "rank_random": ranks[1:]}, _rank_words(method, ranks)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's: Pearson's correlation of the ranks, equal values sharing their mean rank; 0 where a map is flat."""
    ranks = [_ranks(one.ravel()) for one in (a, b)]
    spreads = [one.std() for one in ranks]
    if min(spreads) == 0:
        return 0.0
    return float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).mean() / (spreads[0] * spreads[1]))


def _ranks(values: np.ndarray) -> np.ndarray:
    _distinct, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: np.ndarray = np.cumsum(counts) - (counts + 1) / 2
    return middle[which]


def _rank_words(method: Method, ranks: list[float]) -> list[str]:
    random = ranks[1:]
    beside = Sentence(
        "{mean:.2f} on average of {n} ({least:.2f} to {largest:.2f})",
        mean=np.mean(random),
        n=len(random),
        least=min(random),
        largest=max(random),
    )
    return [
        Sentence(
            "{method}, for the original class: the rank correlation of its maps before and after is "
            "{ranks:.2f}; after random changes of the same size it is {beside}.",
            method=method.title,
            ranks=ranks[0],
            beside=beside,
        )
    ]


# ── words and arrays ─────────────────────────────────────────────────────────────────────────────────────────────────


def _other(found: Found, goal: Goal) -> int:
    """The likeliest class besides the original one, after the attack."""
    rest = found.after.clone()
    rest[goal.index] = -float("inf")
    return int(rest.argmax())


def _arrays(found: Found, goal: Goal, other: int) -> dict[str, Any]:
    curve = torch.stack(found.curve).softmax(-1)
    arrays = {
        ORIGINAL: _plain(found.original),
        ATTACKED: _plain(found.attacked),
        X: _plain(found.x),
        PROBABILITIES: torch.stack([found.before, found.after]).softmax(-1),
        SIZES: np.array(found.sizes),
        CURVE: curve[:, goal.index],
        CURVE_OTHER: curve[:, other],
        RANDOM_SIZES: np.array(found.random_sizes),
        RANDOM: torch.stack(found.random).softmax(-1)[:, :, goal.index],
    }
    if found.original.is_floating_point():
        arrays[CHANGE] = _plain(found.attacked - found.original)
    return arrays


def _plain(value: Tensor) -> np.ndarray:
    return value[0].numpy()


def _words(subject: Subject, options: Attack, found: Found, facts: AttackFacts) -> list[str]:
    first, other = (f"“{subject.label(which)}”" for which in (facts.index, facts.other))
    before, after = (float(one.softmax(-1)[facts.index]) for one in (found.before, found.after))
    if found.turned:
        words = [
            Sentence(
                "{size} turns the answer from {first} (probability {before:.1%} before, {after:.1%} after) to "
                "{other}.{below}",
                size=_size(options, found, facts),
                first=first,
                before=before,
                after=after,
                other=other,
                below=_below(options, found, facts),
            )
        ]
    else:
        aim = other if facts.wanted >= 0 else _("anything else")
        more = _("PGD may find one") if options.method == FGSM else _("more steps, restarts or a larger size may do")
        words = [
            Sentence(
                "No change was found that turns the answer from {first} to {aim}. {size}, the largest that was "
                "tried, moves its probability from {before:.1%} to {after:.1%}. That this attack fails does not "
                "prove that there is none: {more}.",
                first=first,
                aim=aim,
                size=_size(options, found, facts),
                before=before,
                after=after,
                more=_("more tokens may do") if facts.unit == "tokens" else more,
            )
        ]
    turned = facts.random_turned
    words.append(
        Sentence(
            "Of {draws} random changes of the same size, {none} turn{s} the answer{other}.",
            draws=options.draws,
            none=turned or _("none"),
            s="s" if turned < 2 else "",
            other=Sentence(" to {other}", other=other) if facts.wanted >= 0 else "",
        )
    )
    target = subject.answer().target
    if target and target != subject.label(facts.index):
        words.append(
            Sentence("The network is wrong here even before the attack: the sample is “{target}”.", target=target)
        )
    if facts.unit != GREY:
        words.append(_("Look at what was changed: it may well change what the right answer is, too."))
    return [*words, *found.words]


def _size(options: Attack, found: Found, facts: AttackFacts) -> str:
    if facts.unit == "tokens":
        return counted("Replacing {n:.0f} token", "Replacing {n:.0f} tokens", n=found.size)
    value, of = (_("pixel"), _("of 255 ")) if facts.unit == GREY else (_("value"), "")
    if options.norm == LINF:
        return Sentence(
            "Changing every {value} by at most {number} {of}{unit}",
            value=value,
            number=_number(found.size, options, facts),
            of=of,
            unit=facts.unit,
        )
    return Sentence(
        "A change of L2 norm {size:.4g} {unit} ({rms:.2g} a {value}, root mean square)",
        size=found.size,
        unit=facts.unit,
        rms=facts.rms,
        value=value,
    )


def _number(size: float, options: Attack, facts: AttackFacts) -> str:
    return f"{size:.0f}" if facts.unit == GREY and options.norm == LINF else f"{size:.4g}"


def _below(options: Attack, found: Found, facts: AttackFacts) -> str:
    if facts.unit == "tokens":
        return (
            _(" With any one of them put back the answer does not turn; other replacements may need fewer.")
            if found.size > 1
            else ""
        )
    if found.below == 0:
        return _(" There is no smaller size of whole grey levels.") if facts.unit == GREY else ""
    least = Sentence("{number} {unit}", number=_number(found.below, options, facts), unit=facts.unit)
    fails = Sentence(" The same attack with at most {least} fails; another attack may do with less.", least=least)
    again = [size for size in facts.fails_above if size > found.size]
    if again:
        fails += Sentence(
            " It fails again at {number}: larger is not always stronger.", number=_number(again[0], options, facts)
        )
    return fails
