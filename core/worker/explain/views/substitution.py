"""The fewest tokens to replace so that the answer turns, found greedily along the gradient (HotFlip)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.catalog.views.attack import Attack
from core.worker.explain.explained_case import Case
from core.worker.explain.views.flip import Goal, logits

WIDTH = 32  # replacements that are tried in every round


@dataclass(frozen=True)
class Replaced:
    """Rows of ids [replacements + 1, step], the sample first, and the logits [class] for each; did the last one turn?

    spare: how many replacements were taken back at the end because the answer stays turned without them.
    """

    rows: Tensor
    logits: Tensor
    turned: bool
    spare: int = 0


def vectors(case: Case, rows: Tensor) -> Tensor:
    """[n, step] ids → [n, step, width], the embedding's vectors."""
    weight: Tensor = case.embedding.weight.detach()  # type: ignore[assignment, operator, unused-ignore]
    return weight[rows]


def replace_few(case: Case, goal: Goal, most: int) -> Replaced:
    """Round by round the replacement that drives the answer farthest, until it turns or `most` are replaced.

    In each round all replacements are ranked by the first-order change (e_new − e_old) · ∂goal/∂e (Ebrahimi 2018,
    equation 10), and the WIDTH best are tried. Padding is neither replaced nor put in, and no token is replaced twice.
    """
    assert case.ids is not None and case.real is not None
    weight = vectors(case, torch.arange(case.form.vocabulary))
    rows, free = [case.ids[0]], case.real.clone()
    case.predicted = most * (1 + WIDTH / 3)
    answers = [logits(case, vectors(case, rows[0][None]))[0]]
    while len(rows) <= min(most, int(case.real.sum())) and not goal.turned(answers[-1][None]):
        case.target = goal
        _value, gradient = case.gradients(vectors(case, rows[-1][None]))
        gain = gradient[0] @ weight.T  # [step, token]
        gain = gain - gain.gather(1, rows[-1][:, None])
        gain[~free] = -float("inf")
        gain[:, 0] = -float("inf")
        gain.scatter_(1, rows[-1][:, None], -float("inf"))
        ranked = gain.flatten().topk(min(WIDTH, int((gain > -float("inf")).sum()))).indices
        if not len(ranked):
            break
        tried = rows[-1].repeat(len(ranked), 1)
        tried[torch.arange(len(ranked)), ranked // gain.shape[1]] = ranked % gain.shape[1]
        found = logits(case, vectors(case, tried))
        best = int(goal.margin(found).argmax())
        free[ranked[best] // gain.shape[1]] = False
        rows.append(tried[best])
        answers.append(found[best])
    turned = bool(goal.turned(answers[-1][None]))
    return _pruned(case, goal, rows, answers) if turned else Replaced(torch.stack(rows), torch.stack(answers), False)


def _pruned(case: Case, goal: Goal, rows: list[Tensor], answers: list[Tensor]) -> Replaced:
    """Every replacement without which the answer stays turned is taken back, until each is needed."""
    kept, said, spare = rows[-1], answers[-1], 0
    while True:
        places = torch.nonzero(kept != rows[0]).flatten()
        tried = kept.repeat(len(places), 1)
        tried[torch.arange(len(places)), places] = rows[0][places]
        found = logits(case, vectors(case, tried))
        margins = goal.margin(found)
        if len(places) < 2 or float(margins.max()) <= 0:
            break
        best = int(margins.argmax())
        kept, said, spare = tried[best], found[best], spare + 1
    if not spare:
        return Replaced(torch.stack(rows), torch.stack(answers), True)
    return Replaced(torch.stack([rows[0], kept]), torch.stack([answers[0], said]), True, spare)


def at_random(case: Case, options: Attack, counts: list[int]) -> list[Tensor]:
    """For each count [draw, step] ids: so many real tokens at random places, each replaced by another one at random."""
    assert case.ids is not None and case.real is not None
    draw = torch.Generator().manual_seed(options.seed + 1000)
    places = torch.nonzero(case.real).flatten()
    words = int(case.form.vocabulary)
    orders = torch.stack([places[torch.randperm(len(places), generator=draw)] for _ in range(options.draws)])
    shift = torch.randint(1, words - 1, orders.shape, generator=draw)
    found = []
    for count in counts:
        rows = case.ids.repeat(options.draws, 1)
        old = rows.gather(1, orders[:, :count])
        rows.scatter_(1, orders[:, :count], (old - 1 + shift[:, :count]) % (words - 1) + 1)
        found.append(rows)
    return found
