"""Methods that change a part of the input and see how the answer changes: occlusion, ablation, permutation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.catalog.entries import PICTURE, TOKENS
from core.spec.options import SpecError
from core.spec.sentences import Sentence, _
from core.worker.explain import features
from core.worker.explain.explained_case import Case, Result, Withheld

# ── occlusion ────────────────────────────────────────────────────────────────────────────────────────────────────────


def occlusion(case: Case, options: Any) -> Result:
    """A window of the baseline is moved over the input; every value gets the mean fall of the answer under it.

    Zeiler and Fergus 2014, section 4.2. The windows are those of Captum: the last ones are cut at the edge.
    """
    picture = case.form.kind == PICTURE
    sizes = case.inputs.shape[2:] if picture else case.inputs.shape[1:2]
    side, stride = (options.window, options.stride) if picture else (options.steps, 1)
    if stride > side:
        raise SpecError(
            "stride",
            Sentence(
                "stride = {stride} is larger than the window of {side} pixels: some would never be covered. "
                "Choose at most {side}.",
                stride=stride,
                side=side,
            ),
        )
    windows = [_windows(size, min(side, size), stride) for size in sizes]
    baseline = _base(case, options)
    falls = _falls(case, baseline, windows)
    attribution = _averaged(falls, windows)
    attribution = attribution.view(1, 1, *attribution.shape) if picture else attribution.view(1, -1)
    if case.inputs.dim() == 3:
        attribution = attribution.unsqueeze(-1)
    attribution = attribution.expand_as(case.inputs).float()
    if case.real is not None:
        attribution = attribution * case.real.view(1, -1, 1) / case.inputs.shape[-1]
    return Result(attribution, baseline=baseline, code=_occlusion_lines(case, side, stride))


def _windows(size: int, side: int, stride: int) -> Tensor:
    """bool [window, size]: where each window lies; they begin every `stride` and the last one reaches the end."""
    begins = torch.arange(-(-(size - side) // stride) + 1) * stride
    at = torch.arange(size)
    return (at >= begins[:, None]) & (at < begins[:, None] + side)


def _falls(case: Case, baseline: Tensor, windows: list[Tensor]) -> Tensor:
    """float64 [window, …, window, …]: how much the answer falls under each window; one axis for each that it moves on.

    The rows are made for a few windows of the first axis at a time, and not where there is nothing to hide because the
    input is like the baseline.
    """
    first, *rest = windows
    per = len(rest[0]) if rest else 1
    many = max(1, features.CHUNK // (4 * case.inputs.numel() * per))
    whole, differs = case.values(case.inputs).double(), case.inputs != baseline
    falls = []
    for part in first.split(many):
        covered = (part[:, None, :, None] & rest[0][None, :, None, :]).flatten(0, 1)[:, None] if rest else part
        covered = covered.view(*covered.shape, *[1] * (case.inputs.dim() - covered.dim()))
        changed = torch.nonzero((covered & differs).flatten(1).any(1)).flatten()
        part_falls = torch.zeros(len(covered), dtype=torch.float64)
        if len(changed):
            values = case.values(torch.where(covered[changed], baseline, case.inputs))
            part_falls[changed] = whole - values.double()
        falls.append(part_falls)
    return torch.cat(falls).view(*map(len, windows))


def _averaged(falls: Tensor, windows: list[Tensor]) -> Tensor:
    """float64, one value a pixel, step or feature: the mean of the falls of the windows that cover it."""
    total, times = falls, torch.ones_like(falls)
    for window in windows:  # the first axis is summed over windows, and becomes the last
        total, times = (torch.tensordot(v, window.double(), dims=([0], [0])) for v in (total, times))
    return total / times


def _occlusion_lines(case: Case, side: int, stride: int) -> str:
    first, *rest = case.inputs.shape[1:]
    shape, strides = [min(side, first), *rest], [1] * (1 + len(rest))
    if case.form.kind == PICTURE:
        shape, strides = [first, *(min(side, size) for size in rest)], [1, stride, stride]
    text = f"attribution = captum.attr.Occlusion(model).attribute(x, {tuple(shape)}, {tuple(strides)}, baseline)"
    if case.form.kind == TOKENS:
        assert case.real is not None
        text += "\nattribution = attribution / x.shape[-1]  # shared by the values of its embedding"
        if not bool(case.real.all()):
            real = case.real.int().tolist()
            text += f"\nattribution = attribution * torch.tensor({real}).view(1, -1, 1)  # no padding"
    return text


def _base(case: Case, options: Any) -> Tensor:
    """The baseline, which leaves padding as it is."""
    baseline = case.baseline(options)
    return baseline if case.real is None else torch.where(case.real.view(1, -1, 1), baseline, case.inputs)


# ── ablation ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def feature_ablation(case: Case, options: Any) -> Result:
    """How much the answer falls when one piece alone is replaced by the baseline (Captum's FeatureAblation)."""
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    off = ~torch.eye(features.count(pieces), dtype=torch.bool)
    whole = case.values(case.inputs)
    falls = whole - features.answers(case, baseline, pieces, off, whole)
    call = "attribution = captum.attr.FeatureAblation(model).attribute(x, baseline, feature_mask={mask})"
    code = features.lines(case, pieces, options, call, share=False)
    return Result(features.spread(case, pieces, falls), baseline=baseline, code=code)


# ── permutation ──────────────────────────────────────────────────────────────────────────────────────────────────────


def feature_permutation(case: Case, options: Any) -> Result:
    """How much the answer falls, on average, when one piece has the values of other test samples (Fisher 2019).

    Captum shuffles a batch and gives a map to every row; here this sample meets `options.others` drawn ones instead,
    which is Captum's FeaturePermutation with the rows of the batch equal and the shuffled values from elsewhere.
    """
    pieces = features.groups(case, options)
    others = features.kept(case, pieces, _others(case, options.others))
    on = ~torch.eye(features.count(pieces), dtype=torch.bool)
    whole = case.values(case.inputs)
    found = [features.answers(case, other[None], pieces, on, whole) for other in others]
    drawn = whole - torch.stack(found)
    error = features.uncertain(case, pieces, drawn, features.spread)
    call = (
        "others = baseline.reshape(-1, *x.shape[1:])  # these samples\n"
        "permutation = captum.attr.FeaturePermutation(model, lambda rows, piece: torch.where(piece, others, rows))\n"
        "rows = x.repeat(len(others), *[1] * (x.dim() - 1))\n"
        "attribution = permutation.attribute(rows, feature_mask={mask}).mean(0, keepdim=True)"
    )
    code = features.lines(case, pieces, options, call, share=False)
    words = (
        Sentence(
            "Each piece takes the values that it has in {others} other test samples, one after the other.",
            others=len(others),
        ),
    )
    found_map = features.spread(case, pieces, drawn.mean(0))
    return Result(found_map, baseline=others, error=error, words=words, code=code)


def _others(case: Case, most: int) -> Tensor:
    """[n, …] other samples of the test set, in the shape of case.inputs, drawn by the seed."""
    known = case.splits.test[0] if case.splits else case.x[:0]
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(case.seed))
    order = order[order != case.sample][:most]
    if not len(order):
        raise Withheld(_("There is no other test sample here whose values a piece could take."))
    if case.form.kind != TOKENS:
        return known[order].float()
    with torch.no_grad():
        vectors: Tensor = case.embedding(known[order])
    return vectors
