"""Methods that change the backward pass: DeepLift, DeepLiftShap, guided backprop, deconvolution, guided Grad-CAM.

Captum hooks modules, and is silently wrong where a function is no module, where a module is used twice, where two
hooked modules share a tensor, or for a kind it does not know. Here a rule is laid on functions wherever they are
called. Most are written as a value with a slope: `value + slope · (x − x.detach())` has that value and that gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import getsource
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from core.catalog.attribution import _fit
from core.catalog.entries import TOKENS, Findings
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.worker.explain.explained_case import GRADIENT, Case, Result, Withheld
from core.worker.explain.inspect import MAX_POOLS
from core.worker.explain.methods.pieces import Part, standard_error

Call = Callable[[Tensor], Tensor]  # a function of torch with all its other arguments
Rules = Mapping[str, Callable[..., Tensor]]  # its name → a rule (call, what it gets) → what it gives


class Overruled(TorchFunctionMode):
    """Inside, the functions named in `rules` (relu, max_pool2d …) go back as their rule says, whoever calls them."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules = rules

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Torch hands every call of a function to this."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        rule = self.rules.get(name.strip("_"))
        given = args[0] if args else kwargs.get("input")
        if rule is None or not given.requires_grad:  # what does not depend on the input has nothing to go back to
            return func(*args, **kwargs)
        kwargs.pop("input", None)
        overwrites = kwargs.pop("inplace", False) or (name.endswith("_") and not name.startswith("_"))
        y = rule(lambda x: func(x, *args[1:], **kwargs), given.clone() if overwrites else given)
        return given.copy_(y) if overwrites else y


# ── DeepLift ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rescaled(call: Call, x: Tensor) -> Tensor:
    """The slope is Δy / Δx between inputs (first half of the rows) and baselines (Shrikumar 2017, section 3.5.2).

    Where they are the same it is the function's own slope, as in Captum.
    """
    half = len(x) // 2
    at = x.detach().requires_grad_()
    y = call(at.clone())
    (own,) = torch.autograd.grad(y.sum(), at)
    at, y = at.detach(), y.detach()
    dx, dy = at[:half] - at[half:], y[:half] - y[half:]
    slope = torch.where(dx.abs() < 1e-10, own[:half], dy / dx)
    return y + torch.cat([slope, slope]) * (x - at)


class RescaledMax(torch.autograd.Function):
    """A max-pool's Δy goes to the places of the input's and of the baseline's maximum, as in Captum's rule.

    What is above the baseline's maximum goes to the first, what is below to the second; windows may overlap.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: Call) -> Tensor:
        ctx.call = call
        ctx.save_for_backward(x)
        return call(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            y = ctx.call(x)
        half = len(y) // 2
        gradient = gradient[:half].repeat(2, *[1] * (y.dim() - 1))  # that of the inputs' rows
        top = torch.maximum(y[:half], y[half:])
        credit = gradient * torch.cat([top - y[half:], y[:half] - top])
        (own,) = torch.autograd.grad(y, x, gradient, retain_graph=True)
        (parts,) = torch.autograd.grad(y, x, credit)
        dx = (x[:half] - x[half:]).detach()
        slope = torch.where(dx.abs() < 1e-10, own[:half], (parts[:half] + parts[half:]) / dx)
        return torch.cat([slope, slope]), None


def rescaled_max(call: Call, x: Tensor) -> Tensor:
    """See RescaledMax."""
    return RescaledMax.apply(x, call)


def deep_lift(case: Case, options: Any) -> Result:
    """(x − b) · the product of all slopes on the way back, rescale rule (Shrikumar 2017, equation 3)."""
    baseline = case.baseline(options)
    attribution, _difference = lifted(case, baseline)
    code = _deep_lift_lines(case.findings)
    return Result(attribution, complete=True, baseline=baseline, code=code)


def deep_lift_shap(case: Case, options: Any) -> Result:
    """The mean of DeepLift over baselines drawn from the training set (Lundberg & Lee 2017, section 4.2)."""
    baselines = _drawn(case, options.samples)
    attributions, differences = lifted(case, baselines)
    code = _deep_lift_lines(case.findings, many=True)
    return Result(
        attributions.mean(0, keepdim=True),
        complete=True,
        baseline=baselines,
        expected=float(differences.mean()),
        error=standard_error(attributions, Part(summed=-1) if case.form.kind == TOKENS else Part()),
        facts={"baselines": len(baselines)},
        code=code,
    )


def lifted(case: Case, baselines: Tensor) -> tuple[Tensor, Tensor]:
    """DeepLift against each of the baselines [n, …] → attributions [n, …] and f(x) − f(baseline) [n].

    No row depends on another.
    """
    rules = dict.fromkeys(case.findings.bends, rescaled) | dict.fromkeys(MAX_POOLS, rescaled_max)
    found, differences = [], []
    for some in torch.split(baselines, max(1, case.rows // 2)):
        both = torch.cat([case.inputs.expand_as(some), some]).requires_grad_()
        with Overruled(rules):
            values = case.f(both)
        (slopes,) = torch.autograd.grad(values.sum(), both)
        found.append((case.inputs - some) * slopes[: len(some)])
        differences.append((values[: len(some)] - values[len(some) :]).detach())
    return torch.cat(found), torch.cat(differences)


def _drawn(case: Case, count: int) -> Tensor:
    """[n, …] training samples in the shape of case.inputs, drawn by the case's seed."""
    if case.splits is None or len(case.splits.train[0]) < 2:
        raise Withheld(_("DeepLiftShap compares with training samples, and there are none here. Choose a trained run."))
    known = case.splits.train[0]
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(case.seed))
    rows = known[order[:count]]
    if case.form.kind != TOKENS:
        return rows.float()
    with torch.no_grad():
        vectors: Tensor = case.embedding(rows)
    return vectors


