"""Methods that sum gradients along a way from a baseline to the input."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.explain.case import Case, Result

SMALL = 1e-6  # a difference of answers below this is none


def integrated_gradients(case: Case, options: object) -> Result:
    """(x − b) · ∫ ∂f/∂x (b + α(x − b)) dα by Gauss-Legendre quadrature (Sundararajan 2017, equations 1 and 3).

    The points are doubled until the gap is below the tolerance; what was computed before is kept as a comparison of
    how fast it converges, not reused: the quadrature's points are others.
    """
    baseline = case.baseline(options)
    difference = float(case.values(case.inputs) - case.values(baseline))
    steps: int = options.steps  # type: ignore[attr-defined]
    tried: list[tuple[int, float]] = []
    while True:
        attribution = along(case, baseline, steps)
        delta = float(attribution.sum()) - difference
        gap = abs(delta) / max(abs(difference), SMALL)
        tried.append((steps, gap))
        if gap <= options.tolerance or 2 * steps > options.most:  # type: ignore[attr-defined]
            break
        steps *= 2
    words = []
    if gap > options.tolerance:  # type: ignore[attr-defined]
        words.append(
            f"With {steps} points the sum still misses the difference of the answers by {gap:.1%}: it does not "
            "converge here, so do not read sizes off this map. Recurrent networks often bend too sharply on the way."
        )
    code = (
        f"attribution = captum.attr.IntegratedGradients(model).attribute("
        f'x, baseline, n_steps={steps}, method="gausslegendre")'
    )
    facts = {"steps": steps, "tried": tried}
    return Result(attribution, complete=True, baseline=baseline, facts=facts, words=words, code=code)


def along(case: Case, baseline: Tensor, steps: int) -> Tensor:
    """[1, …] the integral with `steps` points."""
    points, weights = (torch.from_numpy(v).float() for v in np.polynomial.legendre.leggauss(steps))
    shape = (-1, *[1] * (case.inputs.dim() - 1))
    way = baseline + ((points + 1) / 2).view(shape) * (case.inputs - baseline)
    _values, gradients = case.gradients(way)
    return (case.inputs - baseline) * (gradients * (weights / 2).view(shape)).sum(0, keepdim=True)
