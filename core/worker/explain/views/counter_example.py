"""Counter-example by minimal ablation: the fewest pieces without which the answer is another.

Beside it the opposite, the fewest pieces that alone keep the answer (a sufficient input subset, Carter 2019). Greedy
search, then every piece that is not needed is put back: no single piece of what is found can be left out. With few
pieces all sets are tried, and only then is it called the smallest.

What it gives is declared in core.catalog.views.counter_example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS
from core.catalog.views.counter_example import (
    BASELINE,
    CURVE,
    KEPT,
    ONLY,
    ORIGINAL,
    PIECES,
    PROBABILITIES,
    RANDOM,
    RANDOM_KEPT,
    RANDOM_REMOVED,
    REMOVED,
    WITHOUT,
    CounterExample,
    CounterExampleFacts,
    X,
)
from core.spec.options import SpecError
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.explain import features
from core.worker.explain.explained_case import Case, case_of
from core.worker.explain.views.flip import Goal, logits
from core.worker.explain.views.small_change import space_of
from core.worker.look.subject import Report, Subject, finite

EXACT = 12  # pieces up to which all sets are tried
MOST = 400  # pieces that a greedy search may have

Reach = Callable[[Tensor], Tensor]  # bool [n, piece], the pieces of a set → [n]: above 0 the set does it


@dataclass(frozen=True)
class Fewest:
    """A set of pieces, bool [piece], that does it; None where none was found. `way`: what the greedy search took."""

    pieces: Tensor | None
    greedy: int  # pieces of the set that the search found by itself; −1 = none
    way: tuple[int, ...] = ()


def look(subject: Subject, options: CounterExample, report: Report) -> Seen[CounterExampleFacts]:
    """Both sets, and random orders beside them. SpecError where nothing can be taken away, or too much."""
    case = case_of(subject, seed=options.seed, report=report)
    case.title = _("Taking pieces away")
    goal = Goal(int(finite(case.answers)[0].argmax()))
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    there = candidates(case, pieces, baseline)
    n = len(there)
    case.predicted = (n * n / 2 + 2 * options.orders * n) / 3

    def ask(on: Tensor) -> Tensor:
        """[m, class] logits for the candidates that are on, bool [m, candidate]."""
        parts = torch.split(whole(on, there, pieces), case.rows)  # rows are made as they are used
        return torch.cat([logits(case, features.switched(case.inputs, baseline, pieces, part)) for part in parts])

    removed, kept = both(lambda on: goal.margin(ask(on)), n)
    sets = torch.stack([torch.ones(n) > 0, ~_pieces(removed, n, False), _pieces(kept, n, True)])
    answers = ask(sets).softmax(-1)
    arrays = {
        PIECES: pieces[0].numpy(),
        BASELINE: baseline[0].numpy(),
        X: case.inputs[0].numpy(),
        REMOVED: (~whole(sets, there, pieces)[1]).numpy(),
        KEPT: whole(sets, there, pieces, False)[2].numpy(),
        PROBABILITIES: answers,
        CURVE: ask(_steps(removed.way, n)).softmax(-1)[:, goal.index],
        **_shown(case, pieces, baseline, whole(sets, there, pieces)),
        **_at_random(ask, goal, random_orders(n, options.orders, options.seed)),
    }
    facts = CounterExampleFacts(
        **vars(subject.answer()),
        **_facts(subject, case, pieces, arrays, removed, kept),
        index=goal.index,
        other=int(answers[1].argmax()),
        unit=unit(case, options),
        count=n,
        same=features.count(pieces) - n,
        exact=n <= EXACT,
    )
    return subject.seen(arrays, facts, [*_words(subject, facts, arrays), *case.words], _code(subject))


def candidates(case: Case, pieces: Tensor, baseline: Tensor) -> Tensor:
    """The numbers of the pieces that differ from the baseline: taking away the others changes nothing."""
    found = torch.nonzero(features.matters(case, baseline, pieces)).flatten()
    if not len(found):
        raise SpecError(
            "baseline", _("The sample is like the baseline: nothing can be taken away. Choose another one.")
        )
    if len(found) > MOST:
        raise SpecError(
            "pieces",
            Sentence(
                "There are {found} pieces here, and at most {most} can be tried. Choose larger ones.",
                found=len(found),
                most=MOST,
            ),
        )
    return found


def whole(on: Tensor, there: Tensor, pieces: Tensor, others: bool = True) -> Tensor:
    """bool [m, candidate] → [m, piece]; pieces that are no candidates are on, or not."""
    made = torch.full((len(on), features.count(pieces)), others)
    made[:, there] = on
    return made


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────────────


def both(margin: Reach, n: int) -> tuple[Fewest, Fewest]:
    """The fewest pieces to remove so that the margin of the rest is above 0; the fewest to keep so that it is below."""

    def without(taken: Tensor) -> Tensor:
        return margin(~taken)

    def alone(taken: Tensor) -> Tensor:
        return -margin(taken)

    if n > EXACT:
        return greedy(without, n), greedy(alone, n)
    every = all_sets(n)
    found = margin(every)
    return _exact(without, n, ~every, found), _exact(alone, n, every, -found)


def greedy(reach: Reach, n: int) -> Fewest:
    """Piece by piece the one that brings it nearest; then whatever is not needed is left out again."""
    taken, way = torch.zeros(n, dtype=torch.bool), list[int]()
    there = float(reach(taken[None])[0])
    while there <= 0 and len(way) < n:
        free = torch.nonzero(~taken).flatten()
        tried = taken.repeat(len(free), 1)
        tried[torch.arange(len(free)), free] = True
        values = reach(tried)
        best = int(values.argmax())
        taken, there = tried[best], float(values[best])
        way.append(int(free[best]))
    if there <= 0:
        return Fewest(None, -1, tuple(way))
    pruned = prune(reach, taken)
    return Fewest(pruned, int(pruned.sum()), tuple(way))


def prune(reach: Reach, taken: Tensor) -> Tensor:
    """The pieces [piece] without those that are not needed: no single one of what is left can be left out."""
    while bool(taken.any()):
        places = torch.nonzero(taken).flatten()
        tried = taken.repeat(len(places), 1)
        tried[torch.arange(len(places)), places] = False
        values = reach(tried)
        best = int(values.argmax())
        if float(values[best]) <= 0:
            break
        taken = tried[best]
    return taken


def all_sets(n: int) -> Tensor:
    """bool [2ⁿ, n]."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n)) % 2 == 1


