"""Every attribution method beside a plain call of Captum, taking turns in one run: one thread, CPU time.

    python -m tests.bench.explain_speed [--quick] [--method NAME …] [--pairs 30] [--json FILE]

Plain: Captum as one would call it on the network itself, with everything at its default but what decides the result
(baseline, pieces, windows, number of samples); for methods not named in PLAIN the lines that the result shows. Ours:
the method's function; what attribute adds to it (seeds, proof) is about 0.3 ms a call. The table says
how many times as fast ours is: Captum's seconds over ours, the median of the pairs with the 95 % interval of that
median, and ours over ours (A/A). Exit code 1 where a goal is missed.

Integrated Gradients takes as many points as its map needs, so it is compared at equal accuracy: with Captum at the
fewest points (of LADDER) at which the largest error of a value is no larger than ours on that sample. Which number that
is Captum is told beforehand. Errors are shares of the largest value, beside a map of 2048 points. The row with
Captum's own 50 points has no goal: it says what both take as they come, and how wrong they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import captum
import captum.attr
import numpy as np
import torch
from torch import Tensor, nn

from core.bench.turns import Plan, compared, take_turns
from core.catalog.entries import CONTROL, TOKENS, WITHHELD, Method
from core.spec import registry, specs
from core.spec.options import Options
from core.spec.specs import Choice
from core.store import Run, Store
from core.worker.explain import Case, attribute, features
from core.worker.explain.attribute import apply, fit_of, layer_of
from core.worker.explain.methods.path_integral import way
from tests.trained import train
from tests.worker.explain.conftest import of_run

NETWORKS = (("cnn", "digits"), ("resnet8", "shapes"), ("lstm", "digits"), ("transformer", "order"))
EQUAL = "  at equal error"  # the row of Integrated Gradients beside Captum with as many points as it takes
REFERENCE = 2048  # points of the map that errors are measured by
LADDER = (5, 8, 12, 16, 20, 25, 30, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1400, 2000)
GOALS = {
    "occlusion": 1.8,
    "shapley_sampling": 1.8,
    "feature_ablation": 1.8,
    "kernel_shap": 1.5,
    "integrated_gradients": 0.0,
    EQUAL: 1.5,
}
SAME = 1.0  # of all other methods: never slower
SAMPLES = 8  # pictures that are explained in turn
QUICK = (*(name for name in GOALS if name != EQUAL), "saliency", "input_x_gradient", "grad_cam")
Call = Callable[[Case, nn.Module, Any, Any], None]


class Plain(nn.Module):
    """The network, and of its answers the one that is explained: nothing is counted or told."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.network, self._target = case.network.requires_grad_(True), case.target  # as training leaves it
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, …] → [n]."""
        return self._target.of(self.network(x))


def main() -> int:
    """Print the table; exit code 1 where a goal is missed."""
    asked = arguments()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # Captum tells how it is built
    plan = Plan(8 if asked.quick else asked.pairs, 1)
    names = asked.method or (QUICK if asked.quick else registry.METHODS.names())
    print(f"torch {torch.__version__}, captum {captum.__version__}, one thread, {plan.pairs} pairs of turns of 0.1 s")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        wanted = asked.network or [preset for preset, _data in NETWORKS[: 1 if asked.quick else None]]
        for preset, data in NETWORKS:
            if preset not in wanted:
                continue
            run = train(store, specs.assign(specs.preset(preset, data), {"train.steps": 200}))
            for method in map(registry.METHODS.get, names):
                for row in measured(method, run, plan):
                    rows.append({"network": preset, **row})
                    print(told(rows[-1]), flush=True)
    if asked.json:
        Path(asked.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["good"] for row in rows) else 1


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--method", action="append", choices=registry.METHODS.names())
    parser.add_argument("--network", action="append", choices=[preset for preset, _data in NETWORKS])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--json")
    return parser.parse_args()


def told(row: dict[str, Any]) -> str:
    """One line of the table."""
    said = f"{row['network']:12} {row['method']:28} {row['ratio']:6.2f}  [{row['low']:.2f} … {row['high']:.2f}]"
    control = f"A/A [{row['aa']['low']:.3f} … {row['aa']['high']:.3f}]"
    errors = "".join(f"   {who} off by {row[who]:.2%}" for who in ("ours", "theirs") if who in row)
    points = f"   Captum's points {row['points']}" if "points" in row else ""
    missed = "" if row["good"] else f"   MISSED {row['goal']}"
    return f"{said}   ours {row['ms']:8.2f} ms   {control}{errors}{points}{missed}"


def measured(method: Method, run: Run, plan: Plan) -> list[dict[str, Any]]:
    """How many times as fast ours is, ours over ours (A/A), and what it takes; nothing where it is not offered.

    Of Integrated Gradients there is a second row: Captum with as many points as it takes to be as right.
    """
    if method.family == CONTROL or fit_of(method, of_run(run, 0)).status == WITHHELD:
        return []
    choice = Choice(method.name, method.options())
    found = [attribute(of_run(run, sample), choice) for sample in range(SAMPLES)]
    if any(one.withheld for one in found):
        return []
    plain = [PLAIN.get(method.name) or shown(one.code) for one in found]
    if method.name != "integrated_gradients":
        return [beside(method, run, plan, found, plain)]
    right = [reference(of_run(run, one.sample), baseline_of(one)) for one in found]
    ours = [off(torch.from_numpy(one.attribution), exact) for one, exact in zip(found, right, strict=True)]
    usual = [
        captums_error(of_run(run, one.sample), baseline_of(one), 50, exact)
        for one, exact in zip(found, right, strict=True)
    ]
    equal = [
        as_right(of_run(run, one.sample), baseline_of(one), exact, error)
        for one, exact, error in zip(found, right, ours, strict=True)
    ]
    worst = {
        "ours": float(np.median(ours)),
        "theirs": float(np.median(usual)),
        "worst": max(ours),
        "worst_of_50": max(usual),
    }
    calls = [with_points(points) for points in equal]
    return [
        {**beside(method, run, plan, found, plain), **worst},
        {**beside(method, run, plan, found, calls, EQUAL), "points": equal},
    ]


def baseline_of(found: Any) -> Tensor | None:
    """[1, …] what the result was compared with."""
    return torch.from_numpy(found.arrays["baseline"])[None] if "baseline" in found.arrays else None


def reference(case: Case, baseline: Tensor | None) -> Tensor:
    """Integrated Gradients by the midpoint rule, summed in float64; of tokens one value each."""
    assert baseline is not None
    shares = (torch.arange(REFERENCE) + 0.5) / REFERENCE
    _values, gradients = case.gradients(way(case, baseline, shares))
    return shown_map(case, gradients.double().mean(0) * (case.inputs - baseline)[0])


def shown_map(case: Case, found: Tensor) -> Tensor:
    """As it is shown."""
    return found.sum(-1) if case.form.kind == TOKENS else found


def off(found: Tensor, right: Tensor) -> float:
    """The largest error of a value, as a share of the largest value."""
    return float((found.double() - right).abs().max() / right.abs().max())


def captums_error(case: Case, baseline: Tensor | None, points: int, right: Tensor) -> float:
    """Of Captum's map with so many points."""
    plain = captum.attr.IntegratedGradients(case.model)
    found = plain.attribute(case.inputs, baseline, n_steps=points, internal_batch_size=256)
    return off(shown_map(case, found[0].detach()), right)