def _deep_lift_lines(found: Findings, many: bool = False) -> str:
    """many: with several baselines [1, n, …]."""
    first, baselines = ("baselines = baseline[0]\n", "baselines") if many else ("", "baseline")
    if _fit.not_for_captums_deep_lift(found):
        rules = {name: rescaled_max if name in MAX_POOLS else rescaled for name in found.bends}
        rows = "x.expand_as(baselines)" if many else "x"
        mean = ".mean(0, keepdim=True)" if many else ""
        pooled = (RescaledMax, rescaled_max) if found.max_pools else ()
        return (
            lines((*([rescaled] if rescaled in rules.values() else []), *pooled))
            + first
            + (
                f"both = torch.cat([{rows}, {baselines}]).requires_grad_()\n"
                f"with Overruled({_shown(rules)}):\n    values = model(both)\n"
                "slopes = torch.autograd.grad(values.sum(), both)[0][: len(both) // 2]\n"
                f"attribution = ((x - {baselines}) * slopes){mean}"
            )
        )
    apart = apart_lines(found.chained) if found.chained else ""
    if not many:
        return apart + "attribution = captum.attr.DeepLift(model).attribute(x, baselines=baseline)"
    if not found.max_pools:
        return first + apart + "attribution = captum.attr.DeepLiftShap(model).attribute(x, baselines)"
    # Captum's rule of max-pools reads the first row's gradient for all rows
    each = "maps = [captum.attr.DeepLift(model).attribute(x, baselines=one[None]) for one in baselines]\n"
    return f"{first}{apart}{each}attribution = torch.cat(maps).mean(0, keepdim=True)"


def apart_lines(chained: Iterable[str]) -> str:
    """Lines that put a module between two activations that share a tensor."""
    return (
        "class Apart(torch.nn.Module):\n    def forward(self, x):\n        return x + 0\n\n"
        f"for name in {list(chained)}:\n"
        "    module = model.network.get_submodule(name)\n"
        "    model.network.set_submodule(name, torch.nn.Sequential(Apart(), module))\n"
    )


def lines(rules: Iterable[Any]) -> str:
    """The source of Overruled and of these rules, to stand on its own."""
    return _IMPORTS + "\n\n".join(_source(part) for part in (Overruled, *rules)) + "\n\n"


_source = cache(getsource)  # which reads the whole file: as long as a small network takes


_IMPORTS = """from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

Call, Rules = "a function of torch with all its other arguments", "its name → a rule"


"""


def _shown(rules: Rules) -> str:
    return "{" + ", ".join(f'"{name}": {rule.__name__}' for name, rule in rules.items()) + "}"


# ── guided backprop and deconvolution ────────────────────────────────────────────────────────────────────────────────