def _exact(reach: Reach, n: int, sets: Tensor, values: Tensor) -> Fewest:
    """The smallest of all sets that do it; among equals the one that does it most clearly."""
    searched = greedy(reach, n)
    does = torch.nonzero(values > 0).flatten()
    if not len(does):
        return Fewest(None, searched.greedy, searched.way)
    sizes = sets[does].sum(1)
    smallest = does[sizes == sizes.min()]
    return Fewest(sets[smallest[values[smallest].argmax()]], searched.greedy, searched.way)


def random_orders(n: int, count: int, seed: int) -> Tensor:
    """int64 [order, n]."""
    draw = torch.Generator().manual_seed(seed + 1000)
    return torch.stack([torch.randperm(n, generator=draw) for _ in range(count)])


def _at_random(ask: Reach, goal: Goal, orders: Tensor) -> dict[str, Any]:
    """What happens when pieces go, and when they come, in a random order."""
    count, n = orders.shape
    rank = orders.argsort(1)  # [order, piece]: when its turn comes
    gone = rank[:, None, :] < torch.arange(n + 1)[None, :, None]  # [order, how many, piece]
    without, only = (ask(on.reshape(-1, n)) for on in (~gone, gone))
    shares = without.softmax(-1)[:, goal.index].view(count, n + 1)
    turned, kept = goal.margin(without).view(count, n + 1) > 0, goal.margin(only).view(count, n + 1) < 0
    return {RANDOM: shares, RANDOM_REMOVED: _first(turned), RANDOM_KEPT: _first(kept)}


