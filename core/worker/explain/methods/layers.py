"""Methods that explain by the values of one layer, and how a layer's values are laid onto the input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.catalog.attribution._layers import MAPS, PATCHES, ROWS, Place, places
from core.spec.options import Options
from core.spec.sentences import Sentence, _
from core.worker.explain.explained_case import CONTRIBUTION, GRADIENT, VALUE, Case, Result
from core.worker.explain.methods import reach
from core.worker.explain.methods.onto import SMOOTH, SUM, WHOLE, onto
from core.worker.explain.methods.path import summed
from core.worker.explain.methods.path_integral import Integral, broad, integral, way
from core.worker.explain.methods.pieces import Bent, Part, Straight

HELD = 512 << 20  # bytes that a layer's values and gradients on the way may take
TINY = 1e-30
EVEN = 0.25  # share of a gradient's squares that its mean must hold to stand for it
MOSTLY = 0.75  # of a map: if a ReLU hides more than this, that is said

LAYER = 'layer = model.network.get_submodule("{}")\n'


class At:
    """The layer of a case: what it gives for inputs, and the gradient of f there."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.module = case.network.get_submodule(case.layer)

    def values(self, inputs: Tensor) -> Tensor:
        """[n, …] what the layer gives for [n, …] inputs."""
        return self.answered(inputs)[0]

    def answered(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the layer gives for [n, …] inputs, and f there: [n, …], [n]."""
        held: list[Tensor] = []
        handle = self.module.register_forward_hook(lambda _module, _inputs, output: held.append(output.clone()))
        try:
            values = self.case.values(inputs)
        finally:
            handle.remove()
        return torch.cat(held), values

    def gradients(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the layer gives for [n, …] inputs, f's gradient there, and f: [n, …], [n, …], [n]."""
        found = list(self.case.batched(lambda some: self._back(some, None), inputs))
        y, gradient, values = (torch.cat(one) for one in zip(*found, strict=True))
        return y, gradient, values

    def onward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """f where the layer gives these values [n, …], and its gradient: [n], [n, …]; no matter what is before it."""
        same = self.case.inputs
        found = list(self.case.batched(lambda some: self._back(same.expand(len(some), *same.shape[1:]), some), values))
        return torch.cat([f for _y, _gradient, f in found]), torch.cat([gradient for _y, gradient, _f in found])

    def alone(self, values: Tensor) -> Tensor:
        """The number to explain where the layer gives these values [n, …]: [n]. A check, which is not counted."""
        handle = self.module.register_forward_hook(lambda _module, _inputs, _output: values.clone())
        try:
            with torch.no_grad():
                same = self.case.inputs
                return self.case.target.of(self.case.logits(same.expand(len(values), *same.shape[1:])))
        finally:
            handle.remove()

    def _back(self, inputs: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        held: list[Tensor] = []

        def hook(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
            held[:] = [(output if given is None else given).detach().requires_grad_()]
            return held[0].clone()  # what comes next may overwrite what it gets

        handle = self.module.register_forward_hook(hook)
        try:
            values = self.case.f(inputs)
        finally:
            handle.remove()
        (gradient,) = torch.autograd.grad(values.sum(), held[0])
        return held[0].detach(), gradient, values.detach()


# ── the methods ──────────────────────────────────────────────────────────────────────────────────────────────────────


def activation(case: Case, _options: Options) -> Result:
    """What the layer gives."""
    values = At(case).values(case.inputs)
    call = "values = captum.attr.LayerActivation(model, layer).attribute(x)"
    return _drawn(case, values, WHOLE, call, result=Result(values, of=VALUE))


def gradient_x_activation(case: Case, _options: Options) -> Result:
    """What the layer gives, times f's gradient there."""
    values, gradient, _f = At(case).gradients(case.inputs)
    call = "values = captum.attr.LayerGradientXActivation(model, layer).attribute(x)"
    return _drawn(case, values * gradient, SUM, call)


def grad_cam(case: Case, options: Any) -> Result:
    """Σ_c w_c A_c, w_c the mean of ∂f/∂A_c over its places (Selvaraju 2017, equations 1 and 2).

    The mean stands for the gradient where it is the same at all places, as before a global pooling; a layer that reads
    every place by weights of its own can make it wrong (Draelos & Carin 2020), which is said.
    Captum's class takes axis 1 for the maps. Of steps [n, step, feature] the maps are on the last axis, so that it
    would give one value a feature, not a step: there the lines do it by hand.
    """
    values, gradient, _f = At(case).gradients(case.inputs)
    before = _place(case).before
    over = (2, 3) if _place(case).how == MAPS else (1,)
    mean = gradient[:, before:].mean(over, keepdim=True)  # a class token is no place of the input
    if _place(case).how == MAPS:
        call = "values = captum.attr.LayerGradCam(model, layer).attribute(x, attr_dim_summation=False)"
    else:
        call = (
            "gradient = captum.attr.LayerGradientXActivation(model, layer, multiply_by_inputs=False).attribute(x)\n"
            f"mean = gradient[:, {before}:].mean(1, keepdim=True)\n"
            "values = mean * captum.attr.LayerActivation(model, layer).attribute(x)"
        )
    mapped = gradient[:, before:]
    share = float(mean.expand_as(mapped).square().sum() / mapped.square().sum().clamp(min=TINY))
    made = Result(mean * values, facts={"mean_share": share})
    if bool(mapped.any()) and share < EVEN:
        made.words = [
            Sentence(
                "The gradient differs from place to place here: its mean, by which Grad-CAM weighs, holds "
                "{share:.0%} of it, so this map can be wrong. Layer gradient × activation weighs every place by "
                "its own gradient.",
                share=share,
            )
        ]
    return _drawn(case, made.attribution, SMOOTH, call, relu=options.relu, result=made)


def internal_influence(case: Case, options: Any) -> Result:
    """∫ ∂f/∂y dα on the way from the baseline to the input (Leino 2018, equation 1), in pieces.

    A gradient sums to nothing that is known, so that the map alone says when the points are enough.
    """
    at, baseline = At(case), case.baseline(options)

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        _y, gradient, values = at.gradients(way(case, baseline, shares))
        return values, gradient

    options, place = _held(case, options, at.values(case.inputs)), _place(case)
    parts = (Part(before=place.before), Part(long=_axis(place), before=place.before))
    found = integral(options, Straight(torch.ones(())), look, case.answers.new_zeros(2), None, parts)
    call = "onward = captum.attr.LayerGradientXActivation(model, layer, multiply_by_inputs=False)\n" + summed(
        "onward.attribute({0})", found.cuts, "values", change=""
    )
    made = Result(
        found.values, baseline=baseline, change=found.change, facts=found.facts, words=found.words, of=GRADIENT
    )
    return _drawn(case, found.values, WHOLE, call, result=made)


def integrated_gradients(case: Case, options: Any) -> Result:
    """(y(x) − y(b)) · ∫ ∂f/∂y dα, where the layer's values y go straight from y(b) to y(x), in pieces."""
    at, baseline = At(case), case.baseline(options)
    (start, end), answers = _ends(at, baseline)

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        return at.onward(start + broad(shares, start) * (end - start))

    found = integral(_held(case, options, end), Straight(end - start), look, answers, parts=_parts(case))
    call = _ONWARD + summed("onward({0})", found.cuts, "values", ("low", "high"))
    return _complete(case, found, baseline, call)


def conductance(case: Case, options: Any) -> Result:
    """∫ ∂f/∂y · dy, y the layer's values on the way from the baseline to the input (Dhamdhere 2018, equation 3).

    In pieces, by the moves of y in them: no derivative of y is needed. Captum's class takes the gradient at the
    beginning of each of its equal moves alone, which needs many times the points.
    """
    at, baseline = At(case), case.baseline(options)
    (start, end), answers = _ends(at, baseline)

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        y, gradient, values = at.gradients(way(case, baseline, shares))
        return values, torch.stack([gradient, y], 1)

    found = integral(_held(case, options, end), Bent(start, end), look, answers, parts=_parts(case))
    return _complete(case, found, baseline, _flow(found.cuts))


def _axis(place: Place) -> int:
    """Of a layer's values [n, …]: where its maps or features are."""
    return 1 if place.how == MAPS else 2


def _parts(case: Case) -> tuple[Part, ...]:
    """Of contributions of a layer: each value, and what the map shows of them."""
    place = _place(case)
    return Part(before=place.before), Part(summed=_axis(place), before=place.before)


def _held(case: Case, options: Any, values: Tensor) -> Any:
    """The options with no more points than the memory holds for a layer with such values, with what is made of them."""
    most = min(options.most, HELD // (16 * values.numel()))
    if most < options.most:
        case.words.append(
            Sentence(
                "At most {most:,} points were taken on the way, not {most2:,}: the layer's values at more of "
                "them would need more memory than may be used.",
                most=most,
                most2=options.most,
            )
        )
    return replace(options, most=most)


def _ends(at: At, baseline: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """What the layer gives for the baseline and for the input, each [1, …], and the answers to both [2]."""
    values, answers = at.answered(torch.cat([baseline, at.case.inputs]))
    return (values[:1], values[1:]), answers


def _complete(case: Case, found: Integral, baseline: Tensor, call: str) -> Result:
    """All values of a layer together are the difference of the answers; so is the map, unless a part has no place."""
    facts = {**found.facts, "layer_expected": found.expected, "layer_gap": found.gap}
    made = Result(found.values, True, baseline, change=found.change, facts=facts, words=found.words)
    return _drawn(case, found.values, SUM, call, result=made)


_ONWARD = """\
low, high = (captum.attr.LayerActivation(model, layer).attribute(end) for end in (baseline, x))


def onward(point):
    \"\"\"The gradient of the answer where the layer gives this, whatever it gets.\"\"\"
    point = point.detach().requires_grad_()
    handle = layer.register_forward_hook(lambda module, given, output: point.clone())
    answer = model(x).sum()
    handle.remove()
    return torch.autograd.grad(answer, point)[0]


"""


def _flow(cuts: list[float]) -> str:
    """Lines that sum the gradients at the layer over the moves of its values, with the rules of pieces.py."""
    shares = ", ".join(f"{cut:.9g}" for cut in cuts)
    return (
        "given = captum.attr.LayerActivation(model, layer)\n"
        "onward = captum.attr.LayerGradientXActivation(model, layer, multiply_by_inputs=False)\n"
        f"cuts = [{shares}]  # closer where the network bends\n"
        "values = 0\n"
        "for start, end in zip(cuts, cuts[1:]):\n"
        "    shares = start, (start + end) / 2, end\n"
        "    low, middle, high = (given.attribute(baseline + share * (x - baseline)) for share in shares)\n"
        "    moved, bent = high - low, low - 2 * middle + high\n"
        "    rule = {0: (1 / 6, -1 / 3), 1 / 2: (4 / 6, 0), 1: (1 / 6, 1 / 3)}  # parabolas through the three\n"
        "    if start == 0:  # not at the very ends of the way, where blank places have no one maximum\n"
        "        rule = {1 / 4: (4 / 9, -8 / 9), 1 / 2: (3 / 9, 6 / 9), 1: (2 / 9, 2 / 9)}\n"
        "    if end == 1:\n"
        "        rule = {0: (2 / 9, -2 / 9), 1 / 2: (3 / 9, -6 / 9), 3 / 4: (4 / 9, 8 / 9)}\n"
        "    for place, (weight, bend) in rule.items():\n"
        "        point = baseline + (start + place * (end - start)) * (x - baseline)\n"
        "        values = values + onward.attribute(point) * (weight * moved + bend * bent)"
    )


# ── a layer's values, laid onto the input ────────────────────────────────────────────────────────────────────────────


def _drawn(
    case: Case, values: Tensor, kept: str, call: str, *, relu: bool = False, result: Result | None = None
) -> Result:
    """The result whose map is `values` [1, …] of the layer, one value a place, laid onto the input.

    Contributions are summed over maps or features. Of a gradient, and of what the layer itself gives, it is the length
    (see digits.OF_TOKENS), which has no sign.
    `call`: lines of Captum that bind `values`, given `layer`. `result`: what else is known of it.
    """
    made = result or Result(values)
    made.signed = made.of == CONTRIBUTION
    unread = reach.unread(At(case), values, _place(case), by_itself=kept == SUM)
    if unread:
        made.words = [*made.words, reach.told(case.layer, len(unread), zero=kept == SMOOTH)]
    if unread and kept == SMOOTH:  # a mean gradient weighs these places like any other
        values, line = reach.without(values, unread, _place(case).how == MAPS)
        call += line
    cells, lines = _cells(case, values, kept, ".sum({0})" if made.signed else ".norm(dim={0})")
    words = [*made.words, *_said(case, values, kept)]
    if relu:
        words += _cut(cells)
        cells, lines = cells.relu(), [*lines, "cells = cells.relu()"]
    made.attribution, last = onto(case, cells, kept)
    made.arrays = {"layer": values, **made.arrays}
    made.words = words
    made.facts = {**made.facts, "layer_sum": float(values.double().sum())}
    made.complete = made.complete and not _place(case).before
    made.code = LAYER.format(case.layer) + "\n".join([call, *lines, *last])
    return made


def _place(case: Case) -> Place:
    return places(case.specs, case.form)[case.layer]


def _cells(case: Case, values: Tensor, kept: str, reduced: str) -> tuple[Tensor, list[str]]:
    """One value a place: maps [1, h, w] of a picture, [1, T] of a sequence; and the lines that do it.

    reduced: how those of a place are put together, .sum({0}) or .norm(dim={0}).
    """
    place = _place(case)
    axis = 1 if place.how == MAPS else 2
    cells = values[:, place.before if axis == 2 else 0 :]
    cells = cells.sum(axis) if "sum" in reduced else cells.norm(dim=axis)
    cut = f"[:, {place.before}:]" if place.before and axis == 2 else ""
    lines = [f"cells = values{cut}{reduced.format(axis)}"]
    if place.how == MAPS:
        return cells, lines
    if place.how == ROWS:
        return cells[:, :, None], [f"{lines[0]}[:, :, None]"]
    if place.how == PATCHES:
        height, width = _grid(cells.shape[1], *case.form.shape[1:])
        return cells.view(1, height, width), [f"{lines[0]}.view(1, {height}, {width})"]
    if kept != SUM and case.real is not None and bool(case.real.any()) and not bool(case.real.all()):
        cells = cells * case.real  # nobody reads what the layer gives at padding
        lines.append("cells = cells * (x != 0).any(2)  # not the padding")
    return cells, lines


def _grid(patches: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of so many patches of a picture: those whose shape is nearest to the picture's."""
    wanted = math.sqrt(patches * height / width)
    rows = min((n for n in range(1, patches + 1) if patches % n == 0), key=lambda n: abs(n - wanted))
    return rows, patches // rows


def _said(case: Case, values: Tensor, kept: str) -> list[str]:
    """What the map cannot show."""
    place = _place(case)
    if place.how == MAPS:
        return []
    said: list[str] = []
    if place.before and kept == SUM:
        lost, whole = float(values[:, : place.before].sum()), float(values.sum())
        said.append(
            Sentence(
                "The class token has no place in the input: {lost:.3g} of the layer's sum of {whole:.3g} is "
                "there, and the map shows the rest.",
                lost=lost,
                whole=whole,
            )
        )
    elif place.before:
        said.append(_("The class token has no place in the input, so it is left out."))
    used = torch.nonzero(values[0].abs().sum(-1)).flatten().tolist()
    if kept == SUM and len(used) == 1 and values.shape[1] > 1:
        said.append(
            Sentence(
                "Everything lies at one step, number {used}, because the answer reads no other step of this "
                "layer. Choose a layer before it, or a method that explains by the input, to see where it comes "
                "from.",
                used=used[0] - place.before,
            )
            if used[0] >= place.before
            else _(
                "Everything lies at the class token, because the answer reads nothing else of this layer. Choose "
                "a layer before the last block."
            )
        )
    return said


def _cut(cells: Tensor) -> list[str]:
    """What the ReLU takes away, where that is most of it."""
    whole, against = float(cells.abs().sum()), float((-cells).relu().sum())
    if against == 0 or against < MOSTLY * whole:
        return []
    if against == whole:
        return [_("Nothing here speaks for the answer: switch the ReLU off to see what speaks against it.")]
    return [
        Sentence(
            "The ReLU hides {against:.0%} of this map, which speaks against the answer: switch it off to see.",
            against=against / whole,
        )
    ]
