"""DeepLift, guided backprop and deconvolution against loops written down by hand, closed forms, and Captum where it is
right."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr._core import deep_lift as captums
from torch import Tensor, nn

from core.catalog.entries import PICTURE, SEQUENCE, VECTOR, Form
from core.spec import registry
from core.worker.explain import Case, attribute
from core.worker.explain.methods.rules import Overruled, lifted, rescaled, rescaled_max
from core.worker.model.modules.shapes import Flatten
from tests.trained import Trained
from tests.worker.explain import networks
from tests.worker.explain.conftest import case, choice, linear, made, of_run, why
from tests.worker.explain.networks import clean, picture, vector
from tests.worker.explain.test_every_method import run_lines

KINDS = {1: VECTOR, 2: SEQUENCE, 3: PICTURE}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells how it is built
        yield


def of(network: nn.Module, x: Tensor, **given: Any) -> Case:
    """The case of logit 1 of this network."""
    shape = tuple(x.shape[1:])
    return case(network.eval(), x, form=Form(KINDS[len(shape)], shape), **{"target": "1", **given})


def with_training(rows: Tensor) -> Any:
    """Splits of which only the training inputs are asked for."""
    return SimpleNamespace(train=(rows, torch.zeros(len(rows))), classes=(), mean=(0.0,), std=(1.0,))


def off(one: Any, other: Any) -> float:
    """The largest difference, as a share of the largest value."""
    one, other = (torch.as_tensor(v).detach().double().flatten() for v in (one, other))
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max())


# ── DeepLift ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_a_linear_network_deep_lift_is_weight_times_input_minus_baseline() -> None:
    network, x = linear(), torch.randn(1, 6)
    found = made(case(network, x, target="1"), "deep_lift", baseline="noise")
    right = network.weight[1].detach().numpy() * (x[0].numpy() - found.arrays["baseline"])
    assert np.abs(found.attribution - right).max() <= 6e-7 and found.holds
    rows = torch.randn(5, 6)
    found = made(case(network, x, target="1", splits=with_training(rows)), "deep_lift_shap", samples=5)
    right = network.weight[1].detach().numpy() * (x[0] - rows.mean(0)).numpy()
    assert np.abs(found.attribution - right).max() <= 6e-7 and found.holds


def by_loops(layers: nn.Sequential, x: Tensor, baseline: Tensor) -> np.ndarray:
    """The rescale rule of linear, ReLU, linear (Shrikumar 2017, sections 3.3 to 3.5), unit by unit, for logit 1."""
    (w1, b1), (w2, _b2) = ((m.weight.double().numpy(), m.bias.double().numpy()) for m in (layers[0], layers[2]))
    xs, bs = x[0].double().numpy(), baseline[0].double().numpy()
    found = np.zeros(len(xs))
    for unit in range(len(w1)):
        at, before = w1[unit] @ xs + b1[unit], w1[unit] @ bs + b1[unit]
        multiplier = (max(at, 0) - max(before, 0)) / (at - before)
        for i in range(len(xs)):
            found[i] += (xs[i] - bs[i]) * w1[unit, i] * multiplier * w2[1, unit]
    return found


def test_on_two_layers_deep_lift_is_what_loops_over_the_units_give() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)).requires_grad_(False)
    for seed in range(5):
        found = made(of(network, vector(seed)), "deep_lift")
        assert off(found.attribution, by_loops(network, vector(seed), torch.zeros(1, 8))) < 1e-6


def plain(network: nn.Module, x: Tensor, baseline: Tensor) -> Tensor:
    """Captum's own DeepLift of logit 1."""
    return captum.attr.DeepLift(network.eval()).attribute(x, baseline, target=1)


TWINS: list[tuple[str, Callable[[], nn.Module], Callable[[], nn.Module]]] = [
    ("clean", clean, clean),
    ("next to a max-pool", lambda: clean(apart=False), clean),
    ("in place", lambda: clean(apart=False, inplace=True), clean),
    ("functions", networks.Functional, clean),
    ("functions in place", lambda: networks.Functional(lambda x: F.relu(x, inplace=True)), clean),
    ("methods in place", lambda: networks.Functional(Tensor.relu_), clean),
    ("shared", networks.Shared, clean),
    ("tanh as a function", lambda: networks.Functional(torch.tanh), lambda: clean(nn.Tanh)),
    ("tanh next to a max-pool", lambda: clean(nn.Tanh, apart=False), lambda: clean(nn.Tanh)),
    ("overlapping windows", networks.overlapping, lambda: networks.overlapping(twin=True)),
]


@pytest.mark.parametrize(("what", "make", "twin"), TWINS, ids=[row[0] for row in TWINS])
def test_deep_lift_is_captums_of_a_twin_on_which_captum_is_right(
    what: str, make: Callable[[], nn.Module], twin: Callable[[], nn.Module]
) -> None:
    for seed in range(3):
        x = picture(seed)
        assert torch.equal(make().eval()(x), twin()(x)) or torch.allclose(make().eval()(x), twin()(x), atol=1e-6)
        found = made(of(make(), x, seed=seed), "deep_lift", baseline="noise")
        assert off(found.attribution, plain(twin(), x, torch.from_numpy(found.arrays["baseline"])[None])) < 1e-5, what