def as_right(case: Case, baseline: Tensor | None, right: Tensor, error: float) -> int:
    """The fewest of Captum's points whose map is no more wrong than `error`."""
    enough = (points for points in LADDER if captums_error(case, baseline, points, right) <= error)
    return next(enough, LADDER[-1])


def with_points(points: int) -> Call:
    """Captum's Integrated Gradients with so many points."""

    def plain(case: Case, model: nn.Module, baseline: Any, _options: Any) -> None:
        captum.attr.IntegratedGradients(model).attribute(case.inputs, baseline, n_steps=points)

    return plain


def beside(method: Method, run: Run, plan: Plan, found: list[Any], plain: list[Call], name: str = "") -> dict[str, Any]:
    """One row: the method beside `plain`, which says of each sample what Captum does."""
    name = name or method.name
    choice = Choice(method.name, method.options())
    baselines = [baseline_of(one) for one in found]

    def ours(case: Case) -> None:
        apply(method, case, choice.options)

    def theirs(case: Case) -> None:
        model = case.model if case.form.kind == TOKENS else Plain(case)
        plain[case.sample](case, model, baselines[case.sample], choice.options)

    calls = {"captum": theirs, "ours": ours, "again": ours}
    times = take_turns({name: timed(call, method, run) for name, call in calls.items()}, plan)
    ratio, goal = compared(times["captum"], times["ours"], plan.turns), GOALS.get(name, SAME)
    control = compared(times["ours"], times["again"], plan.turns)
    good = ratio.low >= goal if goal > SAME else ratio.high >= goal
    return {
        "method": name,
        "goal": goal,
        "good": good,
        "ms": 1e3 * float(np.median(times["ours"])),
        **asdict(ratio),
        "aa": asdict(control),
    }


