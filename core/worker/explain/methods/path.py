"""Integrated Gradients: gradients summed along the way from a baseline to the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.catalog.entries import TOKENS
from core.worker.explain.explained_case import Case, Result
from core.worker.explain.methods.path_integral import EACH, Integral, integral, way
from core.worker.explain.methods.pieces import Part, Straight

if TYPE_CHECKING:
    from core.catalog.attribution.integrated_gradients import IntegratedGradients


def integrated_gradients(case: Case, options: IntegratedGradients) -> Result:
    """(x − b) · ∫ ∂f/∂x (b + α(x − b)) dα (Sundararajan 2017, equation 1), in pieces."""
    baseline = case.baseline(options)
    found, _ends = along(case, options, baseline)
    code = summed("captum.attr.Saliency(model).attribute({0}, abs=False)", found.cuts)
    return Result(
        found.values,
        complete=True,
        baseline=baseline,
        change=found.change,
        facts=found.facts,
        words=found.words,
        code=code,
    )


def along(case: Case, options: Any, baseline: Tensor) -> tuple[Integral, Tensor]:
    """(x − b) · ∫ ∂f/∂x dα, and f at the baseline and at the input [2]."""
    ends = case.values(torch.cat([baseline, case.inputs]))
    rule = Straight(case.inputs - baseline)

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        return case.gradients(way(case, baseline, shares))

    return integral(options, rule, look, ends, parts=shown(case)), ends


def shown(case: Case) -> tuple[Part, ...]:
    """What is shown of contributions [n, …] of the inputs: each; of tokens, one a token."""
    return (Part(summed=-1),) if case.form.kind == TOKENS else EACH


def summed(
    gradient: str,
    cuts: list[float],
    made: str = "attribution",
    ends: tuple[str, str] = ("baseline", "x"),
    change: str | None = None,
) -> str:
    """Lines that sum what the words `gradient` give at a point {0}, with the rules of pieces.py between the cuts.

    made: the name of the sum. ends: those of the two ends of the way. change: what each gradient is multiplied with,
    ending with " * "; None: the change from one end to the other.
    """
    shares = ", ".join(f"{cut:.9g}" for cut in cuts)
    start, end = ends
    times = f"({end} - {start}) * " if change is None else change
    return (
        f"cuts = [{shares}]  # closer where the network bends\n"
        f"{made} = 0\n"
        "for start, end in zip(cuts, cuts[1:]):\n"
        "    rule = {0: 1 / 6, 1 / 2: 4 / 6, 1: 1 / 6}  # Simpson's\n"
        "    if start == 0:  # not at the very ends of the way, where blank places have no one maximum\n"
        "        rule = {1 / 4: 4 / 9, 1 / 2: 3 / 9, 1: 2 / 9}\n"
        "    if end == 1:\n"
        "        rule = {0: 2 / 9, 1 / 2: 3 / 9, 3 / 4: 4 / 9}\n"
        "    for place, weight in rule.items():\n"
        f"        point = {start} + (start + place * (end - start)) * ({end} - {start})\n"
        f"        gradient = {gradient.format('point')}\n"
        f"        {made} = {made} + {times}weight * (end - start) * gradient"
    )