@pytest.mark.parametrize("act", [nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.Softsign])
def test_functions_that_captum_does_not_know_get_the_rule_of_those_it_knows(
    act: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(of(clean(act), picture()), "deep_lift", baseline="noise")
    assert found.holds and found.gap is not None and found.gap <= 1e-4
    monkeypatch.setitem(captums.SUPPORTED_NON_LINEAR, act, captums.nonlinear)
    baseline = torch.from_numpy(found.arrays["baseline"])[None]
    assert off(found.attribution, plain(clean(act), picture(), baseline)) < 1e-3  # it divides by tiny differences


@pytest.mark.parametrize("preset", ["cnn", "lenet", "resnet8"])
@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
@pytest.mark.slow_for("resnet8")
def test_deep_lift_is_complete_on_the_presets(preset: str, baseline: str, trained: Trained) -> None:
    run = trained(preset, "digits", steps=40)
    for sample in range(4):
        found = why(run, "deep_lift", sample, baseline=baseline)
        assert found.holds and found.gap is not None and found.gap <= 1e-4
        assert found.cost == pytest.approx(2.0)


def test_a_row_of_deep_lift_does_not_depend_on_the_others() -> None:
    baselines = picture(9, rows=5)
    together, differences = lifted(of(clean(apart=False), picture()), baselines)
    for i in range(5):
        alone, difference = lifted(of(clean(apart=False), picture()), baselines[i : i + 1])
        assert off(together[i], alone) <= 5e-7 and torch.allclose(differences[i], difference, atol=1e-6)
    few = of(clean(apart=False), picture())
    few.rows = 2  # one pair at a time
    assert off(lifted(few, baselines)[0], together) <= 5e-7


def test_two_threads_on_one_network_give_what_one_gives() -> None:
    this, baselines = of(clean(apart=False), picture()), picture(9, rows=24)
    alone = [lifted(this, one[None])[0] for one in baselines]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda one: lifted(this, one[None])[0], baselines))
    assert all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))


class Steep(nn.Module):
    """max(x0 + x1, x2 + x3), then a ReLU of what is above 3."""

    def __init__(self) -> None:
        super().__init__()
        self.sums, self.pool, self.relu = nn.Conv1d(1, 1, 2, 2, bias=False), nn.MaxPool1d(2), nn.ReLU()
        nn.init.ones_(self.sums.weight)

    def forward(self, x: Tensor) -> Tensor:
        most = self.pool(self.sums(x[:, None])).flatten(1)
        return torch.cat([most, self.relu(most - 3)], 1)


def test_captums_deep_lift_shap_reads_the_first_rows_gradient_for_all_rows_and_we_do_not() -> None:
    x, baselines = torch.tensor([[3.0, -1.0, 0.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0, 0.0], [2.0, 0.0, 5.0, 0.0]])
    network = Steep().requires_grad_(False)
    one_by_one = torch.cat([plain(network, x, one[None]) for one in baselines]).mean(0, keepdim=True)
    theirs = captum.attr.DeepLiftShap(network).attribute(x, baselines, target=1)
    assert off(theirs, one_by_one) > 0.1
    this = case(network, x, classes=2, target="1")
    assert off(lifted(this, baselines)[0].mean(0, keepdim=True), one_by_one) < 1e-6


def test_deep_lift_shap_is_the_mean_over_training_samples_drawn_by_the_seed(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    found = why(run, "deep_lift_shap", 2, seed=5, samples=6)
    this = of_run(run, 2, seed=5)
    assert this.splits is not None
    drawn = torch.from_numpy(found.arrays["baseline"])
    assert drawn.shape[0] == 6 and found.holds and found.facts["baselines"] == 6
    known = {tuple(row.flatten().tolist()) for row in this.splits.train[0].float()}
    assert all(tuple(row.flatten().tolist()) in known for row in drawn)
    assert len({tuple(row.flatten().tolist()) for row in drawn}) == 6
    expected = float(this.values(this.inputs) - this.values(drawn).mean())
    assert abs(found.attribution.sum() - expected) <= 1e-4 * abs(expected)
    each = [lifted(of_run(run, 2), row[None])[0][0] for row in drawn]
    assert off(found.attribution, torch.stack(each).mean(0)) <= 1e-6
    other = why(run, "deep_lift_shap", 2, seed=6, samples=6)
    assert not np.array_equal(other.arrays["baseline"], found.arrays["baseline"])
    nothing = of(clean(), picture())
    assert "training samples" in attribute(nothing, choice("deep_lift_shap")).withheld


def test_what_the_network_does_not_read_gets_nothing_and_equals_get_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)).requires_grad_(False)
    network[0].weight[:, 2] = 0.0
    network[0].weight[:, 5] = network[0].weight[:, 4]
    x = vector()
    x[0, 5] = x[0, 4]
    for method in ("deep_lift", "guided_backprop", "deconvolution", "lrp"):
        found = made(of(network, x), method).attribution
        assert found[2] == 0.0 and found[4] == pytest.approx(found[5], abs=1e-7)


