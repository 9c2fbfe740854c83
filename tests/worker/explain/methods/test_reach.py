"""A layer's map is offered where the answer hangs on the layer, and is 0 where it does not: found by changing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from core.catalog.attribution._layers import places, with_places
from core.catalog.entries import LAYER, PICTURE, DataForm
from core.spec import registry
from core.spec.questions import Fits
from core.store import Run
from core.worker.explain import Case, attribute, fits
from core.worker.explain.methods.layers import At
from core.worker.explain.methods.reach import read
from tests.trained import Trained
from tests.worker.explain.conftest import choice, made, of_run
from tests.worker.explain.methods.test_layers import said, small
from tests.worker.explain.test_every_method import run_lines

METHODS = [method.name for method in registry.METHODS if method.family == LAYER and method.name != "guided_grad_cam"]
CLASS_TOKEN = [("vit", "digits", {}), ("transformer", "order", {"model.read_out": "class_token"})]
IDS = [preset for preset, _data, _changes in CLASS_TOKEN]


def brute(at: Case, layer: str) -> torch.Tensor:
    """bool [place]: place by place, with many random values put there, does the answer change at all?"""
    at.layer = layer
    looked = At(at)
    values = looked.values(at.inputs)
    place = places(at.specs, at.form)[layer]
    flat = values.flatten(2) if place.how == "maps" else values.transpose(1, 2)  # [1, map, place]
    generator, found = torch.Generator().manual_seed(1), []
    for i in range(flat.shape[2]):
        rows = flat.repeat(12, 1, 1)
        rows[:, :, i] = 4 * float(values.abs().max()) * torch.randn(12, flat.shape[1], generator=generator)
        rows = torch.cat([flat, rows])
        shaped = rows.view(-1, *values.shape[1:]) if place.how == "maps" else rows.transpose(1, 2)
        answers = looked.alone(shaped)
        found.append(bool((answers[1:] - answers[0]).abs().max() > 1e-6 * at.answers.abs().max()))
    return torch.tensor(found)


@pytest.mark.each_value
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("preset", "data", "changes"), CLASS_TOKEN, ids=IDS)
def test_where_only_the_class_token_is_read_there_is_no_map_but_the_reason(
    preset: str, data: str, changes: dict[str, Any], method: str, trained: Trained
) -> None:
    run = trained(preset, data, steps=20, **changes)
    for layer in ("block2", "norm"):
        assert not brute(of_run(run, 0), layer)[1:].any(), "the known zero: patches change nothing"
        found = attribute(of_run(run, 0, layer=layer), choice(method))
        assert f"reads {layer} at no place of the input" in found.withheld and not found.attribution.size
    if method != "layer_gradient_x_activation":  # which sees nothing before a layer norm, see below
        assert not attribute(of_run(run, 0, layer="block1"), choice(method)).withheld


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("preset", "data", "changes"),
    [*CLASS_TOKEN, ("cnn", "digits", {}), ("lstm", "digits", {})],
    ids=[*IDS, "cnn", "lstm"],
)
def test_by_itself_a_method_takes_a_layer_that_shows_something(
    preset: str, data: str, changes: dict[str, Any], method: str, trained: Trained
) -> None:
    found = made(of_run(trained(preset, data, steps=20, **changes), 0), method)
    size = found.facts["f_x"] if not found.signed else float(np.abs(found.attribution).sum()) / abs(found.facts["f_x"])
    assert not found.rounding and not found.facts.get("slight") and abs(size) > 1e-3
    assert found.layer not in ("block2", "norm")


@pytest.mark.slow
def test_gradient_times_activation_before_a_layer_norm_is_said_to_be_next_to_nothing(trained: Trained) -> None:
    """A layer norm gives the same for a multiple of what it gets: the gradient along the values is 0 but for its ε."""
    run = trained("transformer", "order", steps=20)
    found = made(of_run(run, 1), "layer_gradient_x_activation", layer="block2")
    assert found.rounding or said(found, "All of this map together is")
    plain = made(of_run(run, 1), "layer_gradient_x_activation", layer="norm")
    assert not plain.rounding and not said(plain, "All of this map together is")
    vit = made(of_run(trained("vit", "digits", steps=20), 1), "layer_gradient_x_activation")
    assert vit.layer == "positions" and said(vit, "At block1 there is nothing to see")


@pytest.mark.parametrize("layer", ["relu1", "conv1"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_places_that_a_stride_jumps_over_are_found_as_by_brute_force_and_are_0(layer: str, stride: int) -> None:
    form = DataForm(PICTURE, (1, 7, 7), 3)

    def net() -> Case:
        return small(
            ("conv", {"channels": 3}),
            ("relu", {}),
            ("conv", {"channels": 4, "kernel": 1, "stride": stride}),
            ("relu", {}),
            ("flatten", {}),
            form=form,
        )

    right = brute(net(), layer)
    at = net()
    at.layer = layer
    values, gradient, _f = At(at).gradients(at.inputs)
    found = read(At(at).alone, values, gradient, 1, float(at.answers.abs().max())).flatten()
    assert torch.equal(found, right) and bool(right.all()) == (stride == 1)
    one = made(net(), "grad_cam", layer=layer)
    assert not one.arrays["layer"].reshape(3, -1)[:, ~right.numpy()].any() or one.attribution.any()
    assert said(one, "does not read") == (stride > 1)
    again = run_lines(one.code, net(), one)
    assert np.abs(again - one.attribution).max() <= 1e-5 * np.abs(one.attribution).max()


def test_a_place_that_a_max_pool_did_not_take_is_read_all_the_same(trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=20), 1, layer="relu1")
    values, gradient, _f = At(at).gradients(at.inputs)
    assert float((gradient.abs().amax((0, 1)) == 0).float().mean()) > 0.2, "most gradients are 0"
    assert bool(read(At(at).alone, values, gradient, 1, float(at.answers.abs().max())).all())


@pytest.fixture
def vit(trained: Trained) -> Run:
    return trained("vit", "digits", steps=20)


def test_layers_without_influence_are_not_offered(vit: Run) -> None:
    told = {one.method: one for one in fits(Fits(vit.id, runs=str(vit.path.parent)))}
    at = of_run(vit, 0)
    assert {"block2", "norm"} < set(with_places(at.specs, at.form))
    for method in METHODS:
        assert told[method].layers == ("block1", "positions", "class_token", "patches"), method
    assert "block2" in told["neuron_gradient"].layers  # a unit there may be asked for all the same
