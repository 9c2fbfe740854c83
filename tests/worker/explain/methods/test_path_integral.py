"""Maps along a way are as right as they say: beside brute force with thousands of points, on eight networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from core.catalog.entries import (
    CONTROL,
    DRAWS,
    FITS,
    MAP_TOLERANCE,
    PERTURBATION,
    POINTS,
    WITHHELD,
    Method,
)
from core.spec import registry
from core.spec.questions import Explained
from core.spec.specs import Choice
from core.store import Run
from core.worker.explain import Case, attribute
from core.worker.explain.attribute import fit_of
from core.worker.explain.methods.layers import At
from core.worker.explain.methods.path_integral import integral, way
from core.worker.explain.methods.pieces import Part, Straight, standard_error
from tests.trained import Trained
from tests.worker.explain.conftest import choice, of_run, why

MANY = 2048  # points of the brute force, in the middles of as many equal parts
NETWORKS = (
    ("cnn", "digits"),
    ("resnet8", "digits"),
    ("lstm", "digits"),
    ("gru", "digits"),
    ("rnn", "digits"),
    ("transformer", "order"),
    ("vit", "digits"),
    ("mlp", "points"),
)


METHODS = [method for method in registry.METHODS if method.family != CONTROL]  # a control draws, or asks another method


def middles(points: int = MANY) -> Tensor:
    return (torch.arange(points, dtype=torch.float64) + 0.5) / points


def brute(asked: Case, points: int = MANY) -> np.ndarray:
    """Integrated Gradients by the midpoint rule, in float64.

    A max-pool of a picture whose pixels repeat has windows of equal values on whole stretches of the way: which of them
    gets the gradient is a matter of rounding, so that IG has no one value there. It is asked with the same rounding:
    networks with max-pools stay in float32, and only the sum is made in float64.
    """
    options = registry.METHODS.get("integrated_gradients").options()
    baseline, shares = asked.baseline(options), middles(points)
    if not asked.findings.max_pools:
        asked.network.double()
        asked.inputs, baseline = asked.inputs.double(), baseline.double()
    _values, gradients = asked.gradients(way(asked, baseline, shares.to(asked.inputs.dtype)))
    found = (gradients.double().mean(0) * (asked.inputs - baseline)[0]).numpy()
    return found.sum(-1) if asked.ids is not None else found


def off(found: np.ndarray, right: np.ndarray) -> float:
    """By how much a value is wrong at most, as a share of the largest."""
    return float(np.abs(found - right).max() / np.abs(right).max())


@pytest.mark.slow_for("resnet8", "vit", "transformer", "gru")
@pytest.mark.parametrize(("preset", "data"), NETWORKS, ids=[preset for preset, _data in NETWORKS])
def test_a_value_of_integrated_gradients_is_as_right_as_the_map_says(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=40)
    found = why(run, "integrated_gradients", 1)
    assert found.holds and found.change is not None and found.change <= MAP_TOLERANCE
    points = MANY // 4 if preset in ("resnet8", "vit") else MANY  # whose passes in float64 take their time
    assert off(found.attribution, brute(of_run(run, 1), points)) <= MAP_TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "data"), NETWORKS, ids=[preset for preset, _data in NETWORKS])
def test_so_are_those_of_many_samples_of_a_network_that_has_learned(preset: str, data: str, trained: Trained) -> None:
    run, errors = trained(preset, data, steps=200), []
    for sample in range(20):
        found = why(run, "integrated_gradients", sample)
        assert found.holds, (sample, found.change, found.gap)
        errors.append(off(found.attribution, brute(of_run(run, sample))))
    print(
        f"{preset}: within 2 % {np.mean(np.array(errors) <= MAP_TOLERANCE):.0%}, worst {max(errors):.2%}, "
        f"median {np.median(errors):.2%}"
    )
    assert max(errors) <= MAP_TOLERANCE


# ── at layers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def brute_at(asked: Case, method: str) -> Tensor:
    """A layer's values [1, …] of the method by the midpoint rule."""
    at, shares = At(asked), middles()
    baseline = asked.baseline(registry.METHODS.get(method).options())
    if method == "layer_integrated_gradients":
        (start, end) = (at.values(x) for x in (baseline, asked.inputs))
        broad = shares.float().view(-1, *[1] * (start.dim() - 1))
        _f, gradients = at.onward(start + broad * (end - start))
        return (gradients.double().mean(0) * (end - start)[0]).float()
    _y, gradients, _f = at.gradients(way(asked, baseline, shares.float()))
    if method == "internal_influence":
        return gradients.double().mean(0).float()
    ends = at.values(way(asked, baseline, torch.linspace(0, 1, MANY + 1)))
    return (gradients.double() * ends.double().diff(dim=0)).sum(0).float()


@pytest.mark.each_value
@pytest.mark.parametrize("method", ["layer_integrated_gradients", "layer_conductance", "internal_influence"])
@pytest.mark.parametrize(
    ("preset", "data", "layer"),
    [
        ("cnn", "digits", "conv1"),
        ("cnn", "digits", "pool2"),
        ("lstm", "digits", "rows"),
        ("gru", "order", "embedding"),
        ("transformer", "order", "block1"),
    ],
)
@pytest.mark.slow_for("gru", "transformer")
def test_a_value_of_a_layer_is_as_right_as_the_map_says(
    method: str, preset: str, data: str, layer: str, trained: Trained
) -> None:
    run = trained(preset, data, steps=40)
    found = why(run, method, 1, layer=layer) if layer in offered(run, method) else why(run, method, 1)
    assert found.holds and found.change is not None and found.change <= MAP_TOLERANCE
    right = brute_at(of_run(run, 1, layer=found.layer), method).numpy()
    assert off(found.arrays["layer"], right) <= MAP_TOLERANCE


