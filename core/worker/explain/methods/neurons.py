"""Methods that explain one unit of a layer: what in the input drives it, or acts on the answer through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from core.spec.options import SpecError
from core.spec.sentences import Sentence, _, join
from core.worker.explain.explained_case import GRADIENT, Case, Result, Target
from core.worker.explain.methods.layers import LAYER, At
from core.worker.explain.methods.path import along, shown, summed
from core.worker.explain.methods.path_integral import SMALL, integral, way
from core.worker.explain.methods.pieces import State, Straight

ANYWHERE = (-1,)


@dataclass(frozen=True)
class Unit(Target):
    """One unit of a layer as the number to explain: its value in the pass that is being made."""

    at: tuple[int, ...] = ()  # in the layer's output, without the batch
    held: list[Tensor] = field(default_factory=list)  # the layer's output [n, …]

    def of(self, _answers: Tensor) -> Tensor:
        """[n] the unit's value, whatever the network answers."""
        return picked(self.held[0], self.at)


def picked(values: Tensor, at: tuple[int, ...]) -> Tensor:
    """[n] of [n, …]: the unit at this place of each."""
    for i in at:
        values = values[:, i]
    return values


@contextmanager
def heard(case: Case) -> Iterator[list[Tensor]]:
    """Inside, this holds what the layer gave last [n, …]."""
    held: list[Tensor] = []

    def hook(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        held[:] = [output]
        return output.clone()  # what comes next may overwrite what it gets

    handle = case.network.get_submodule(case.layer).register_forward_hook(hook)
    try:
        yield held
    finally:
        handle.remove()
        held.clear()


@contextmanager
def explained(case: Case, unit: Unit) -> Iterator[None]:
    """Inside, `case.f` and all that is built on it is the value of the unit.

    Afterwards f is the answer again, but in words it stays the unit that was explained.
    """
    answer = case.target
    try:
        with heard(case) as held:
            case.target = replace(unit, held=held)
            yield
    finally:
        case.target = replace(answer, words=unit.words)


def gradient(case: Case, options: Any) -> Result:
    """∂u/∂x of a unit u."""
    x = case.inputs.clone().requires_grad_()
    with heard(case) as held:
        case.f(x)
        unit = _chosen(case, options, held[0].detach()[0])
        value = picked(held[0], unit.at)
    (found,) = torch.autograd.grad(value.sum(), x)
    case.backward_rows += 1
    case.target = replace(case.target, words=unit.words)
    facts, words = _about(unit, float(value.detach()))
    if not bool(found.any()):
        words.append(
            _(
                "It does not react to any small change of this input: it is off here, and where a ReLU is off "
                "the gradient is 0. Choose another unit or place, or the layer before the ReLU."
            )
        )
    code = f"{LAYER.format(case.layer)}attribution = {_gradient_of(unit).format('x')}"
    return Result(found, facts=facts, words=words, code=code, of=GRADIENT)


def integrated_gradients(case: Case, options: Any) -> Result:
    """Integrated Gradients of a unit's value: the map sums to its value less that at the baseline."""
    baseline, unit = case.baseline(options), _chosen(case, options, At(case).values(case.inputs)[0])
    with explained(case, unit):
        found, ends = along(case, options, baseline)
    at_baseline, at_x = ends.tolist()
    facts, words = _about(unit, at_x)
    facts |= {"f_baseline": at_baseline, **found.facts}
    complete = abs(found.expected) > SMALL
    if not complete:
        words.append(
            _(
                "The baseline gives the unit the same value, so there is nothing to explain: choose another "
                "unit, place or baseline."
            )
        )
    words += found.words
    code = LAYER.format(case.layer) + summed(_gradient_of(unit), found.cuts)
    return Result(
        found.values, complete, baseline, found.expected, change=found.change, facts=facts, words=words, code=code
    )


def conductance(case: Case, options: Any) -> Result:
    """(x − b) · ∫ ∂f/∂u · ∂u/∂x dα (Dhamdhere 2018, equation 2), in pieces.

    It sums to all that flows through the unit, ∫ ∂f/∂u du. That is computed apart from it, by the trapezoid rule over
    the unit's values at the same points, and is what the sum is checked against.
    """
    baseline, unit = case.baseline(options), _chosen(case, options, At(case).values(case.inputs)[0])

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        parts = list(case.batched(lambda some: _through(case, unit, some), way(case, baseline, shares)))
        u, back, product = (torch.cat(one) for one in zip(*parts, strict=True))
        return torch.stack([u, back], 1), product

    ends = look(torch.tensor([0.0, 1.0]))[0]
    found = integral(options, Straight(case.inputs - baseline), look, ends, _flowed, shown(case))
    case.target = replace(
        case.target, words=Sentence("{target} through {unit}", target=case.target.words, unit=unit.words)
    )
    facts = {"unit": unit.at, "flow": found.expected, **found.facts}
    complete = abs(found.expected) > SMALL
    flows = Sentence("{expected:.3g} of the answer flows through {words}.", expected=found.expected, words=unit.words)
    nothing = Sentence(
        "Nothing flows through {words}: between baseline and input it does not change, or nobody reads it.",
        words=unit.words,
    )
    words = [flows if complete else nothing, *found.words]
    place = ", ".join(map(str, (0, *unit.at)))
    code = (
        f"{LAYER.format(case.layer)}onward = captum.attr.LayerGradientXActivation(model, layer, "
        f"multiply_by_inputs=False)\n" + summed(f"onward.attribute({{0}})[{place}] * {_gradient_of(unit)}", found.cuts)
    )
    return Result(
        found.values, complete, baseline, found.expected, change=found.change, facts=facts, words=words, code=code
    )


def _flowed(states: list[State]) -> float:
    """∫ ∂f/∂u du of a piece; a state is u and ∂f/∂u."""
    return sum((v[0] - u[0]) * (u[1] + v[1]) / 2 for u, v in pairwise(states))


def _gradient_of(unit: Unit) -> str:
    return f"captum.attr.NeuronGradient(model, layer).attribute({{0}}, {unit.at})"


def _through(case: Case, unit: Unit, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The unit's value u [n], ∂f/∂u [n], and ∂f/∂u · ∂u/∂x [n, …]."""
    inputs = inputs.detach().clone().requires_grad_()
    with heard(case) as held:
        answers = case.f(inputs)
        (gradient,) = torch.autograd.grad(answers.sum(), held[0], retain_graph=True)
        u, back = picked(held[0], unit.at), picked(gradient, unit.at).detach()
    (product,) = torch.autograd.grad((u * back).sum(), inputs)
    return u.detach(), back, product


# ── which unit ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _chosen(case: Case, options: Any, values: Tensor) -> Unit:
    """The unit that the options name, of a layer that gives these values […]; SpecError where it has none such."""
    axis = 0 if values.dim() != 2 else 1  # maps [C, H, W] and vectors [F]; of steps [T, F] the last axis
    count, kind = values.shape[axis], {3: "map", 2: "number a step"}.get(values.dim(), "number")
    if options.unit >= count:
        known = (
            Sentence("gives {count} units (a {kind} each), 0 to {last}", count=count, kind=kind, last=count - 1)
            if count > 1
            else Sentence("gives one {kind}, unit 0", kind=kind)
        )
        raise SpecError(
            "unit", Sentence("unit = {unit}: {layer} {known}.", unit=options.unit, layer=case.layer, known=known)
        )
    places = values.select(axis, options.unit)
    place = _place(case, options.place, places)
    at = (options.unit, *place) if axis == 0 else (*place, options.unit)
    words = Sentence("unit {unit} of {layer}", unit=options.unit, layer=case.layer)
    if place and axis:
        words = Sentence("{unit} at step {place}", unit=words, place=place)
    elif place:
        words = Sentence("{unit} at {place}", unit=words, place=place)
    return Unit(0, words=words, at=at)


def _place(case: Case, wanted: tuple[int, ...], places: Tensor) -> tuple[int, ...]:
    """Where, in one map [H, W] or over the steps [T]; () for a vector."""
    if not places.dim():
        return ()
    shape = tuple(places.shape)
    if wanted == ANYWHERE:
        return tuple(int(i) for i in torch.unravel_index(places.argmax(), shape))
    if len(wanted) == len(shape) and all(0 <= i < n for i, n in zip(wanted, shape, strict=True)):
        return wanted
    axes = ("row", "column") if len(shape) == 2 else ("step",)
    ranges = join(
        (Sentence("{axis} 0 to {last}", axis=axis, last=n - 1) for axis, n in zip(axes, shape, strict=True)), _(" and ")
    )
    shown = ",".join(map(str, wanted))
    raise SpecError(
        "place",
        Sentence(
            "place = {shown}: a unit of {layer} has {ranges}; -1 is where it is strongest.",
            shown=shown,
            layer=case.layer,
            ranges=ranges,
        ),
    )


def _about(unit: Unit, value: float) -> tuple[dict[str, Any], list[str]]:
    """Facts and words: here the number that is explained is the unit's value, not the answer."""
    words: list[str] = [
        Sentence(
            "This explains {words}, whose value is {value:.3g} here, and not the network's answer.",
            words=unit.words,
            value=value,
        )
    ]
    return {"f_x": value, "unit": unit.at}, words
