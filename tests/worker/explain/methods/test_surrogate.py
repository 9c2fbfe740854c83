"""KernelShap's coalitions and fit, and Lime, against counting, brute force and Captum."""

from __future__ import annotations

import itertools
import math

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from core.worker.explain import features
from core.worker.explain.explained_case import seeded
from core.worker.explain.methods import surrogate
from tests.worker.explain.conftest import case, linear, made
from tests.worker.explain.methods.test_perturbation import small
from tests.worker.explain.methods.test_shapley import bent


def kernel(n: int, size: int) -> float:
    """Shapley's kernel (Lundberg and Lee 2017, theorem 2)."""
    return (n - 1) / (math.comb(n, size) * size * (n - size))


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8])
def test_all_coalitions_count_as_the_kernel_says(n: int) -> None:
    on, weights = surrogate.coalitions(n, 2**n - 2)
    assert {tuple(row) for row in on.tolist()} == set(itertools.product([False, True], repeat=n)) - {
        (False,) * n,
        (True,) * n,
    }
    expected = torch.tensor([kernel(n, int(row.sum())) for row in on])
    assert len(on) == 2**n - 2 and torch.allclose(weights, expected / expected.mean())


@pytest.mark.parametrize(("n", "samples"), [(12, 200), (49, 512), (49, 64), (13, 16)])
def test_drawn_coalitions_come_in_pairs_and_every_size_counts_its_part(n: int, samples: int) -> None:
    sizes = torch.arange(1, n)
    mass = 1.0 / (sizes * (n - sizes))
    found = torch.zeros(n - 1)
    for seed in range(60):
        with seeded(seed):
            on, weights = surrogate.coalitions(n, samples)
        assert samples - 1 <= len(on) <= samples and bool((on.sum(1) % n).all())
        assert torch.allclose((weights[:, None] * on).sum(0), (weights[:, None] * ~on).sum(0), atol=1e-3)
        found += torch.bincount(on.sum(1) - 1, weights, minlength=n - 1)
    share = found / found.sum() - mass / mass.sum()
    drawn = 60 * samples / 2
    assert float(share.abs().max()) <= 4 * math.sqrt(0.25 / drawn)  # four standard deviations at most


def test_whole_sizes_are_taken_when_drawing_would_give_every_one_of_them() -> None:
    with seeded(0):
        on, _weights = surrogate.coalitions(12, 200)
    sizes = on.sum(1)
    for size in (1, 11):
        assert len({tuple(row) for row in on[sizes == size].tolist()}) == 12
    assert int((sizes == 1).sum()) == 12 and len(on) == 200


def test_the_fit_is_the_weighted_least_squares_with_both_ends_met() -> None:
    rng = np.random.default_rng(0)
    on, weights = surrogate.coalitions(6, 40)
    rises, whole = torch.from_numpy(rng.normal(size=len(on))), 1.7
    found = surrogate.least_squares(on, weights, rises, whole).numpy()
    rows, w = on.double().numpy(), np.diag(weights.double().numpy())
    system = np.block([[2 * rows.T @ w @ rows, np.ones((6, 1))], [np.ones((1, 6)), np.zeros((1, 1))]])  # Lagrange
    expected = np.linalg.solve(system, np.append(2 * rows.T @ w @ rises.numpy(), whole))[:6]
    assert np.allclose(found, expected, atol=1e-10) and found.sum() == pytest.approx(whole)


def test_too_few_coalitions_still_sum_to_the_difference() -> None:
    torch.manual_seed(0)
    on, weights = surrogate.coalitions(30, 16)
    found = surrogate.least_squares(on, weights, torch.randn(len(on)).double(), 2.5)
    assert float(found.sum()) == pytest.approx(2.5) and bool(torch.isfinite(found).all())


@pytest.mark.parametrize("seed", range(5))
def test_kernel_shap_errs_less_than_captums_own_draws(seed: int) -> None:
    x = torch.randn(1, 8, generator=torch.Generator().manual_seed(seed))
    network = bent(seed)
    exact = made(case(network, x, target="1"), "shapley_values").attribution
    ours = made(case(network, x, target="1", seed=seed), "kernel_shap", samples=200)
    one = case(network, x, target="1")
    with seeded(seed):
        theirs = captum.attr.KernelShap(one.model).attribute(one.inputs, n_samples=202)[0].numpy()
    error = [np.abs(found - exact).max() for found in (ours.attribution, theirs)]
    assert error[0] < error[1]


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_lime_is_captums_with_the_same_seed(seed: int, width: float) -> None:
    from captum._utils.models.linear_model import SkLearnLasso
    from captum.attr._core.lime import get_exp_kernel_similarity_function

    one = small(8, 8)
    found = made(small(8, 8, seed=seed), "lime", side=3, width=width, alpha=0.001, samples=100, baseline="noise")
    other = small(8, 8, seed=seed)
    pieces, noise = features.squares(8, 8, side=3).expand_as(one.inputs), found.arrays["baseline"]
    near = get_exp_kernel_similarity_function("cosine", kernel_width=width)
    with seeded(seed):
        theirs = captum.attr.Lime(other.model, SkLearnLasso(alpha=0.001), near).attribute(
            other.inputs, torch.from_numpy(noise)[None], feature_mask=pieces, n_samples=100
        )
    assert found.attribution.any()
    assert np.abs(found.attribution - theirs[0].numpy()).max() <= 1e-4 * np.abs(found.attribution).max()


def test_lime_puts_the_values_of_a_linear_network_in_their_order() -> None:
    network, x = nn.Linear(6, 3), torch.randn(1, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        network.weight[1] = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0, 0.2]) / x[0]
    found = made(case(network, x, target="1"), "lime", samples=1000, alpha=0.001, width=1.0)
    assert found.attribution.argsort().tolist() == [1, 4, 5, 2, 0, 3] and found.gap is None


def test_a_choice_that_is_more_like_the_input_counts_more_as_its_rows_say() -> None:
    one = small(8, 8)
    baseline = torch.randn_like(one.inputs)
    pieces = features.squares(8, 8, side=3)
    on = torch.rand(50, 9, generator=torch.Generator().manual_seed(0)) < 0.5
    rows = features.switched(one.inputs, baseline, pieces, on).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(rows, one.inputs.flatten(1))
    expected = torch.exp(-((1 - cosine) ** 2) / (2 * 0.5**2))
    assert torch.allclose(surrogate.likeness(one.inputs, baseline, pieces, on, 0.5), expected, atol=1e-6)


def test_lime_says_when_it_leaves_nothing() -> None:
    found = made(case(linear(), torch.randn(1, 6) / 100, target="1"), "lime", alpha=10.0)
    assert not found.attribution.any() and any("smaller alpha" in words for words in found.words)
