"""Saliency and Input × Gradient against closed forms and plain autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.trained import Trained
from tests.worker.explain.conftest import case, linear, made, of_run


def test_on_a_linear_network_saliency_is_the_weights_size_and_input_x_gradient_weight_times_input() -> None:
    network, x = linear(), torch.randn(1, 6)
    weight = network.weight[2].detach()
    saliency = made(case(network, x, target="2"), "saliency").attribution
    product = made(case(network, x, target="2"), "input_x_gradient").attribution
    assert np.allclose(saliency, weight.abs(), atol=6e-7)
    assert np.allclose(product, weight * x[0], atol=6e-7)


def test_the_difference_of_two_classes_has_the_difference_of_their_weights() -> None:
    network, x = linear(), torch.randn(1, 6)
    found = made(case(network, x, target="2-0"), "input_x_gradient").attribution
    assert np.allclose(found, ((network.weight[2] - network.weight[0]) * x[0]).detach(), atol=6e-7)


def test_a_token_gets_the_sum_over_its_embedding(trained: Trained) -> None:
    run = trained("transformer", "order", steps=40)
    at = of_run(run, 2)
    vectors = at.inputs.clone().requires_grad_()
    at.target.of(at.logits(vectors)).sum().backward()
    assert vectors.grad is not None
    expected = (vectors.grad * vectors.detach()).sum(-1)[0].numpy()
    np.testing.assert_allclose(made(of_run(run, 2), "input_x_gradient").attribution, expected, atol=1e-6)


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("lstm", "digits"), ("transformer", "order")])
def test_saliency_input_x_gradient_and_grad_cam_together_take_three_passes(
    preset: str, data: str, trained: Trained
) -> None:
    run = trained(preset, data, steps=40)
    assert sum(made(of_run(run, 1), name).cost for name in ("saliency", "input_x_gradient", "grad_cam")) <= 3.0