def timed(call: Callable[[Case], None], method: Method, run: Run) -> Callable[[int], float]:
    """A contestant: the CPU seconds of so many calls, each on a case of its own, which is made while nobody counts."""

    def contestant(count: int) -> float:
        seconds = 0.0
        for i in range(count):
            case = of_run(run, i % SAMPLES)
            case.layer = layer_of(method, case)
            started = time.process_time()
            call(case)
            seconds += time.process_time() - started
        return seconds

    return contestant


def shown(code: str) -> Call:
    """The lines of plain Captum that a result shows."""
    lines = compile(code, "shown", "exec")

    def plain(case: Case, model: nn.Module, baseline: Any, _options: Options) -> None:
        exec(
            lines,
            {
                "captum": captum,
                "torch": torch,
                "np": np,
                "model": model,
                "x": case.inputs,
                "baseline": baseline,
                "seed": case.seed,
            },
        )

    return plain


def pieces(case: Case, options: Any) -> Tensor:
    """The mask that Captum wants, in the shape of the input."""
    return features.groups(case, options).clamp(min=0).expand_as(case.inputs).contiguous()


def occlusion(case: Case, model: nn.Module, baseline: Any, options: Any) -> None:
    """Captum's Occlusion with the same windows."""
    shape, strides = ((options.steps, *case.inputs.shape[2:]), 1)
    if case.inputs.dim() == 4:
        shape, strides = (case.inputs.shape[1], options.window, options.window), (1, options.stride, options.stride)
    captum.attr.Occlusion(model).attribute(case.inputs, shape, strides, baseline)


def feature_ablation(case: Case, model: nn.Module, baseline: Any, options: Any) -> None:
    """Captum's FeatureAblation of the same pieces."""
    captum.attr.FeatureAblation(model).attribute(case.inputs, baseline, feature_mask=pieces(case, options))


def shapley_sampling(case: Case, model: nn.Module, baseline: Any, options: Any) -> None:
    """Captum's ShapleyValueSampling of the same pieces in as many orders."""
    sampling = captum.attr.ShapleyValueSampling(model)
    sampling.attribute(case.inputs, baseline, feature_mask=pieces(case, options), n_samples=options.samples)


def kernel_shap(case: Case, model: nn.Module, baseline: Any, options: Any) -> None:
    """Captum's KernelShap of the same pieces with as many coalitions."""
    kernel = captum.attr.KernelShap(model)
    kernel.attribute(case.inputs, baseline, feature_mask=pieces(case, options), n_samples=options.samples)


def lime(case: Case, model: nn.Module, baseline: Any, options: Any) -> None:
    """Captum's Lime of the same pieces with as many choices."""
    explainer = captum.attr.Lime(model)
    explainer.attribute(case.inputs, baseline, feature_mask=pieces(case, options), n_samples=options.samples)


def integrated_gradients(case: Case, model: nn.Module, baseline: Any, _options: Any) -> None:
    """Captum's IntegratedGradients as it comes: 50 points."""
    captum.attr.IntegratedGradients(model).attribute(case.inputs, baseline)


def saliency(case: Case, model: nn.Module, _baseline: Any, _options: Any) -> None:
    """Captum's Saliency."""
    captum.attr.Saliency(model).attribute(case.inputs.clone())


def input_x_gradient(case: Case, model: nn.Module, _baseline: Any, _options: Any) -> None:
    """Captum's InputXGradient."""
    captum.attr.InputXGradient(model).attribute(case.inputs.clone())


PLAIN: dict[str, Call] = {
    f.__name__: f
    for f in (
        occlusion,
        feature_ablation,
        shapley_sampling,
        kernel_shap,
        lime,
        integrated_gradients,
        saliency,
        input_x_gradient,
    )
}


if __name__ == "__main__":
    sys.exit(main())