def guided(call: Call, x: Tensor) -> Tensor:
    """Going back, a ReLU lets through only what is positive, and only where its input was (Springenberg 2014, 3.4)."""
    y = call(x)
    y.register_hook(lambda gradient: gradient.clamp(min=0))
    return y


def deconvolved(call: Call, x: Tensor) -> Tensor:
    """Going back, a ReLU lets through what is positive, wherever its input was (Zeiler & Fergus 2014, section 2.1)."""
    y = call(x.detach().clone()).detach() + (x - x.detach())
    y.register_hook(lambda gradient: gradient.clamp(min=0))
    return y


def guided_backprop(case: Case, _options: Any) -> Result:
    """The gradient at the input, where every ReLU goes back as in `guided`."""
    code = _relu_lines(case.findings, guided, "GuidedBackprop")
    return Result(_gone_back(case, guided), code=code, of=GRADIENT)


def deconvolution(case: Case, _options: Any) -> Result:
    """The gradient at the input, where every ReLU goes back as in `deconvolved`."""
    code = _relu_lines(case.findings, deconvolved, "Deconvolution")
    return Result(_gone_back(case, deconvolved), code=code, of=GRADIENT)


def guided_grad_cam(case: Case, _options: Any) -> Result:
    """Guided backprop times Grad-CAM of a layer, enlarged to the picture (Selvaraju 2017, section 3.2)."""
    layer = case.layer or case.findings.convolutions[-1]
    if layer in case.findings.reused:
        raise Withheld(
            Sentence(
                "{layer} is used more than once: it has no one map to weigh. Choose another layer.", layer=quoted(layer)
            )
        )
    cam = _grad_cam(case, layer)
    attribution = _gone_back(case, guided) * F.interpolate(cam, case.inputs.shape[2:], mode="bilinear")
    if _fit.not_for_captums_guided(case.findings):
        code = _relu_lines(case.findings, guided, "") + (
            f'\ncam = captum.attr.LayerGradCam(model, model.network.get_submodule("{layer}"))\n'
            "cam = cam.attribute(x, relu_attributions=True)\n"
            'attribution = attribution * captum.attr.LayerAttribution.interpolate(cam, x.shape[2:], "bilinear")'
        )
    else:
        code = (
            f'attribution = captum.attr.GuidedGradCam(model, model.network.get_submodule("{layer}")).attribute(\n'
            '    x, interpolate_mode="bilinear")'
        )
    return Result(attribution, arrays={"layer": cam}, code=code, of=GRADIENT)


_RELUS = ("relu", "relu6", "hardtanh")  # ReLU6 is called hardtanh; networks with another hardtanh are withheld


def _gone_back(case: Case, rule: Callable[..., Tensor]) -> Tensor:
    x = case.inputs.clone().requires_grad_()
    with Overruled(dict.fromkeys(_RELUS, rule)):
        value = case.f(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient


def _grad_cam(case: Case, layer: str) -> Tensor:
    """[1, 1, h, w] max(0, Σ over maps of mean gradient × map)."""
    kept = []

    def keep(_module: Any, _inputs: Any, output: Any) -> Any:
        kept.append(output)
        return output.clone()  # what comes after may overwrite it

    handle = case.network.get_submodule(layer).register_forward_hook(keep)
    try:
        value = case.f(case.inputs.clone().requires_grad_())
    finally:
        handle.remove()
    if not kept or not isinstance(kept[0], Tensor) or kept[0].dim() != 4:
        raise Withheld(
            Sentence("{layer} gives no maps [channel, height, width]. Choose a convolution.", layer=quoted(layer))
        )
    (gradient,) = torch.autograd.grad(value.sum(), kept[0])
    return (gradient.mean((2, 3), keepdim=True) * kept[0].detach()).sum(1, keepdim=True).clamp(min=0)


def _relu_lines(found: Findings, rule: Any, captums: str) -> str:
    if captums and not _fit.not_for_captums_guided(found):
        return f"attribution = captum.attr.{captums}(model).attribute(x)"
    names = {name: rule for name in found.bends if name in _RELUS}
    return lines((rule,)) + (
        f"given = x.clone().requires_grad_()\nwith Overruled({_shown(names)}):\n    value = model(given)\n"
        "(attribution,) = torch.autograd.grad(value.sum(), given)"
    )