def test_a_rule_changes_no_value_and_leaves_the_network_as_it_was() -> None:
    network, x = networks.Functional().eval().requires_grad_(False), picture(rows=4).requires_grad_()
    with Overruled({"relu": rescaled, "max_pool2d": rescaled_max}):
        inside = network(x)
    assert torch.equal(inside, network(x))
    this = of(clean(apart=False), picture())
    before = {name: value.clone() for name, value in this.network.state_dict().items()}
    attribute(this, choice("deep_lift"))
    assert all(torch.equal(value, before[name]) for name, value in this.network.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks for m in this.network.modules())


# ── guided backprop, deconvolution, guided Grad-CAM ──────────────────────────────────────────────────────────────────


def relus_by_loops(layers: nn.Sequential, x: Tensor, guided: bool) -> np.ndarray:
    """Logit 1 of linear, ReLU, linear, sent back unit by unit."""
    w1, b1 = layers[0].weight.double().numpy(), layers[0].bias.double().numpy()
    w2, xs = layers[2].weight.double().numpy(), x[0].double().numpy()
    found = np.zeros(len(xs))
    for unit in range(len(w1)):
        arrives = w2[1, unit]
        active = w1[unit] @ xs + b1[unit] > 0
        passes = max(arrives, 0.0) * (active if guided else 1.0)
        for i in range(len(xs)):
            found[i] += passes * w1[unit, i]
    return found


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution"])
def test_on_two_layers_it_is_what_loops_over_the_units_give(method: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)).requires_grad_(False)
    for seed in range(5):
        found = made(of(network, vector(seed)), method)
        assert off(found.attribution, relus_by_loops(network, vector(seed), method == "guided_backprop")) < 1e-6
        assert found.holds is None and found.cost == pytest.approx(1.0)


def test_guided_grad_cam_is_guided_backprop_times_the_enlarged_weighted_maps(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    assert registry.METHODS.get("guided_grad_cam").layers(of_run(run).specs, of_run(run).form)[:2] == ("conv2", "conv1")
    for layer in ("conv2", "conv1", "pool1"):
        found = made(of_run(run, 3, layer=layer), "guided_grad_cam")
        this = of_run(run, 3)
        maps: list[Tensor] = []
        handle = this.network.get_submodule(layer).register_forward_hook(lambda _m, _i, o, maps=maps: maps.append(o))
        value = this.f(this.inputs.requires_grad_())
        handle.remove()
        (gradients,) = torch.autograd.grad(value.sum(), maps[0])
        cam = torch.zeros(maps[0].shape[2:])
        for gradient, one in zip(gradients[0], maps[0][0].detach(), strict=True):
            cam += gradient.mean() * one
        enlarged = F.interpolate(cam.clamp(min=0)[None, None], (28, 28), mode="bilinear")
        right = enlarged * torch.from_numpy(why(run, "guided_backprop", 3).attribution)
        assert found.layer == layer and off(found.attribution, right) < 1e-5
        assert off(found.arrays["layer"], cam.clamp(min=0)[None]) < 1e-5


def test_guided_grad_cam_reads_a_layer_before_a_relu_overwrites_it() -> None:
    plainly = made(of(clean(apart=False), picture()), "guided_grad_cam", layer="net.3").attribution
    assert off(made(of(clean(apart=False, inplace=True), picture()), "guided_grad_cam").attribution, plainly) < 1e-6
    twice = nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1)] * 2, nn.ReLU(), Flatten(), nn.Linear(144, 3))
    assert "more than once" in attribute(of(twice, picture()), choice("guided_grad_cam")).withheld


# ── the lines that are shown ─────────────────────────────────────────────────────────────────────────────────────────

SHOWN: list[tuple[str, Callable[[], nn.Module]]] = [
    *[(what, make) for what, make, _twin in TWINS],
    ("GELU", lambda: clean(nn.GELU)),
    ("SiLU", lambda: clean(nn.SiLU)),
    ("ReLU6", lambda: clean(nn.ReLU6)),
    ("a shortcut", networks.Sum),
    ("average pools", lambda: clean(pool=nn.AvgPool2d, apart=False)),
    ("a clamp", lambda: networks.Functional(lambda x: x.clamp(min=0))),
]


@pytest.mark.parametrize(("what", "make"), SHOWN, ids=[row[0] for row in SHOWN])
@pytest.mark.parametrize(
    "method", ["deep_lift", "deep_lift_shap", "guided_backprop", "deconvolution", "guided_grad_cam", "lrp"]
)
def test_the_lines_that_are_shown_give_the_map(method: str, what: str, make: Callable[[], nn.Module]) -> None:
    def fresh() -> Case:
        return of(make(), picture(), splits=with_training(picture(7, rows=9)))

    found = attribute(fresh(), choice(method))
    if found.withheld:
        assert found.withheld.endswith(".") and not found.code
        return
    assert "captum" in found.code or "Overruled" in found.code
    again = run_lines(found.code, fresh(), found)
    assert np.abs(again - found.attribution).max() <= 2e-4 * np.abs(found.attribution).max(), found.code
