"""Shapley values against the mean over all orders, and against Captum with the same orders."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.worker.explain import Case
from core.worker.explain.explained_case import seeded
from core.worker.explain.methods import shapley
from tests.trained import Trained
from tests.worker.explain.conftest import case, linear, made, why

N = 8
SEEDS = range(8)


def bent(seed: int = 0, features: int = N) -> nn.Module:
    """A small network in which features act together."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(features, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


def one_of(features: int = N, **given: Any) -> Case:
    """A case of it, for the class 1."""
    x = torch.randn(1, features, generator=torch.Generator().manual_seed(5))
    return case(bent(features=features), x, target="1", **given)


def by_orders(one: Case) -> np.ndarray:
    """Every order of the features is gone through: the definition (Shapley 1953), n! orders of n steps."""
    n = one.inputs.shape[1]
    known = {}
    for on in itertools.product([False, True], repeat=n):
        known[on] = float(one.f(torch.where(torch.tensor(on), one.inputs, torch.zeros(1))))
    total = np.zeros(n)
    for order in itertools.permutations(range(n)):
        on = [False] * n
        for feature in order:
            before = known[tuple(on)]
            on[feature] = True
            total[feature] += known[tuple(on)] - before
    return total / math.factorial(n)


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """The values of one_of()."""
    return by_orders(one_of())


@pytest.mark.parametrize("baseline", ["zero", "noise"])
@pytest.mark.parametrize("method", ["shapley_sampling", "shapley_values", "kernel_shap"])
def test_on_a_linear_network_they_are_weight_times_input_minus_baseline(method: str, baseline: str) -> None:
    network, x = linear(), torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    found = made(case(network, x, target="1"), method, baseline=baseline)
    expected = network.weight[1].detach() * (x[0] - torch.from_numpy(found.arrays["baseline"]))
    assert np.abs(found.attribution - expected.numpy()).max() <= 6e-7
    assert found.holds and found.gap is not None and found.gap <= 1e-5


def test_all_coalitions_give_the_mean_over_all_orders(exact: np.ndarray) -> None:
    found = made(one_of(), "shapley_values")
    assert np.abs(found.attribution - exact).max() <= 1e-6 * np.abs(exact).max() + 1e-7
    assert found.facts["coalitions"] == 2**N and found.cost == pytest.approx(2**N / 3, abs=1)


def gentle(seed: int = 0) -> Case:
    """A network of one hidden layer: the tolerances below are those that Captum's own classes were measured with."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(N, 16), nn.Tanh(), nn.Linear(16, 3))
    return case(network, one_of().inputs, target="1", seed=seed)


def error(make: Callable[[int], Case], method: str, **options: Any) -> float:
    """The largest error, of the largest value; the median over seeds. The sums are exact."""
    exact = by_orders(make(0))
    found = [made(make(seed), method, **options) for seed in SEEDS]
    assert all(one.gap is not None and one.gap <= 5e-6 for one in found)
    return float(np.median([np.abs(one.attribution - exact).max() / np.abs(exact).max() for one in found]))


@pytest.mark.slow
def test_sampling_comes_near_and_nearer_with_more_orders() -> None:
    assert error(gentle, "shapley_sampling", samples=25) <= 0.02
    assert error(gentle, "shapley_sampling", samples=200) <= 0.009
    few, many = (error(lambda seed: one_of(seed=seed), "shapley_sampling", samples=n) for n in (25, 800))
    assert many <= few / 3  # as the root of the number of orders: 5.7 times


@pytest.mark.slow
def test_kernel_shap_comes_near_and_is_exact_when_it_asks_for_all_coalitions() -> None:
    assert error(gentle, "kernel_shap", samples=128) <= 0.015
    assert error(gentle, "kernel_shap", samples=254) <= 5e-6
    assert error(lambda seed: one_of(seed=seed), "kernel_shap", samples=254) <= 5e-6


def test_weights_of_all_coalitions_are_those_of_the_formula() -> None:
    on = shapley.all_coalitions(4)
    assert len({tuple(row) for row in on.tolist()}) == 16 and not on[0].any() and on[-1].all()
    found = shapley.weights(on)
    for piece, (number, row) in itertools.product(range(4), enumerate(on.tolist())):
        others = sum(row) - row[piece]
        weight = math.factorial(others) * math.factorial(3 - others) / math.factorial(4)
        assert float(found[piece, number]) == pytest.approx(weight if row[piece] else -weight)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sampling_goes_through_the_orders_that_captum_draws(seed: int) -> None:
    one = one_of()
    found = made(one_of(seed=seed), "shapley_sampling", samples=7)
    with seeded(seed):
        theirs = captum.attr.ShapleyValueSampling(one.model).attribute(one.inputs, n_samples=7)
    assert np.abs(found.attribution - theirs[0].numpy()).max() <= 1e-6


def test_exact_values_are_captums() -> None:
    one = one_of(5)
    theirs = captum.attr.ShapleyValues(one.model).attribute(one.inputs)
    assert np.allclose(made(one_of(5), "shapley_values").attribution, theirs[0], atol=5e-6)


@pytest.mark.parametrize("method", ["shapley_sampling", "shapley_values", "kernel_shap"])
@pytest.mark.parametrize("pieces", ["grid", "slic"])
def test_the_map_of_a_picture_sums_to_the_difference(method: str, pieces: str, trained: Trained) -> None:
    for sample in range(3):
        found = why(trained("cnn", "digits", steps=40), method, sample, pieces=pieces, baseline="mean")
        assert found.holds and found.gap is not None and found.gap <= 1e-4
        assert float(found.attribution.sum()) == pytest.approx(found.facts["expected"], rel=1e-4)


def test_one_piece_gets_all_of_the_difference() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten(1).sum(1), -x.flatten(1).sum(1)], 1)

    for method in ("shapley_sampling", "shapley_values", "kernel_shap"):
        found = made(case(Sum(), torch.tensor([[3.0]]), target="0"), method)
        assert found.attribution.tolist() == [3.0] and found.holds
