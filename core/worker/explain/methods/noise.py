"""Methods that average gradients over draws: noisy copies of the input, random points on ways to training samples.

The draws are those of Captum's classes, in their order, so that the same seed gives the same map there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import TOKENS
from core.spec.sentences import Sentence, _
from core.worker.explain.explained_case import CONTRIBUTION, GRADIENT, VARIANCE, Case, Result, Withheld
from core.worker.explain.methods.pieces import Part, standard_error

FLAT = _("All values of this input are the same, so a share of their range is nothing: no noise is added.")


def smooth_grad(case: Case, options: Any) -> Result:
    """The mean gradient over `samples` copies with normal noise (Smilkov 2017, section 3)."""
    return _noisy(case, options, "smoothgrad")


def var_grad(case: Case, options: Any) -> Result:
    """The variance of the gradient over such copies (Adebayo 2018)."""
    return _noisy(case, options, "vargrad")


def _noisy(case: Case, options: Any, kind: str) -> Result:
    deviation, words = _deviation(case, options.noise)
    copies = _with_noise(case.inputs, options.samples, deviation)
    _values, gradients = case.gradients(copies)
    if options.of == "input_x_gradient":
        gradients = gradients * copies
        tunnel, more = "InputXGradient", ""
    else:
        tunnel, more = "Saliency", ", abs=False"
    draws = gradients if kind == "smoothgrad" else (gradients - gradients.mean(0)).square()
    found = gradients.mean(0, keepdim=True) if kind == "smoothgrad" else gradients.var(0, correction=0, keepdim=True)
    error = standard_error(draws, _part(case, summed=kind == "vargrad" or options.of == "input_x_gradient"))
    code = (
        f"tunnel = captum.attr.NoiseTunnel(captum.attr.{tunnel}(model))\n"
        f'attribution = tunnel.attribute(x, nt_type="{kind}", nt_samples={options.samples}, stdevs={deviation!r}{more})'
    )
    of = VARIANCE if kind == "vargrad" else CONTRIBUTION if options.of == "input_x_gradient" else GRADIENT
    facts = {"samples": options.samples, "deviation": deviation}
    return Result(found, error=error, facts=facts, words=words, code=code, of=of)


def _part(case: Case, summed: bool) -> Part:
    """What is shown of draws: of tokens the sum over the embedding vector, or its length."""
    if case.form.kind != TOKENS:
        return Part()
    return Part(summed=-1) if summed else Part(long=-1)


def _deviation(case: Case, share: float) -> tuple[float, list[str]]:
    """The noise's standard deviation, and a sentence where the input has no range to take a share of."""
    span = float(case.inputs.max() - case.inputs.min())
    return share * span, [FLAT] if share and not span else []


def _with_noise(x: Tensor, count: int, deviation: float) -> Tensor:
    """[count, …] copies of x [1, …], drawn as captum.attr.NoiseTunnel does."""
    return x + torch.normal(0.0, torch.full((count, *x.shape[1:]), deviation))


def gradient_shap(case: Case, options: Any) -> Result:
    """Mean of (x' − b) · ∂f/∂x (b + α(x' − b)) over random training samples b, α in [0, 1] and noisy copies x'.

    An estimate of the expected gradients (Erion 2021) by as many draws as there are points: its sum differs by chance
    from f(x) − mean f(b) over the drawn b. Captum takes the second factor at x', too.
    """
    known = _training(case, options.baselines)
    chosen = np.random.choice(len(known), options.samples)  # noqa: NPY002 (Captum draws from numpy's own state)
    deviation, words = _deviation(case, options.noise)
    copies = _with_noise(case.inputs, options.samples, deviation)
    shares = torch.from_numpy(np.random.uniform(0.0, 1.0, options.samples)).float()  # noqa: NPY002 (so here)
    alpha, baselines = shares.view(-1, *[1] * (copies.dim() - 1)), known[torch.from_numpy(chosen)]
    _values, gradients = case.gradients(alpha * copies + (1 - alpha) * baselines)

    def expected() -> float:
        """f(x) − mean f(b) over the drawn baselines."""
        with torch.no_grad():
            each = list(case.batched(lambda rows: case.target.of(case.logits(rows)), known))
            answers = torch.cat(each)[torch.from_numpy(chosen)]
        return float(case.target.of(case.answers)) - float(answers.mean())

    words.append(
        Sentence(
            "This is an estimate from {samples} random points: its sum misses the difference of the answers "
            "by chance, and by less the more points there are.",
            samples=options.samples,
        )
    )
    code = (  # `baseline` [1, n, …] holds all of them
        "attribution = captum.attr.GradientShap(model).attribute("
        f"x, baseline[0], n_samples={options.samples}, stdevs={deviation!r})"
    )
    facts = {"samples": options.samples, "baselines": len(known)}
    draws = (copies - baselines) * gradients
    error = standard_error(draws, _part(case, summed=True))
    return Result(draws.mean(0, keepdim=True), True, known, expected, error=error, facts=facts, words=words, code=code)


def _training(case: Case, count: int) -> Tensor:
    """[count, …] training samples in the shape of Case.inputs, drawn with the seed."""
    if case.splits is None or len(case.splits.train[0]) < 2:
        raise Withheld(_("GradientShap compares with training samples, and there are none here. Choose a trained run."))
    given = case.splits.train[0]
    drawn = torch.randperm(len(given), generator=torch.Generator().manual_seed(case.seed))[:count]
    if case.form.kind != TOKENS:
        return given[drawn].float()
    with torch.no_grad():
        vectors: Tensor = case.embedding(given[drawn])
    return vectors
