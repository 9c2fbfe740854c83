"""Methods at a layer: by hand, against the papers' definitions and Captum, and what they cannot show said in words."""

from __future__ import annotations

from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.catalog.architectures._layers import Stack
from core.catalog.attribution._layers import with_places
from core.catalog.entries import LAYER, PICTURE, SEQUENCE, TOKENS, VECTOR, DataForm
from core.spec import registry
from core.spec.options import Options
from core.spec.questions import Explained
from core.spec.specs import ModelSpec
from core.store import Run
from core.worker.explain import Case, attribute
from core.worker.explain.methods.layers import At
from core.worker.explain.methods.onto import covered
from core.worker.model.build import build
from tests.trained import Trained
from tests.worker.explain.conftest import choice, made, of_run, why
from tests.worker.explain.test_every_method import run_lines

METHODS = [method.name for method in registry.METHODS if method.family == LAYER and method.name != "guided_grad_cam"]
COMPLETE = ["layer_conductance", "layer_integrated_gradients"]


def small(*layers: tuple[str, dict[str, Any]], form: DataForm, seed: int = 0, **filled: float) -> Case:
    """The case of an untrained network with these layers and a head, for a normal sample.

    filled: conv1_bias=-100.0 fills a parameter with one number.
    """
    stack = Stack()
    for kind, options in layers:
        stack.add(kind, **options)
    specs = stack.head(form)
    network = build(ModelSpec("cnn", Options(), specs), form, seed)
    for name, value in filled.items():
        with torch.no_grad():
            network.get_parameter(name.replace("_", ".")).fill_(value)
    x = torch.randn(1, *form.shape, generator=torch.Generator().manual_seed(seed))
    return Case(network, x, form, specs=specs)


def tanh_net(seed: int = 0) -> Case:
    """A convolution, tanh, and a linear layer on 6×6 pixels: smooth, so that sums over its way converge fast."""
    form = DataForm(PICTURE, (1, 6, 6), 3)
    return small(
        ("conv", {"channels": 2}),
        ("tanh", {}),
        ("flatten", {}),
        ("linear", {"features": 8}),
        ("tanh", {}),
        form=form,
        seed=seed,
    )


def by_hand(at: Case, layer: str) -> tuple[Tensor, Tensor]:
    """What the layer gives, and the gradient there, with hooks and autograd alone."""
    kept: list[Tensor] = []
    handle = at.network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    x = at.inputs.clone().requires_grad_()
    answer = at.target.of(at.logits(x)).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(answer, kept[0])
    return kept[0].detach(), gradient


def close(found: np.ndarray, expected: Tensor, relative: float = 1e-6) -> None:
    expected = expected.detach()
    np.testing.assert_allclose(found, expected.numpy(), atol=relative * float(expected.abs().max()), rtol=0)


