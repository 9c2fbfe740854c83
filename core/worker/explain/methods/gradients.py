"""Methods that need the gradient at the input alone."""

from __future__ import annotations

from core.spec.options import Options
from core.worker.explain.explained_case import GRADIENT, Case, Result


def saliency(case: Case, _options: Options) -> Result:
    """|∂f/∂x| (Simonyan 2014)."""
    _value, gradient = case.gradients(case.inputs)
    return Result(gradient.abs(), code="attribution = captum.attr.Saliency(model).attribute(x)", of=GRADIENT)


def input_x_gradient(case: Case, _options: Options) -> Result:
    """x · ∂f/∂x (Shrikumar 2016)."""
    _value, gradient = case.gradients(case.inputs)
    code = "attribution = captum.attr.InputXGradient(model).attribute(x)"
    return Result(case.inputs * gradient, code=code)
