"""Shapley values: every piece's fair share of the difference between the answers to the input and to the baseline."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from core.worker.explain import features
from core.worker.explain.explained_case import Case, Result
from core.worker.explain.methods.surrogate import kernel_lines

MOST_ORDERED = 6  # pieces, for which Captum's n! orders can be gone through
TABLE = 1 << 22  # truth values in one table of coalitions


def shapley_sampling(case: Case, options: Any) -> Result:
    """What a piece adds when it joins the pieces before it, averaged over random orders (Štrumbelj, Kononenko 2010).

    The orders are those that Captum's ShapleyValueSampling draws from the same seed. A piece's value is shared equally
    by its members, so that the map sums to f(x) − f(baseline).
    """
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    n = features.count(pieces)
    orders = torch.stack([torch.randperm(n) for _ in range(options.samples)])
    empty, whole = case.values(baseline), case.values(case.inputs)
    each = []
    for part in orders.split(max(1, TABLE // n**2)):
        places = part.argsort(1)  # [order, piece]: when the piece joins
        on = places[:, None] <= torch.arange(n - 1)[:, None]  # [order, joined, piece]
        found = features.answers(case, baseline, pieces, on.flatten(0, 1), whole).view(len(part), n - 1)
        way = torch.cat([empty.expand(len(part), 1), found, whole.expand(len(part), 1)], 1)
        each.append(way.diff(dim=1).gather(1, places))
    call = (
        "attribution = captum.attr.ShapleyValueSampling(model).attribute(\n"
        f"    x, baseline, feature_mask={{mask}}, n_samples={options.samples}\n)"
    )
    code = features.lines(case, pieces, options, call, share=True)
    drawn = torch.cat(each)
    error = features.uncertain(case, pieces, drawn, features.shared)
    found = features.shared(case, pieces, drawn.mean(0))
    return Result(found, complete=True, baseline=baseline, error=error, code=code)


def shapley_values(case: Case, options: Any) -> Result:
    """The mean over all orders, from all 2^n coalitions of the n pieces (Shapley 1953).

    Captum's ShapleyValues goes through n! orders for the same values. Shared as in shapley_sampling.
    """
    pieces = features.few(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    n = features.count(pieces)
    on = all_coalitions(n)
    whole = case.values(case.inputs)
    values = weights(on) @ (features.answers(case, baseline, pieces, on, whole) - whole)  # the weights have no sum
    if n <= MOST_ORDERED:
        call = "attribution = captum.attr.ShapleyValues(model).attribute(x, baseline, feature_mask={mask})"
    else:
        call = kernel_lines(n, 2**n)
    code = features.lines(case, pieces, options, call, share=True)
    facts = {"coalitions": len(on)}
    return Result(features.shared(case, pieces, values), complete=True, baseline=baseline, facts=facts, code=code)


def all_coalitions(n: int) -> Tensor:
    """bool [2^n, n], from the empty one to the full one."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n)) % 2 == 1


def weights(on: Tensor) -> Tensor:
    """float64 [pieces, coalition]: what each coalition's answer counts in each piece's value; `on`: all of them.

    With a piece in a coalition of s: (s − 1)! (n − s)! / n!; without it: −s! (n − s − 1)! / n!.
    """
    n = on.shape[1]
    share = torch.tensor([1 / (n * math.comb(n - 1, s)) for s in range(n)], dtype=torch.float64)
    sizes = on.sum(1)
    joined, alone = share[(sizes - 1).clamp(min=0)], -share[sizes.clamp(max=n - 1)]
    return torch.where(on, joined[:, None], alone[:, None]).T
