"""SmoothGrad, VarGrad and GradientShap against closed forms, brute force, and what more samples must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.worker.data.splits import Splits
from core.worker.explain import attribute
from core.worker.explain.explained_case import Case
from tests.trained import Trained
from tests.worker.explain.conftest import case, choice, linear, made, of_run


def known(n: int = 12, features: int = 6) -> Splits:
    """Drawn samples to compare with."""
    x = torch.randn(n, features, generator=torch.Generator().manual_seed(5))
    pair = x, torch.zeros(n, dtype=torch.long)
    return Splits(pair, pair, pair, x.numpy(), ("a", "b", "c"))


# ── noise ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_a_linear_network_has_one_gradient_whatever_the_noise(noise: float) -> None:
    network, x = linear(), torch.randn(1, 6)
    found = made(case(network, x, target="1"), "smooth_grad", noise=noise)
    assert np.allclose(found.attribution, network.weight[1].detach(), atol=6e-7)
    varied = made(case(network, x, target="1"), "var_grad", noise=noise)
    assert np.allclose(varied.attribution, 0.0, atol=1e-12)
    assert any("the same everywhere" in sentence for sentence in varied.words)


def test_without_noise_they_are_the_gradient_and_nothing(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    plain = made(of_run(run, 1), "input_x_gradient").attribution
    smooth = made(of_run(run, 1), "smooth_grad", noise=0.0, of="input_x_gradient").attribution
    np.testing.assert_allclose(smooth, plain, atol=6e-7 * np.abs(plain).max())
    assert np.abs(made(of_run(run, 1), "var_grad", noise=0.0).attribution).max() <= 1e-9


def test_against_one_noisy_copy_after_the_other(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    at = of_run(run, 1, seed=4)
    deviation = 0.2 * float(at.inputs.max() - at.inputs.min())
    torch.manual_seed(4)
    noise = torch.normal(0.0, torch.full((7, *at.inputs.shape[1:]), deviation))
    slow = torch.cat([at.gradients(at.inputs + one)[1] for one in noise])
    smooth = made(of_run(run, 1, seed=4), "smooth_grad", samples=7, noise=0.2)
    varied = made(of_run(run, 1, seed=4), "var_grad", samples=7, noise=0.2)
    scale = float(slow.abs().max())
    assert smooth.facts["deviation"] == pytest.approx(deviation)
    np.testing.assert_allclose(smooth.attribution, slow.mean(0), atol=1e-6 * scale)
    np.testing.assert_allclose(varied.attribution, slow.var(0, correction=0), atol=1e-6 * scale**2)


def test_more_copies_bring_two_seeds_nearer_to_each_other(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)

    def apart(samples: int) -> float:
        maps = [made(of_run(run, 1, seed=seed), "smooth_grad", samples=samples).attribution for seed in range(5)]
        return float(np.std(maps, axis=0).mean())

    few, many = apart(4), apart(64)  # by the law of large numbers to a quarter
    assert 0.15 < many / few < 0.4, (few, many)


def test_an_input_that_is_the_same_everywhere_has_no_range_and_says_so() -> None:
    found = made(case(linear(), torch.full((1, 6), 0.5), target="0"), "smooth_grad")
    assert found.facts["deviation"] == 0.0
    assert any("no noise is added" in sentence for sentence in found.words)


# ── GradientShap ─────────────────────────────────────────────────────────────────────────────────────────────────────


def shap(seed: int = 2, **options: float) -> tuple[Case, torch.nn.Linear, np.ndarray]:
    network, x = linear(), torch.randn(1, 6, generator=torch.Generator().manual_seed(9))
    at = case(network, x, target="1", splits=known(), seed=seed)
    found = made(at, "gradient_shap", **options)
    assert found.holds is (found.gap is not None and found.gap <= 0.05)
    return at, network, found


def test_on_a_linear_network_it_is_weight_times_input_minus_the_mean_drawn_baseline() -> None:
    at, network, found = shap(samples=9, baselines=5)
    drawn = torch.from_numpy(found.arrays["baseline"])
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in known().train[0].tolist()}
    np.random.seed(2)  # noqa: NPY002 (Captum's own draw)
    chosen = drawn[torch.from_numpy(np.random.choice(5, 9))]  # noqa: NPY002
    expected = network.weight[1].detach() * (at.inputs[0] - chosen.mean(0))
    assert np.allclose(found.attribution, expected, atol=6e-7)
    assert found.gap is not None and found.gap <= 1e-5
    assert found.facts["expected"] == pytest.approx(float(expected.sum()), abs=1e-5)


@pytest.mark.slow
def test_more_points_bring_its_sum_nearer_to_the_difference(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)

    def gap(samples: int) -> float:
        found = [made(of_run(run, 1, seed=seed), "gradient_shap", samples=samples) for seed in range(6)]
        assert all(one.gap is not None for one in found)
        return float(np.mean([abs(one.delta or 0.0) for one in found]))

    few, many = gap(8), gap(512)  # an eighth by the law of large numbers
    assert many < 0.4 * few, (few, many)


def test_where_there_is_no_training_set_it_is_withheld_in_a_sentence() -> None:
    found = attribute(case(linear(), torch.randn(1, 6), target="1"), choice("gradient_shap"))
    assert "training samples" in found.withheld and found.withheld.endswith(".")


@pytest.mark.parametrize("method", ["smooth_grad", "var_grad", "gradient_shap"])
def test_one_row_at_a_time_gives_the_same(method: str, trained: Trained) -> None:
    run = trained("transformer", "order", steps=40)
    together, alone = of_run(run, 1), of_run(run, 1)
    alone.rows = 1
    one, other = made(together, method, samples=9).attribution, made(alone, method, samples=9).attribution
    np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())