# ── Grad-CAM ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", ["conv1", "relu2", "pool2"])
def test_grad_cam_of_a_cnn_by_hand(layer: str, relu: bool, trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    values, gradient = by_hand(of_run(run, 3), layer)
    cam = (gradient.mean((2, 3), keepdim=True) * values).sum(1, keepdim=True)
    cam = cam.relu() if relu else cam
    expected = F.interpolate(cam, (28, 28), mode="bilinear", align_corners=False)[0]
    found = why(run, "grad_cam", 3, layer=layer, relu=relu)
    close(found.attribution, expected)
    assert found.layer == layer and found.arrays["layer"].shape == tuple(values.shape[1:])
    assert found.cost == 1.0


@pytest.mark.slow
def test_it_says_where_the_mean_gradient_does_not_stand_for_the_gradient(trained: Trained) -> None:
    """Before a global pooling the gradient is the same at all places, and the map sums to the logit less its bias."""
    pooled = trained("cnn", "digits", steps=40, **{"model.head": "global_pool"})
    even = why(pooled, "grad_cam", 3)
    assert even.facts["mean_share"] == pytest.approx(1.0) and not said(even, "from place to place")
    at = of_run(pooled, 3)
    bias = float(at.network.get_parameter("head.bias")[at.target.index])
    assert even.facts["layer_sum"] == pytest.approx(even.facts["f_x"] - bias, abs=1e-5)
    uneven = why(trained("cnn", "digits", steps=40), "grad_cam", 3)  # flattened: each place has weights of its own
    _values, gradient = by_hand(of_run(trained("cnn", "digits", steps=40), 3), "pool2")
    share = float(gradient.mean((2, 3)).square().sum() * 49 / gradient.square().sum())
    assert uneven.facts["mean_share"] == pytest.approx(share, rel=1e-4) and share < 0.25
    assert said(uneven, "from place to place")


def test_by_itself_it_takes_the_last_layer_that_gives_maps(trained: Trained) -> None:
    assert why(trained("cnn", "digits", steps=40), "grad_cam").layer == "pool2"
    small = trained("resnet8", "digits", steps=2, **{"model.width": 4})
    assert why(small, "grad_cam").layer == "stage3_block1"


@pytest.mark.parametrize("layer", ["block1", "block2", "norm"])
def test_grad_cam_of_tokens_has_one_value_a_step_where_captum_has_one_a_feature(layer: str, trained: Trained) -> None:
    run = trained("transformer", "order", steps=40)
    at = of_run(run, 3)
    values, gradient = by_hand(at, layer)
    assert at.real is not None
    expected = ((gradient.mean(1, keepdim=True) * values).sum(-1) * at.real)[0]
    found = why(run, "grad_cam", 3, layer=layer, relu=False).attribution
    close(found, expected)
    wrong = captum.attr.LayerGradCam(at.model, at.network.get_submodule(layer)).attribute(at.inputs)
    assert wrong.shape == (1, 1, values.shape[2]) != (1, 1, found.shape[0])  # what the lines protect from


@pytest.mark.slow
def test_grad_cam_of_a_row_of_patches_is_laid_back_onto_the_picture_without_the_class_token(trained: Trained) -> None:
    run = trained("vit", "digits", steps=20)
    values, gradient = by_hand(of_run(run, 0), "block1")
    cam = (gradient[:, 1:].mean(1, keepdim=True) * values).sum(-1)[:, 1:].view(1, 1, 7, 7)  # the mean over patches
    found = why(run, "grad_cam", 0, layer="block1", relu=False)
    close(found.attribution, F.interpolate(cam, (28, 28), mode="bilinear", align_corners=False)[0])
    assert any("class token" in sentence for sentence in found.words)


def test_nothing_that_speaks_for_the_answer_is_said() -> None:
    form = DataForm(PICTURE, (1, 6, 6), 2)
    at = small(("conv", {"channels": 2}), ("relu", {}), ("global_pool", {}), form=form, head_weight=-1.0)
    found = made(at, "grad_cam", layer="relu1", relu=True)
    assert not found.attribution.any() and said(found, "Nothing here speaks for the answer: switch the ReLU off")


@pytest.mark.slow
def test_what_a_relu_hides_is_said_where_it_is_most_of_the_map(trained: Trained) -> None:
    run, told = trained("cnn", "shapes", steps=40), set()
    for sample in range(20):
        found = why(run, "grad_cam", sample, relu=True)
        cells = found.arrays["layer"].sum(0)
        hidden = -cells[cells < 0].sum() / np.abs(cells).sum()
        if 0.0 < hidden < 1.0:
            assert said(found, f"The ReLU hides {hidden:.0%}") == (hidden >= 0.75)
            told.add(bool(hidden >= 0.75))
    assert told == {True, False}


# ── conductance and the others, against their definitions ────────────────────────────────────────────────────────────


def slow_conductance(at: Case, layer: str, points: int) -> Tensor:
    """Dhamdhere 2018, equations 1 to 3, as they stand: for each unit j of the layer, over the pixels i,

    Σ_i (x_i − b_i) ∫ ∂f/∂y_j · ∂y_j/∂x_i dα, by the midpoint rule with a Jacobian at every point.
    """
    module, x = at.network.get_submodule(layer), at.inputs
    baseline, total = torch.zeros_like(x), 0.0

    def reach(given: Tensor) -> Tensor:
        kept: list[Tensor] = []
        handle = module.register_forward_hook(lambda _m, _i, output: kept.append(output))
        at.network(given)
        handle.remove()
        return kept[0][0]

    def after(values: Tensor) -> Tensor:
        handle = module.register_forward_hook(lambda _m, _i, _output: values[None])
        answer = at.target.of(at.network(x))
        handle.remove()
        return answer[0]

    for k in range(points):
        point = baseline + (k + 0.5) / points * (x - baseline)
        inner = torch.autograd.functional.jacobian(reach, point)  # [C, h, w, 1, 1, H, W]
        outer = torch.autograd.functional.jacobian(after, reach(point).detach())  # [C, h, w]
        total = total + outer * (inner * (x - baseline)).flatten(3).sum(-1) / points
    return torch.as_tensor(total)


@pytest.mark.slow
@pytest.mark.slow_for("conv1")
@pytest.mark.parametrize("layer", ["conv1", "tanh1"])
def test_conductance_against_the_papers_equations(layer: str) -> None:
    found = made(tanh_net(), "layer_conductance", layer=layer, baseline="zero", steps=128, tolerance=1e-5)
    expected = slow_conductance(tanh_net(), layer, 128)
    close(found.arrays["layer"], expected, 1e-4)
    assert found.holds and found.gap is not None and found.gap <= 1e-4
    close(found.attribution[0], expected.sum(0), 1e-4)  # a cell is a pixel here


@pytest.mark.slow
def test_captums_own_class_comes_to_the_same_with_many_more_points(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    found = why(run, "layer_conductance", 1, layer="relu1", tolerance=5e-4)
    at = of_run(run, 1)
    baseline = torch.from_numpy(found.arrays["baseline"])[None]
    theirs = captum.attr.LayerConductance(at.model, at.network.get_submodule("relu1"))
    scale = float(np.abs(found.arrays["layer"]).max())

    def apart(points: int) -> float:
        values = theirs.attribute(at.inputs, baseline, n_steps=points)
        return float(np.abs(values[0].detach().numpy() - found.arrays["layer"]).max()) / scale

    assert apart(2000) < 0.01 < apart(16)


@pytest.mark.each_value
@pytest.mark.slow_for("resnet8", "lenet", "cnn")
@pytest.mark.parametrize("method", COMPLETE)
@pytest.mark.parametrize(
    ("preset", "data"),
    [
        ("cnn", "digits"),
        ("lenet", "digits"),
        ("resnet8", "digits"),
        ("lstm", "digits"),
        ("gru", "order"),
        ("transformer", "order"),
    ],
)
def test_all_that_a_layer_holds_is_the_difference_of_the_answers(
    method: str, preset: str, data: str, trained: Trained
) -> None:
    run = trained(preset, data, steps=40)
    at = of_run(run, 0)
    for layer in with_places(at.specs, at.form):
        for sample in range(3):
            found = why(run, method, sample, layer=layer, most=1000)
            assert found.holds, (layer, sample, found.gap, found.facts["points"])
            assert found.attribution.sum() == pytest.approx(found.arrays["layer"].sum(), rel=1e-4, abs=1e-5)
            assert found.facts["layer_gap"] == pytest.approx(found.gap, abs=1e-4)


def test_where_the_class_token_holds_a_part_the_map_is_not_called_complete(trained: Trained) -> None:
    found = why(trained("vit", "digits", steps=20), "layer_conductance", 1, layer="block1")
    rest = found.arrays["layer"][0].sum()
    assert found.gap is None and found.holds and found.change is not None and found.facts["layer_gap"] <= 0.01
    assert found.attribution.sum() + rest == pytest.approx(found.facts["layer_expected"], rel=0.02)
    assert any(f"{rest:.3g} of the layer's sum" in sentence for sentence in found.words)


@pytest.mark.parametrize("method", COMPLETE)
@pytest.mark.parametrize("steps", [8, 20])
def test_at_the_embedding_it_is_integrated_gradients(steps: int, method: str, trained: Trained) -> None:
    run = trained("transformer", "order", steps=40)
    at = of_run(run, 2)
    given = {"steps": steps, "most": steps}
    expected = torch.from_numpy(why(run, "integrated_gradients", 2, **given).attribution)
    close(why(run, method, 2, layer="embedding", **given).attribution, expected, 5e-6)
    plain = captum.attr.IntegratedGradients(at.model)
    baseline = at.baseline(choice(method).options)
    many = plain.attribute(at.inputs, baseline, n_steps=200).sum(-1)[0].detach()
    close(why(run, method, 2, layer="embedding", tolerance=1e-3, most=1000).attribution, many, 0.01)


@pytest.mark.slow_for("layer_conductance")
@pytest.mark.parametrize("method", COMPLETE)
@pytest.mark.slow
def test_points_go_where_the_network_bends_as_those_of_integrated_gradients_do(method: str, trained: Trained) -> None:
    """512 equal points miss the sum by 93 % (conductance) and by 52 % here."""
    run = trained("gru", "planted", steps=200)
    for sample in range(4):
        whole = why(run, "integrated_gradients", sample)
        found = why(run, method, sample, layer="embedding")
        assert found.holds and found.facts["points"] == whole.facts["points"] < 100, (sample, found.gap)
        close(found.attribution, torch.from_numpy(whole.attribution), 1e-5)


def test_a_layer_too_large_for_the_memory_gets_fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.worker.explain.methods.layers.HELD", 16 * 72 * 40)  # conv1 gives 2 maps of 6×6
    for method in COMPLETE:
        found = made(tanh_net(), method, layer="conv1", baseline="zero", steps=16, tolerance=1e-5)
        assert 17 <= found.facts["points"] <= 40


def test_internal_influence_of_what_is_linear_after_the_layer_is_its_weight(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    at = of_run(run, 1)
    weight = at.network.get_parameter("head.weight")[at.target.index].view(32, 7, 7)
    found = why(run, "internal_influence", 1, layer="pool2")
    close(found.arrays["layer"], weight, 1e-5)
    expected = weight.norm(dim=0).repeat_interleave(4, 0).repeat_interleave(4, 1)  # a gradient's sum has no meaning
    close(found.attribution[0], expected, 1e-5)
    assert not found.signed


@pytest.mark.parametrize("layer", ["conv1", "pool2"])
def test_activation_and_gradient_x_activation_by_hand(layer: str, trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    values, gradient = by_hand(of_run(run, 2), layer)
    found = why(run, "layer_activation", 2, layer=layer)
    side = 28 // values.shape[2]
    close(found.arrays["layer"], values[0])
    close(found.attribution[0], values[0].norm(dim=0).repeat_interleave(side, 0).repeat_interleave(side, 1))
    assert not found.signed
    product = why(run, "layer_gradient_x_activation", 2, layer=layer)
    close(product.arrays["layer"], (values * gradient)[0])
    assert product.attribution.sum() == pytest.approx(float((values * gradient).sum()), rel=1e-5)


# ── every layer of every kind of network ─────────────────────────────────────────────────────────────────────────────


PLACES = [
    ("lenet", "digits", {}),  # 10×10 and 5×5 cells do not divide 28 pixels
    ("resnet8", "shapes", {"model.width": 4}),  # three channels
    ("vit", "digits", {"model.width": 16}),
    ("transformer", "digits", {}),  # rows of a picture as steps
    ("lstm", "planted", {"model.bidirectional": True}),  # padding, both ways
    ("transformer", "order", {"model.read_out": "class_token"}),
    ("gru", "adding", {}),  # a sequence of numbers
    ("gpt", "copy", {"model.width": 16}),  # an answer at every step
]


@pytest.fixture(params=PLACES, ids=lambda place: f"{place[0]}-{place[1]}")
def run(request: pytest.FixtureRequest, trained: Trained) -> Run:
    preset, data, changes = request.param
    return trained(preset, data, steps=5, **changes)


@pytest.mark.each_value
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow_for("gpt", "transformer", "resnet8", "vit")
def test_every_layer_that_is_offered_gives_a_map_and_lines_that_make_it_again(method: str, run: Run) -> None:
    at = of_run(run, 0)
    offered = registry.METHODS.get(method).layers(at.specs, at.form)
    assert offered and at.specs[-1].name not in offered
    for layer in offered:
        given = {"most": 16} if method in COMPLETE else {}
        if attribute(of_run(run, 0, layer=layer, seed=1), choice(method, **given)).withheld:
            assert layer in ("block2", "norm") and at.specs[1].kind == "class_token"  # see test_reach
            continue
        found = why(run, method, 0, layer=layer, seed=1, **given)
        assert found.layer == layer and found.attribution.shape == at.form.shape
        again = run_lines(found.code, of_run(run, 0, seed=1), found)
        assert np.abs(again - found.attribution).max() <= 2e-4 * max(1e-6, np.abs(found.attribution).max()), layer


def test_padding_has_no_value(trained: Trained) -> None:
    run = trained("lstm", "planted", steps=5, **{"model.bidirectional": True})
    sample = next(i for i in range(50) if not bool((of_run(run, i).x != 0).all()))
    at = of_run(run, sample)
    assert at.real is not None
    for method in METHODS:
        found = why(run, method, sample, layer="lstm").attribution
        assert not found[~at.real.numpy()].any(), method


def test_layers_whose_values_have_no_place_are_not_offered() -> None:
    picture, row = DataForm(PICTURE, (1, 28, 28), 10), DataForm(TOKENS, (8,), 2, vocabulary=9)

    def offered(preset: str, form: DataForm, **options: Any) -> tuple[str, ...]:
        entry = registry.ARCHITECTURES.get(preset)
        return with_places(entry.layers(entry.options(**options), form), form)

    assert offered("cnn", picture) == ("pool2", "relu2", "norm2", "conv2", "pool1", "relu1", "norm1", "conv1")
    assert offered("mlp", picture) == ()
    assert offered("mlp", DataForm(VECTOR, (2,), 2)) == ()
    assert offered("lstm", picture) == ("lstm",)
    assert offered("lstm", row) == ("embedding", "lstm")  # a state has gathered what came before it
    assert offered("transformer", row) == ("block1", "positions", "embedding", "norm", "block2")
    assert offered("vit", picture) == ("block1", "positions", "class_token", "patches", "norm", "block2")
    assert offered("transformer", DataForm(SEQUENCE, (5, 3), 2), positions="none", layers=1)[0] == "project"


def test_without_such_a_layer_a_method_is_withheld_in_a_sentence(trained: Trained) -> None:
    for method in METHODS:
        found = attribute(of_run(trained("mlp", "digits", steps=5), 0), choice(method))
        assert found.withheld.endswith(".") and found.attribution.size == 0


# ── what must not go wrong ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", METHODS)
def test_one_row_at_a_time_gives_the_same(method: str, trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    together, alone = of_run(run, 1, layer="relu1"), of_run(run, 1, layer="relu1")
    alone.rows = 1
    one, other = made(together, method).attribution, made(alone, method).attribution
    np.testing.assert_allclose(one, other, atol=5e-7 * np.abs(one).max())


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_layer_gives_a_sentence(method: str) -> None:
    form = DataForm(PICTURE, (1, 6, 6), 2)
    at = small(("conv", {"channels": 2}), ("relu", {}), ("flatten", {}), form=form, conv1_bias=-100.0)
    found = made(at, method, layer="relu1")
    assert np.isfinite(found.attribution).all()
    if method == "internal_influence":  # a gradient: what would be, were it not dead
        assert found.attribution.any()
    else:
        assert not found.attribution.any() and said(found, "the same everywhere")
    if method in COMPLETE:
        assert said(found, "there is nothing to explain") and found.holds is None


def said(found: Explained, words: str) -> bool:
    return any(words in sentence for sentence in found.words)


def test_a_layer_that_overwrites_what_it_gets_does_not_change_what_the_one_before_it_gave(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    plain, overwriting = of_run(run, 1, layer="norm1"), of_run(run, 1, layer="norm1")
    for module in overwriting.network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    for one, other in zip(At(plain).gradients(plain.inputs), At(overwriting).gradients(plain.inputs), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(At(plain).values(plain.inputs), At(overwriting).values(plain.inputs))


def test_nothing_stays_behind_in_the_network(trained: Trained) -> None:
    for method in METHODS:
        at = of_run(trained("cnn", "digits", steps=40), 1)
        made(at, method, layer="conv1")
        assert not any(module._forward_hooks for module in at.network.modules())


@pytest.mark.parametrize(("pixels", "cells"), [(28, 7), (28, 10), (28, 5), (8, 12), (5, 5), (3, 1)])
def test_a_cells_value_is_shared_by_the_pixels_that_it_covers(pixels: int, cells: int) -> None:
    share = covered(pixels, cells)
    assert torch.equal(share.sum(0), torch.full((cells,), float(pixels)))
    assert torch.equal(share.sum(1), torch.full((pixels,), float(cells)))
    fine = torch.eye(cells).repeat_interleave(pixels, 0)  # brute force: both cut into pixels × cells pieces
    assert torch.equal(share, fine.view(pixels, cells, cells).sum(1))
