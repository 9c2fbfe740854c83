"""Layer-wise relevance propagation with the ε rule, as input × the gradient of a changed backward pass.

R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) · R_j (Bach 2015, equation 58; Montavon 2019, section 10.2.1). With
g = R / value this is the usual backward pass, but that what a sum z gives is scaled by z / (z + ε sign z), and that an
activation hands on all the relevance it gets: its slope is y / x. A max-pool hands all of it to the winner. Where two
signals are added, each gets its share without an ε. What only moves values (padding, slices, reshaping, a pool that
picks every second pixel) is no sum and hands relevance on as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.catalog.attribution import _fit
from core.spec.sentences import Sentence, _
from core.worker.explain.explained_case import Case, Result
from core.worker.explain.inspect import CONVOLUTIONS, ELEMENTWISE, MEANS
from core.worker.explain.methods.rules import Call, Overruled, lines
from core.worker.model.modules.shapes import GlobalPool


def handed_on(call: Call, x: Tensor) -> Tensor:
    """An activation's slope is y / x: its output's relevance is its input's."""
    at = x.detach().requires_grad_()
    y = call(at.clone())
    (own,) = torch.autograd.grad(y.sum(), at)
    y, at = y.detach(), at.detach()
    slope = torch.where(at == 0, own, y / at)
    return y + slope * (x - at)


def absorbed(call: Call, x: Tensor, epsilon: float = 0.0) -> Tensor:
    """What a sum z gives is worth z / (z + ε sign z) of it: ε takes relevance away from weak sums."""
    z = call(x)
    held = z.detach()
    share = held / (held + epsilon * torch.where(held < 0, -1.0, 1.0))
    return held + torch.where(held == 0, 1.0, share) * (z - held)


def averaged(call: Call, x: Tensor, epsilon: float = 0.0) -> Tensor:
    """A mean is a sum like any other; one of a single value, as by a pool of 1×1 with a stride, only moves it."""
    return call(x) if moves(call, x) else absorbed(call, x, epsilon)


def moves(call: Call, x: Tensor) -> bool:
    """Does it hand on single values as they are? Then so it does with their squares; a mean of several does not."""
    probe = 2 + torch.sin(12.9898 * torch.arange(x.numel(), dtype=x.dtype, device=x.device)).view(x.shape)
    with torch.no_grad():
        return torch.equal(call(probe * probe), call(probe) ** 2)


SMALL = 1e-5  # below it ε only keeps from dividing by zero
SUMS = (*sorted(CONVOLUTIONS), "batch_norm")
AVERAGES = tuple(sorted(MEANS))


def lrp(case: Case, options: Any) -> Result:
    """x · g, with the batch norms folded into the layers before them."""
    case.fold()
    x = case.inputs.clone().requires_grad_()
    sums = dict.fromkeys(SUMS, partial(absorbed, epsilon=options.epsilon))
    means = dict.fromkeys(AVERAGES, partial(averaged, epsilon=options.epsilon))
    with Overruled(sums | means | dict.fromkeys(ELEMENTWISE, handed_on)):
        value = case.f(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    attribution = case.inputs * gradient
    answer, words = float(value.detach()), []
    if case.findings.biased:
        words.append(
            Sentence(
                "Biases and shifts ({listed}) keep a part of the answer for themselves: the map sums to "
                "{sum:.3g} of {answer:.3g}, and no other sum is promised.",
                listed=_fit.listed(case.findings.biased),
                sum=float(attribution.sum()),
                answer=answer,
            )
        )
    if set(case.findings.bends) <= _fit.OF_RELU and options.epsilon <= SMALL:
        words.append(
            _("With ReLUs only and so small an ε this is all but Input × Gradient; a larger ε drops weak sums.")
        )
    complete = not case.findings.biased
    code = _lines(case, options.epsilon)
    return Result(attribution, complete=complete, expected=answer if complete else None, words=words, code=code)


def _lines(case: Case, epsilon: float) -> str:
    found = case.findings
    if _fit.not_for_captums_lrp(found) or case.target.other is not None:
        return _own_lines(case, epsilon)
    passed = [one.split(" ")[0] for one in found.without_rule if one.endswith(("(Flatten)", "(Identity)"))]
    passed += _picking(case)
    ruled = "torch.nn.Linear, torch.nn.Conv2d, torch.nn.AvgPool2d, torch.nn.AdaptiveAvgPool2d, torch.nn.BatchNorm2d"
    text = "from captum.attr._utils.lrp_rules import EpsilonRule\n\n"
    text += _fold_lines(found.foldable, "torch.nn.Dropout(0.0)")
    for name in passed:  # a child of its own, never called, makes Captum ask for no rule
        text += f'model.network.get_submodule("{name}").add_module("unused", torch.nn.Dropout())\n'
    return text + (
        "for module in model.network.modules():\n"
        f'    pool = type(module).__name__ == "GlobalPool"\n'
        f'    if (isinstance(module, ({ruled})) or pool) and not hasattr(module, "unused"):\n'
        f"        module.rule = EpsilonRule({epsilon!r})\n"
        "attribution = captum.attr.LRP(model).attribute(x)"
    )


def _picking(case: Case) -> list[str]:
    """The modules that take means and here only move values."""
    found: list[str] = []

    def look(module: nn.Module, given: tuple[Tensor, ...], name: str) -> None:
        if moves(module.forward, given[0]):
            found.append(name)

    pools = [
        (name, module)
        for name, module in case.network.named_modules()
        if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d | GlobalPool)
    ]
    handles = [module.register_forward_pre_hook(partial(look, name=name)) for name, module in pools]
    try:
        with torch.no_grad():
            case.logits(case.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _own_lines(case: Case, epsilon: float) -> str:
    found = case.findings
    bends = [name for name in found.bends if name in ELEMENTWISE]
    return lines((absorbed, averaged, moves, *([handed_on] if bends else []))) + (
        f"from functools import partial\n\n{_fold_lines(found.foldable, 'torch.nn.Identity()')}"
        f"rules = dict.fromkeys({list(SUMS)}, partial(absorbed, epsilon={epsilon!r}))\n"
        f"rules |= dict.fromkeys({list(AVERAGES)}, partial(averaged, epsilon={epsilon!r}))\n"
        "rules |= "
        + (f"dict.fromkeys({bends}, handed_on)" if bends else "{}")
        + "\ngiven = x.clone().requires_grad_()\n"
        "with Overruled(rules):\n    value = model(given)\n"
        "attribution = x * torch.autograd.grad(value.sum(), given)[0]"
    )


def _fold_lines(pairs: tuple[tuple[str, str], ...], instead: str) -> str:
    if not pairs:
        return ""
    return (
        f"for name, norm in {list(pairs)}:  # a batch norm is a part of the layer before it\n"
        "    layer, batch_norm = model.network.get_submodule(name), model.network.get_submodule(norm)\n"
        "    linear = isinstance(layer, torch.nn.Linear)\n"
        "    fuse = torch.nn.utils.fuse_linear_bn_eval if linear else torch.nn.utils.fuse_conv_bn_eval\n"
        "    model.network.set_submodule(name, fuse(layer, batch_norm))\n"
        f"    model.network.set_submodule(norm, {instead})\n"
    )