def offered(run: Run, method: str) -> tuple[str, ...]:
    asked, one = of_run(run), registry.METHODS.get(method)
    layers: tuple[str, ...] = one.layers(asked.specs, asked.form)
    return layers


def test_a_unit_is_explained_as_right_as_the_map_says(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    for method in ("neuron_integrated_gradients", "neuron_conductance"):
        few = why(run, method, 1, layer="relu2", unit=1)
        many = why(run, method, 1, layer="relu2", unit=1, steps=1000, map_tolerance=1.0, most=1000)
        assert few.change is not None and few.change <= MAP_TOLERANCE
        assert off(few.attribution, many.attribution) <= MAP_TOLERANCE


# ── what it says of itself ───────────────────────────────────────────────────────────────────────────────────────────


def stepped(kinks: np.ndarray, heights: np.ndarray) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Gradients [n, places] that jump at known shares of the way, as a ReLU network's do, and their exact sums."""

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        passed = shares.numpy()[:, None] > kinks
        values = np.clip(shares.numpy()[:, None] - kinks, 0, None) @ heights.sum(1)
        return torch.from_numpy(values).float(), torch.from_numpy(passed @ heights).float()

    return look


@pytest.mark.parametrize("tolerance", [0.05, 0.02, 0.005])
def test_a_way_with_known_kinks_is_within_the_tolerance_that_was_asked_for(tolerance: float) -> None:
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kinks, heights = rng.random(60), rng.normal(size=(60, 50))
        exact = (1 - kinks) @ heights
        look = stepped(kinks, heights)
        options = choice("integrated_gradients", map_tolerance=tolerance, tolerance=1.0, most=4000).options
        found = integral(options, Straight(torch.ones(1, 50)), look, look(torch.tensor([0.0, 1.0]))[0])
        assert found.change <= tolerance and not found.words
        held.append(off(found.values[0].numpy(), exact) <= tolerance)
    assert np.mean(held) >= 0.95


def test_a_map_that_still_changes_says_so_and_does_not_hold(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    found = why(run, "integrated_gradients", 1, steps=8, most=8)
    assert found.change is not None and found.change > MAP_TOLERANCE and found.holds is False
    assert any("every other point is left out" in words or "misses" in words for words in found.words)
    found = why(run, "internal_influence", 1, layer="relu1", steps=8, most=8)
    assert found.gap is None and found.holds is False and "does not converge" in " ".join(found.words)


def test_what_sums_to_nothing_is_judged_by_its_map_alone(trained: Trained) -> None:
    found = why(trained("cnn", "digits", steps=40), "internal_influence", 1, layer="relu1")
    assert found.gap is None and found.holds is True and found.change is not None and found.facts["points"] >= 17


# ── averages over random draws ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", [Part(), Part(summed=-1)], ids=["each", "summed"])
def test_the_standard_error_is_the_spread_of_means_of_so_many_draws(part: Part) -> None:
    torch.manual_seed(0)
    draws = 1 + torch.randn(400, 25, 3, 2)  # 400 means of 25
    means = part.of(draws.mean(1))
    told = np.mean([standard_error(one, Part()) for one in part.of(draws.flatten(0, 1)).view(400, 25, -1)])
    spread = float(means.std(0).mean()) / float(part.of(draws.flatten(0, 1)).mean())
    assert told == pytest.approx(spread, rel=0.45)  # it names the worst of the places beside the largest of the means


def test_smooth_grads_error_falls_with_the_root_of_the_copies(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    few, many = (why(run, "smooth_grad", 1, samples=n).error for n in (16, 256))
    assert few is not None and many is not None and 2 < few / many < 9


# ── the catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────


def looked(method: Method, asked: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Explained]:
    """At how many different inputs the method took a gradient, and what it found."""
    seen: set[bytes] = set()
    forward = Case.f

    def f(self: Case, inputs: Tensor) -> Tensor:
        values = forward(self, inputs)
        if values.requires_grad:
            values.register_hook(lambda _gradient: seen.update(row.numpy().tobytes() for row in inputs.detach()))
        return values

    with monkeypatch.context() as patch:
        patch.setattr(Case, "f", f)
        found = attribute(asked, Choice(method.name, method.options()))
    return len(seen), found


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_that_averages_declares_how_it_is_checked(
    method: Method, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes gradients at more than an input and a baseline, or whose map hangs on the seed, is an average."""
    run = trained("cnn", "digits", steps=40)
    if fit_of(method, of_run(run, 1)).status == WITHHELD:
        assert not method.averages
        return
    inputs, found = looked(method, of_run(run, 1), monkeypatch)
    other = attribute(of_run(run, 1, seed=7), Choice(method.name, method.options()))
    drawn = not np.array_equal(found.attribution, other.attribution)
    onward = method.name == "layer_integrated_gradients"  # whose way is the layer's, for one and the same input
    if method.averages == FITS:
        assert drawn and method.family == PERTURBATION and found.error is None
    elif drawn:
        assert method.averages == DRAWS and found.error is not None and found.error > 0, "it draws at random"
    elif inputs > 2 or onward:
        assert method.averages == POINTS and found.change is not None and found.holds is not None, "it integrates"
    else:
        assert not method.averages and found.change is None and found.error is None


def test_the_untrained_control_keeps_the_check_of_its_method(trained: Trained) -> None:
    assert why(trained("cnn", "digits", steps=40), "untrained", 1).change is not None