def _first(does: Tensor) -> np.ndarray:
    """[order, how many] → [order] the fewest that do it, −1 where none does."""
    return torch.where(does.any(1), does.int().argmax(1), torch.tensor(-1)).numpy()


def _steps(way: tuple[int, ...], n: int) -> Tensor:
    """bool [m + 1, n]: what is left after 0, 1, … m removals."""
    on = torch.ones((len(way) + 1, n), dtype=torch.bool)
    for step, piece in enumerate(way, 1):
        on[step:, piece] = False
    return on


def _pieces(found: Fewest, n: int, otherwise: bool) -> Tensor:
    return torch.full((n,), otherwise) if found.pieces is None else found.pieces


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def _shown(case: Case, pieces: Tensor, baseline: Tensor, sets: Tensor) -> dict[str, np.ndarray]:
    """The three samples as people see them; tokens are shown by their words alone."""
    if case.form.kind == TOKENS:
        return {}
    values = features.switched(case.inputs, baseline, pieces, sets)
    if case.form.kind == PICTURE:
        space = space_of(case, case.splits)
        values = ((values - space.shift) / space.scale).clamp(space.low, space.high)
    return {name: one.numpy() for name, one in zip((ORIGINAL, WITHOUT, ONLY), values, strict=True)}


def unit(case: Case, options: CounterExample) -> str:
    """What a piece is called."""
    if case.form.kind == PICTURE:
        return {"grid": "squares", "slic": "regions", "values": "values"}[options.pieces]
    if case.form.kind == TOKENS:
        return "tokens"
    return "steps" if case.form.kind == SEQUENCE and options.pieces != "values" else "features"


def _facts(
    subject: Subject, case: Case, pieces: Tensor, arrays: dict[str, Any], removed: Fewest, kept: Fewest
) -> dict[str, Any]:
    members = np.bincount(pieces[pieces >= 0].numpy())
    names = subject.splits.vocabulary
    empty = kept.pieces is not None and not bool(kept.pieces.any())
    return {
        "found_removed": removed.pieces is not None,
        "found_kept": kept.pieces is not None and not empty,
        "baseline_keeps": empty,
        "greedy_removed": removed.greedy,
        "greedy_kept": kept.greedy,
        "share_removed": float(members[arrays[REMOVED]].sum() / members.sum()),
        "share_kept": float(members[arrays[KEPT]].sum() / members.sum()),
        "classes": [subject.label(k) for k in range(arrays[PROBABILITIES].shape[1])],
        "tokens": [names[int(i)] if int(i) < len(names) else str(int(i)) for i in case.ids[0][case.real]]
        if case.ids is not None
        else [],
    }


def _words(subject: Subject, facts: CounterExampleFacts, arrays: dict[str, Any]) -> list[str]:
    first, n = f"“{subject.label(facts.index)}”", facts.count
    words = [_removed(subject, facts, arrays, first), _kept(facts, arrays, first)]
    if facts.exact:
        words.append(
            Sentence("All {n:,} sets of the {pieces} pieces were tried: none smaller does it.", n=2**n, pieces=n)
        )
    elif max(facts.found_removed * arrays[REMOVED].sum(), facts.found_kept * arrays[KEPT].sum()) > 1:
        words.append(
            Sentence(
                "No single piece of a set can be left out. A quite different set of more than one piece may "
                "still be smaller: only with {exact} pieces or fewer are all sets tried.",
                exact=EXACT,
            )
        )
    if facts.same:
        words.append(
            Sentence(
                "Left out of all counts, because they are like the baseline: {same} {unit}.",
                same=facts.same,
                unit=facts.unit,
            )
        )
    target = subject.answer().target
    if target and target != subject.label(facts.index):
        words.append(
            Sentence(
                "The network is wrong here even before anything is taken away: the sample is “{target}”.", target=target
            )
        )
    return words


