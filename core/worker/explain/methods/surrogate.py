"""Methods that fit a simple model to the answers for random choices of pieces: KernelShap and Lime."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.spec.options import SpecError
from core.spec.sentences import Sentence, _
from core.worker.explain import features
from core.worker.explain.explained_case import Case, Result, Withheld

MOST = 1000  # pieces of one fit, which cannot be given up half way: 0.5 s with 5,000 coalitions; with 3,000 9 s

# ── KernelShap ───────────────────────────────────────────────────────────────────────────────────────────────────────


def kernel_shap(case: Case, options: Any) -> Result:
    """Shapley values by weighted least squares over coalitions of pieces (Lundberg and Lee 2017, section 4.1).

    The fit passes through f(baseline) and f(x) exactly. (Captum gives these two a weight of a million, with which its
    fit in float32 loses digits.) A piece's value is shared equally by its members, so that the map sums to
    f(x) − f(baseline).
    """
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    n = features.count(pieces)
    if n > MOST:
        fits = Sentence("There are {n:,} pieces here, and KernelShap fits at most {most:,}.", n=n, most=MOST)
        raise SpecError("pieces", Sentence("{fits} Choose larger pieces, or another method.", fits=fits))
    if n > options.samples:
        raise SpecError(
            "samples",
            Sentence(
                "There are {n:,} pieces here, and {samples:,} coalitions cannot tell them apart. Choose larger "
                "pieces, or at least {n:,} samples.",
                n=n,
                samples=options.samples,
            ),
        )
    on, weights = coalitions(n, options.samples)
    empty, whole = case.values(baseline).double(), case.values(case.inputs).double()
    found = features.answers(case, baseline, pieces, on, whole)
    values = least_squares(on, weights, found - empty, float(whole - empty))
    code = features.lines(case, pieces, options, kernel_lines(n, options.samples), share=True)
    facts = {"coalitions": len(on) + 2, "exact": len(on) == 2**n - 2}
    return Result(features.shared(case, pieces, values), complete=True, baseline=baseline, facts=facts, code=code)


def coalitions(n: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coalitions of n pieces, bool [row, n], and what each counts [row] (Lundberg and Lee 2017, theorem 2).

    Sizes of which drawing would give every coalition are taken whole, the smallest and largest first; of the others
    random ones are drawn, each with its opposite. The empty and the full coalition are not among them.
    """
    import itertools
    import math

    sizes = range(1, n // 2 + 1)  # each stands for itself and n − size
    share = [(1 if 2 * k == n else 2) / (k * (n - k)) for k in sizes]
    left, rows, weights, whole = samples, [], [], 0
    for k, mass in zip(sizes, share, strict=True):
        number = math.comb(n, k) * (1 if 2 * k == n else 2)
        if left * mass / sum(share[whole:]) < number * (1 - 1e-9):
            break
        part = torch.zeros(math.comb(n, k), n, dtype=torch.bool)
        part.scatter_(1, torch.tensor(list(itertools.combinations(range(n), k))), True)
        rows.append(part if 2 * k == n else torch.cat([part, ~part]))
        weights.append(torch.full((number,), mass / number))
        left, whole = left - number, whole + 1
    pairs = left // 2
    if whole < len(share) and pairs:
        drawn = torch.multinomial(torch.tensor(share[whole:]), pairs, replacement=True) + whole + 1
        part = torch.rand(pairs, n).argsort(1).argsort(1) < drawn[:, None]
        rows += [part, ~part]
        weights.append(torch.full((2 * pairs,), sum(share[whole:]) / (2 * pairs)))
    on = torch.cat([torch.zeros(0, n, dtype=torch.bool), *rows])
    counts = torch.cat([torch.zeros(0), *weights])
    return on, counts / counts.mean() if len(counts) else counts


def least_squares(on: torch.Tensor, weights: torch.Tensor, rises: torch.Tensor, whole: float) -> torch.Tensor:
    """float64 [pieces]: the values that sum to `whole` and whose sums over coalitions come closest to their `rises`.

    What is left after an equal share has no sum: rows without their mean hold no equal share. Where the coalitions do
    not decide, the solution with the smallest values is taken.
    """
    n = on.shape[1]
    rows = on.double()
    rest = rises - rows.sum(1) * (whole / n)
    root = weights.double().sqrt()
    left = ((rows - rows.mean(1, keepdim=True)) * root[:, None]).numpy()
    values = np.linalg.lstsq(left, (rest * root).numpy(), rcond=None)[0]
    return torch.from_numpy(values) + whole / n


SOURCE = f"{inspect.getsource(coalitions)}\n\n{inspect.getsource(least_squares)}"  # as it is when it is loaded


def kernel_lines(n: int, samples: int) -> str:
    """Captum's KernelShap, given the coalitions and weights of `coalitions` and the fit of `least_squares`."""
    source = SOURCE.replace("{", "{{").replace("}", "}}")
    return (
        f"{source}\n\n"
        "class Fit:  # Captum's own gives the two ends a weight of a million, with which float32 loses digits\n"
        "    def fit(self, loader):\n"
        "        rows, found, counts = next(iter(loader))\n"
        "        whole, empty = found[:2].double()\n"
        "        rises = found[2:].double() - empty\n"
        "        self.values = least_squares(rows[2:] > 0, counts[2:], rises, float(whole - empty))\n"
        "    def representation(self):\n"
        "        return self.values\n\n"
        f"on, weights = coalitions({n}, {samples})\n"
        f"ends = torch.tensor([[True], [False]]).expand(2, {n})\n"
        "def drawn(*_inputs, **_given):\n"
        "    yield from torch.cat([ends, on]).long()[:, None]\n\n"
        "counts = iter([1.0, 1.0, *weights.tolist()])\n"
        "kernel_shap = captum.attr.KernelShap(model)\n"
        "kernel_shap.interpretable_model, kernel_shap.perturb_func = Fit(), drawn\n"
        "kernel_shap.similarity_func = lambda *_inputs, **_given: torch.tensor([next(counts)])\n"
        "attribution = kernel_shap.attribute(\n"
        "    x, baseline, feature_mask={mask}, n_samples=len(on) + 2, perturbations_per_eval=64\n)"
    )


# ── Lime ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lime(case: Case, options: Any) -> Result:
    """The slopes of a sparse linear model (a Lasso) of the answers near the input (Ribeiro 2016, section 3.4).

    The choices of pieces are those that Captum's Lime draws from the same seed; one that is more like the input counts
    more. Every member of a piece gets its slope.
    """
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    n = features.count(pieces)
    on = torch.bernoulli(torch.full((options.samples, n), 0.5)).bool()
    found = features.answers(case, baseline, pieces, on, case.values(case.inputs)).float()
    if not bool(torch.isfinite(found).all()):
        raise Withheld(
            _(
                "Lime fits the answers to inputs with pieces missing, and some of these answers are no numbers "
                "here. Choose another baseline, or an earlier moment."
            )
        )
    near = likeness(case.inputs, baseline, pieces, on, options.width)
    values, converged = _lasso(on, found, near, options.alpha)
    words = (
        [] if converged else [_("The fit had not settled when it was stopped. Choose a larger alpha or more samples.")]
    )
    if not bool(values.any()):
        words.append(_("The fit leaves every piece at zero: choose a smaller alpha or more samples."))
    call = (
        "from captum._utils.models.linear_model import SkLearnLasso\n"
        "from captum.attr._core.lime import get_exp_kernel_similarity_function\n\n"
        f'near = get_exp_kernel_similarity_function("cosine", kernel_width={options.width!r})\n'
        f"explainer = captum.attr.Lime(model, SkLearnLasso(alpha={options.alpha!r}), near)\n"
        "attribution = explainer.attribute(\n"
        f"    x, baseline, feature_mask={{mask}}, n_samples={options.samples}, perturbations_per_eval=64\n)"
    )
    code = features.lines(case, pieces, options, call, share=False)
    return Result(features.spread(case, pieces, values), baseline=baseline, words=words, code=code)


def likeness(x: Tensor, baseline: Tensor, pieces: Tensor, on: Tensor, width: float) -> Tensor:
    """float32 [row]: exp(−d² / 2 width²), with d = 1 − cosine of the angle between x and the row's input.

    From sums over pieces; the rows themselves are not made again.
    """
    numbers = (pieces + 1).expand_as(x).flatten()  # padding is 0, and always on
    chosen = torch.cat([torch.ones(len(on), 1), on], 1).double()

    def sums(values: Tensor) -> Tensor:
        return torch.zeros(chosen.shape[1], dtype=torch.float64).index_add_(0, numbers, values.double().flatten())

    own, other = sums(x * x), sums(baseline * baseline)
    product = chosen @ own + (1 - chosen) @ sums(x * baseline)
    length = (chosen @ own + (1 - chosen) @ other).clamp(min=0).sqrt() * own.sum().sqrt()
    distance = 1 - product / length.clamp(min=1e-8)
    return torch.exp(-(distance**2) / (2 * width**2)).float()


def _lasso(on: Tensor, found: Tensor, near: Tensor, alpha: float) -> tuple[Tensor, bool]:
    """The slopes [pieces], and whether the fit has settled."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted = Lasso(alpha=alpha).fit(on.float().numpy(), found.numpy(), sample_weight=near.numpy())
    return torch.from_numpy(np.asarray(fitted.coef_, np.float64)), not told
