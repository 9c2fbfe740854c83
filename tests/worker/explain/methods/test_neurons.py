"""Methods for one unit: against closed forms, Captum, and what the units of a layer must give together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from core.catalog.attribution._layers import with_units
from core.catalog.entries import NEURON
from core.spec import registry
from core.spec.options import SpecError
from core.store import Run
from core.worker.explain import attribute
from tests.trained import Trained
from tests.worker.explain.conftest import choice, made, of_run, why
from tests.worker.explain.methods.test_layers import close, said, small, tanh_net
from tests.worker.explain.test_every_method import run_lines

METHODS = [method.name for method in registry.METHODS if method.family == NEURON]
ON_WAY = ["neuron_conductance", "neuron_integrated_gradients"]


def test_a_unit_of_a_linear_layer_has_its_row_of_weights(trained: Trained) -> None:
    run = trained("mlp", "points", steps=40)
    at = of_run(run, 1)
    weight, bias = at.network.get_parameter("linear1.weight")[5], at.network.get_parameter("linear1.bias")[5]
    found = made(at, "neuron_gradient", layer="linear1", unit=5)
    close(found.attribution, weight)
    assert found.facts["f_x"] == pytest.approx(float(weight @ at.x[0] + bias), abs=1e-6)
    path = why(run, "neuron_integrated_gradients", 1, layer="linear1", unit=5, baseline="mean")
    close(path.attribution, weight * (at.x[0] - torch.from_numpy(path.arrays["baseline"])))
    assert path.holds and path.facts["f_x"] - path.facts["f_baseline"] == pytest.approx(path.facts["expected"])


def test_the_last_layers_unit_of_a_class_is_that_classs_answer(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    at = of_run(run, 1, target="4")
    expected = at.gradients(at.inputs)[1][0]
    found = why(run, "neuron_gradient", 1, layer="head", unit=4)
    close(found.attribution, expected)
    assert found.facts["f_x"] == pytest.approx(float(at.answers[0, 4]), abs=1e-5)
    assert found.target == "unit 4 of head"


@pytest.mark.parametrize(("layer", "place"), [("conv1", (3, 4)), ("tanh1", (0, 5)), ("linear1", (-1,))])
def test_the_gradient_of_a_place_of_a_map_by_hand(layer: str, place: tuple[int, ...]) -> None:
    at = tanh_net()
    x = at.inputs.clone().requires_grad_()
    values = x
    for name, module in at.network.named_children():
        values = module(values)
        if name == layer:
            break
    unit = values[0, 1] if values.dim() == 2 else values[0, 1, place[0], place[1]]
    (expected,) = torch.autograd.grad(unit, x)
    close(made(tanh_net(), "neuron_gradient", layer=layer, unit=1, place=place).attribution, expected[0])


@pytest.mark.parametrize("layer", ["linear1", "tanh2"])
def test_the_conductances_of_all_units_of_a_layer_together_are_integrated_gradients(layer: str) -> None:
    """Σ_j ∂f/∂y_j · ∂y_j/∂x_i = ∂f/∂x_i: what goes through the units is all there is."""
    given = {"layer": layer, "baseline": "zero", "steps": 64}
    units = [made(tanh_net(), "neuron_conductance", unit=j, **given) for j in range(8)]
    whole = made(tanh_net(), "integrated_gradients", baseline="zero", steps=64)
    close(sum(one.attribution for one in units), torch.from_numpy(whole.attribution), 1e-4)
    flows = [one.facts["flow"] for one in units]
    for one, flow in zip(units, flows, strict=True):  # and each sums to all that flows through it
        assert one.holds and one.attribution.sum() == pytest.approx(flow, rel=0.01)
    assert sum(flows) == pytest.approx(whole.facts["expected"], rel=1e-3)


def test_what_flows_through_a_unit_is_its_share_of_the_layers_conductance(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    layer = why(run, "layer_conductance", 1, layer="relu1", tolerance=1e-3).arrays["layer"]
    unit, row, column = np.unravel_index(np.abs(layer).argmax(), layer.shape)
    place = (int(row), int(column))
    found = why(run, "neuron_conductance", 1, layer="relu1", unit=int(unit), place=place, tolerance=1e-3)
    assert found.attribution.sum() == pytest.approx(layer[unit, row, column], rel=0.02)


@pytest.mark.parametrize(
    ("preset", "data"),
    [("cnn", "digits"), ("lstm", "digits"), ("gru", "order"), ("transformer", "order"), ("mlp", "points")],
)
def test_the_sum_is_the_difference_of_the_units_values(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=40)
    for sample in range(3):
        found = why(run, "neuron_integrated_gradients", sample, most=1000)
        difference = found.facts["f_x"] - found.facts["f_baseline"]
        if abs(difference) > 1e-6:
            assert found.holds, found.facts["points"]
            assert found.attribution.sum() == pytest.approx(difference, rel=0.011)


PLACES: list[tuple[str, str, dict[str, Any]]] = [
    ("cnn", "digits", {}),
    ("vit", "digits", {"model.width": 16}),
    ("lstm", "planted", {}),
    ("transformer", "order", {}),
    ("gru", "adding", {}),
    ("gpt", "copy", {"model.width": 16}),
]


@pytest.fixture(params=PLACES, ids=lambda place: f"{place[0]}-{place[1]}")
def run(request: pytest.FixtureRequest, trained: Trained) -> Run:
    preset, data, changes = request.param
    return trained(preset, data, steps=5, **changes)


@pytest.mark.each_value
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow_for("vit", "gpt", "gru")
def test_every_layers_unit_gives_a_map_and_lines_that_make_it_again(method: str, run: Run) -> None:
    at = of_run(run, 0)
    for layer in with_units(at.specs, at.form):
        unit = 0 if layer == "head" else 1  # `adding` asks for one number
        found = why(run, method, 0, layer=layer, unit=unit, **({"most": 16} if method in ON_WAY else {}))
        assert found.layer == layer and found.attribution.shape == at.form.shape
        again = run_lines(found.code, of_run(run, 0), found)
        assert np.abs(again - found.attribution).max() <= 2e-4 * max(1e-6, np.abs(found.attribution).max()), layer


def test_by_itself_the_place_is_where_the_unit_is_strongest(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    values = why(run, "layer_activation", 1, layer="relu1").arrays["layer"][3]
    found = why(run, "neuron_gradient", 1, layer="relu1", unit=3)
    assert found.facts["f_x"] == pytest.approx(float(values.max()), rel=1e-6)
    assert found.facts["unit"] == (3, *np.unravel_index(values.argmax(), values.shape))
    assert said(found, f"explains {found.target}")


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"layer": "relu1", "unit": 16}, "unit", "gives 16 units .a map each., 0 to 15"),
        ({"layer": "head", "unit": 10}, "unit", "gives 10 units .a number each., 0 to 9"),
        ({"layer": "relu1", "place": (28, 0)}, "place", "row 0 to 27 and column 0 to 27"),
        ({"layer": "relu1", "place": (3,)}, "place", "row 0 to 27 and column 0 to 27"),
        ({"layer": "relu1", "place": (-1, 3)}, "place", "row 0 to 27 and column 0 to 27"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_unit_that_is_not_there_is_refused_with_the_range(
    method: str, options: dict[str, object], field: str, words: str, trained: Trained
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        why(trained("cnn", "digits", steps=40), method, **options)
    assert caught.value.field == field


def test_a_step_that_is_not_there_is_refused_with_the_range(trained: Trained) -> None:
    with pytest.raises(SpecError, match="has step 0 to 27"):
        why(trained("lstm", "digits", steps=40), "neuron_gradient", layer="lstm", place=(28,))
    with pytest.raises(SpecError, match="gives one number, unit 0"):
        why(trained("gru", "adding", steps=5), "neuron_gradient", layer="head", unit=1)
    with pytest.raises(SpecError, match=r"gives 64 units .a number a step each., 0 to 63"):
        why(trained("lstm", "digits", steps=40), "neuron_gradient", layer="lstm", unit=64)


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_unit_gives_a_sentence(method: str) -> None:
    at = tanh_net()
    at = small(("conv", {"channels": 2}), ("relu", {}), ("flatten", {}), form=at.form, conv1_bias=-100.0)
    found = made(at, method, layer="relu1")
    assert not found.attribution.any() and found.holds is None and said(found, "the same everywhere")
    sentence = {
        "neuron_gradient": "It does not react",
        "neuron_conductance": "Nothing flows through unit 0 of relu1",
        "neuron_integrated_gradients": "gives the unit the same value",
    }[method]
    assert said(found, sentence), found.words


@pytest.mark.parametrize("method", METHODS)
def test_one_row_at_a_time_gives_the_same(method: str, trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    together, alone = of_run(run, 1, layer="relu2"), of_run(run, 1, layer="relu2")
    alone.rows = 1
    one, other = made(together, method, unit=2).attribution, made(alone, method, unit=2).attribution
    assert one.any()
    np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize("method", METHODS)
def test_afterwards_f_is_the_answer_again_and_nothing_stays_behind(method: str, trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 1)
    before = float(at.values(at.inputs))
    attribute(at, choice(method))
    assert float(at.values(at.inputs)) == before
    assert not any(module._forward_hooks for module in at.network.modules())
    with pytest.raises(SpecError):
        made(at, method, unit=10_000)
    assert not any(module._forward_hooks for module in at.network.modules())