def _removed(subject: Subject, facts: CounterExampleFacts, arrays: dict[str, Any], first: str) -> str:
    said, random = arrays[PROBABILITIES], arrays[RANDOM_REMOVED]
    if not facts.found_removed:
        found = _("There is no set") if facts.exact else _("The search found no set")
        return Sentence(
            "{found} of {unit} whose removal turns the answer from {first}. Another baseline may do.",
            found=found,
            unit=facts.unit,
            first=first,
        )
    return Sentence(
        "Without {some} the answer turns from {first} (probability {before:.1%} before, {after:.1%} after) "
        "to “{label}”. {beside}",
        some=_some(facts, arrays[REMOVED]),
        first=first,
        before=said[0, facts.index],
        after=said[1, facts.index],
        label=subject.label(facts.other),
        beside=_beside(random),
    )


def _kept(facts: CounterExampleFacts, arrays: dict[str, Any], first: str) -> str:
    if facts.baseline_keeps:
        return Sentence(
            "The baseline alone has the answer {first}, too: nothing is needed to keep it. Choose another baseline.",
            first=first,
        )
    return Sentence(
        "{capitalize} alone keep{sum} the answer {first} (probability {arrays:.1%}). {beside}",
        capitalize=_some(facts, arrays[KEPT]).capitalize(),
        sum="s" if arrays[KEPT].sum() == 1 else "",
        first=first,
        arrays=arrays[PROBABILITIES][2, facts.index],
        beside=_beside(arrays[RANDOM_KEPT]),
    )


def _some(facts: CounterExampleFacts, chosen: np.ndarray) -> str:
    count, unit = int(chosen.sum()), facts.unit
    return (
        Sentence("{some} of {count} {unit}", some=count, count=facts.count, unit=unit)
        if count != 1
        else Sentence("one of {count} {unit}", count=facts.count, unit=unit)
    )


def _beside(found: np.ndarray) -> str:
    """How many it takes in a random order."""
    took = found[found >= 0]
    if not len(took):
        return Sentence("In none of {found} random orders does that happen.", found=len(found))
    never = (
        Sentence("; in {found} of them it never happens", found=len(found) - len(took))
        if len(took) < len(found)
        else ""
    )
    spread = Sentence(
        "{median:.0f} (median; {min} to {max} over {found} orders{never})",
        median=np.median(took),
        min=took.min(),
        max=took.max(),
        found=len(found),
        never=never,
    )
    return Sentence("In a random order it takes {spread}.", spread=spread)


def _code(subject: Subject) -> str:
    stem = f"counter_example-step{subject.step}.npz"
    return (_CODE_TOKENS if subject.form.kind == TOKENS else _CODE).format(file=stem)


_CODE = """\
import numpy as np
import torch

found = np.load("{file}")  # beneath: Arrays, Download all
pieces, removed, baseline = (torch.from_numpy(found[name]) for name in ("pieces", "removed", "baseline"))
without = torch.where(removed[pieces], baseline, x)
only = torch.where(torch.from_numpy(found["kept"])[pieces], x, baseline)
probabilities = network(torch.cat([x, without, only])).softmax(-1)
"""
_CODE_TOKENS = """\
import numpy as np
import torch

found = np.load("{file}")  # beneath: Arrays, Download all
pieces, removed, baseline = (torch.from_numpy(found[name]) for name in ("pieces", "removed", "baseline"))
vectors = torch.from_numpy(found["x"])
without = torch.where((pieces >= 0) & removed[pieces], baseline, vectors)
only = torch.where((pieces < 0) | torch.from_numpy(found["kept"])[pieces], vectors, baseline)
embedding = next(module for module in network.modules() if isinstance(module, torch.nn.Embedding))
hook = embedding.register_forward_hook(lambda *_: torch.stack([vectors, without, only]))
probabilities = network(x.expand(3, -1)).softmax(-1)
hook.remove()
"""
