"""Controls: maps that know nothing of the network, or of what it has learned. They stand beside the methods."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from core.catalog.attribution._options import Baselined
from core.catalog.entries import PICTURE, TOKENS, WITHHELD, DataForm, Method
from core.spec import registry, specs
from core.spec.options import Options
from core.spec.sentences import Sentence, _
from core.spec.specs import LayerSpec, ModelSpec
from core.worker.explain.explained_case import VALUE, Case, Result, Withheld, seeded
from core.worker.model.build import Network, build

if TYPE_CHECKING:
    from core.catalog.attribution.untrained import Untrained

SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


def random(case: Case, _options: Options) -> Result:
    """Standard normal values, drawn anew for every place."""
    drawn = torch.randn(case.inputs.shape, generator=torch.Generator().manual_seed(case.seed))
    code = "attribution = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))"
    return Result(drawn, code=code, of=VALUE)


def input_magnitude(case: Case, _options: Options) -> Result:
    """|x − black|, so that an empty place has 0; for tokens the length of each vector [1, step]."""
    if case.form.kind == TOKENS:
        return Result(case.inputs.norm(dim=-1), code="attribution = x.norm(dim=-1)", of=VALUE)
    black = case.baseline(Baselined())
    return Result((case.inputs - black).abs(), baseline=black, code="attribution = (x - baseline).abs()", of=VALUE)


def edge_filter(case: Case, _options: Options) -> Result:
    """Of a picture Sobel's √(gx² + gy²), each channel by itself; of a sequence |x_t − x_{t−1}|, 0 at first."""
    x = case.inputs
    if case.form.kind != PICTURE:
        code = "attribution = torch.diff(x, dim=1, prepend=x[:, :1]).abs()"
        return Result(torch.diff(x, dim=1, prepend=x[:, :1]).abs(), code=code, of=VALUE)
    across = torch.tensor(SOBEL).expand(x.shape[1], 1, 3, 3)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    gx, gy = (F.conv2d(padded, kernel, groups=x.shape[1]) for kernel in (across, across.transpose(2, 3)))
    return Result(torch.hypot(gx, gy), code=_SOBEL_CODE, of=VALUE)


_SOBEL_CODE = f"""
across = torch.tensor({SOBEL}).expand(x.shape[1], 1, 3, 3)
padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
gx, gy = (torch.nn.functional.conv2d(padded, kernel, groups=x.shape[1]) for kernel in (across, across.transpose(2, 3)))
attribution = torch.hypot(gx, gy)
""".strip()


# ── untrained weights ────────────────────────────────────────────────────────────────────────────────────────────────


def fresh(layers: tuple[LayerSpec, ...], form: DataForm, seed: int) -> Network:
    """The same layers as a run starts with them: torch's own start, or the start that a layer's options name."""
    with seeded(seed):
        return build(ModelSpec("", Options(), layers), form, seed).float().eval().requires_grad_(False)


def untrained(case: Case, options: Untrained) -> Result:
    """The method on the same network with fresh weights; the number to explain stays the same (Adebayo 2018, 3)."""
    from core.worker.explain.attribute import apply, fit_of, layer_of  # which ends here itself

    method: Method = registry.METHODS.get(options.method)
    fit = fit_of(method, case)
    if fit.status == WITHHELD:
        raise Withheld(
            Sentence(
                "{method} cannot be had for the untrained network either: {reason}",
                method=method.title,
                reason=fit.reason,
            )
        )
    if not case.specs:
        raise Withheld(_("The layers of this network are not known, so it cannot be made anew."))
    lines = _drawn_anew(case)
    case.layer = layer_of(method, case)
    result = apply(method, case, method.options())
    words = Sentence(
        "The map is {method} of the same layers with freshly drawn weights (seed {seed}).",
        method=method.title,
        seed=case.seed,
    )
    return replace(result, words=(words, *result.words), code=f"{lines}\n{result.code}")


def _drawn_anew(case: Case) -> str:
    """Give the case's network fresh weights; the lines that do the same to model.network."""
    made = fresh(case.specs, case.form, case.seed)
    code = _RESET_CODE if _resets_to(case.network, made, case.seed) else _build_code(case)
    case.network.load_state_dict(made.state_dict())
    case.move(case.network)
    if case.ids is not None:
        name = next(name for name, module in case.network.named_modules() if isinstance(module, nn.Embedding))
        code += f"\nx = model.network.{name}(torch.tensor({case.ids.tolist()}))"
        with torch.no_grad():
            case.inputs = case.embedding(case.ids).detach().clone()
    with torch.no_grad():
        case.answers = case.logits(case.inputs)
    return code


def _resets_to(network: Network, made: Network, seed: int) -> bool:
    """Do torch's own resets, one module after the other, give the very weights of `made`?"""
    tried = copy.deepcopy(network)
    with seeded(seed):
        for layer in tried.modules():
            reset: Any = getattr(layer, "reset_parameters", None)
            if reset is not None:
                reset()
    wanted = made.state_dict()
    return all(torch.equal(value, wanted[name]) for name, value in tried.state_dict().items())


_RESET_CODE = """
torch.manual_seed(seed)
for layer in model.network.modules():  # every layer draws its weights as it did when it was made
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()
""".strip()


def _build_code(case: Case) -> str:
    """Some layers have a start of their own that torch's reset does not know: they are made as LayerLab makes them."""
    layers = specs.to_json(case.specs)
    form = ", ".join(f"{name}={getattr(case.form, name)!r}" for name in case.form.__dataclass_fields__)
    return (
        "from core.worker.model.build import build\nfrom core.catalog.entries import DataForm\n"
        f"from core.spec.specs import model_from_json\n\nmade = model_from_json({{'layers': {layers!r}}})\n"
        f"model.network.load_state_dict(build(made, DataForm({form}), seed).state_dict())"
    )
