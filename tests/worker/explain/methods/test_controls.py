"""Controls against closed forms, and the untrained network against a run that has just been made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from core.catalog.attribution.untrained import CONTROLS, Untrained, methods
from core.catalog.entries import CONTROL, PICTURE, SEQUENCE, Form
from core.spec import registry
from core.spec.questions import PREDICTED
from core.spec.specs import Choice
from core.worker.explain import attribute
from core.worker.explain.methods.controls import fresh
from core.worker.model.build import build
from tests.trained import Trained
from tests.worker.explain.conftest import case, choice, linear, made, of_run, why


def test_the_magnitude_is_how_far_a_pixel_is_from_black(trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 2)
    assert at.splits is not None
    brightness = at.splits.shown[2].astype(np.float32) / 255 / at.splits.std[0]
    found = made(at, "input_magnitude")
    np.testing.assert_allclose(found.attribution[0], brightness, atol=1e-5)
    assert found.gap is None and found.holds is None


def test_the_magnitude_of_a_token_is_the_length_of_its_vector(trained: Trained) -> None:
    at = of_run(trained("transformer", "order", steps=40), 2)
    expected = at.inputs[0].norm(dim=1).numpy()
    np.testing.assert_allclose(made(at, "input_magnitude").attribution, expected, rtol=1e-6)


def test_the_edges_of_a_picture_by_hand() -> None:
    """A step of height 2 between columns 2 and 3: Sobel's weights 1 + 2 + 1 make 8 beside it, 0 elsewhere."""
    x = torch.zeros(1, 1, 5, 6)
    x[..., 3:] = 2.0
    at = case(nn.Sequential(nn.Flatten(), nn.Linear(30, 3)), x, form=Form(PICTURE, (1, 5, 6)))
    found = made(at, "edge_filter").attribution[0]
    assert np.array_equal(found, np.tile([0, 0, 8, 8, 0, 0], (5, 1)))
    turned = case(nn.Sequential(nn.Flatten(), nn.Linear(30, 3)), x.transpose(2, 3), form=Form(PICTURE, (1, 6, 5)))
    assert np.array_equal(made(turned, "edge_filter").attribution[0], found.T)


def test_the_edges_of_a_sequence_are_its_changes() -> None:
    x = torch.tensor([[[1.0, 0.0], [4.0, 0.0], [2.0, 5.0]]])
    at = case(nn.Sequential(nn.Flatten(), nn.Linear(6, 3)), x, form=Form(SEQUENCE, (3, 2)))
    assert made(at, "edge_filter").attribution.tolist() == [[0, 0], [3, 0], [2, 5]]


def test_there_are_no_edges_between_tokens_or_points(trained: Trained) -> None:
    for preset, data in (("transformer", "order"), ("mlp", "points")):
        found = attribute(of_run(trained(preset, data, steps=40), 0), choice("edge_filter"))
        assert "Edge filter is for" in found.withheld


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("lstm", "digits"), ("transformer", "order")])
def test_fresh_weights_are_those_that_a_run_starts_with(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=40)
    at = of_run(run)
    started = build(run.experiment().model, at.form, 7).state_dict()
    before = torch.random.get_rng_state()
    again = fresh(at.specs, at.form, 7).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, again[name]) for name, value in started.items())


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("transformer", "order")])
def test_the_untrained_map_is_the_methods_map_of_the_fresh_network(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=40)
    at = of_run(run, 1, seed=4)
    target = at.target
    found = attribute(at, Choice("untrained", Untrained(method="integrated_gradients")))
    plain = of_run(run, 1)
    other = case(
        fresh(plain.specs, plain.form, 4), plain.x, form=plain.form, splits=plain.splits, target=str(target.index)
    )
    expected = made(other, "integrated_gradients")
    np.testing.assert_array_equal(found.attribution, expected.attribution)
    assert (found.facts["f_x"], found.gap, found.target) == (expected.facts["f_x"], expected.gap, target.words)
    trained_map = why(run, "integrated_gradients", 1).attribution
    assert np.abs(found.attribution - trained_map).max() > 0.1 * np.abs(trained_map).max()


def test_the_seed_draws_other_weights(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    saliency = Choice("untrained", Untrained(method="saliency"))
    one, same, other = (attribute(of_run(run, seed=seed), saliency).attribution for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_a_network_of_unknown_layers_cannot_be_made_anew() -> None:
    found = attribute(case(linear(), torch.randn(1, 6), target=PREDICTED), choice("untrained"))
    assert "layers of this network are not known" in found.withheld


def test_the_untrained_control_offers_every_method_that_asks_the_network() -> None:
    controls = {method.name for method in registry.METHODS if method.family == CONTROL}
    assert set(CONTROLS) <= controls
    assert set(methods()) == set(registry.METHODS.names()) - set(CONTROLS)
