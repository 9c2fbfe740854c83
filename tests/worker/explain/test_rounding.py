"""What is shown of a token means the same in all axes of its embedding, and a map of rounding says that it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.attribution._layers import with_units
from core.catalog.entries import CONTROL, LAYER, NEURON, SEQUENCE, WITHHELD, Form, Method
from core.spec import registry
from core.spec.questions import Explain, Explained
from core.spec.specs import Choice
from core.worker.explain import Case, attribute
from core.worker.explain.attribute import fit_of
from core.worker.explain.explained_case import GRADIENT, Result
from core.worker.explain.methods import noise
from core.worker.look.subject import subject_of
from tests.entries import put
from tests.trained import Trained
from tests.worker.explain import networks
from tests.worker.explain.conftest import case, linear, made, of_run
from tests.worker.explain.test_every_method import METHODS, NETWORKS

ANSWERING = [method for method in METHODS if method.family != CONTROL]  # those that explain by the network
PRE_NORM = ("transformer", "order")


def exact(options: Any) -> Any:
    """The options without noise, whose draws belong to the axes in which they are drawn, and with the least of an ε,

    which LRP adds to every sum: what cancels without it is about ε with it, and no rounding.
    """
    changed = {"noise": 0.0, "epsilon": 1e-9}
    return replace(options, **{name: value for name, value in changed.items() if hasattr(options, name)})


# ── one value a token ────────────────────────────────────────────────────────────────────────────────────────────────


def turned(at: Case, seed: int = 0) -> Case:
    """The same case, with the axes of the embedding turned: the layer that reads the vectors turns them back."""
    network, vectors = at.network, at.embedding.weight
    assert isinstance(vectors, Tensor)
    drawn = torch.randn(vectors.shape[1], vectors.shape[1], generator=torch.Generator().manual_seed(seed))
    turn = torch.linalg.qr(drawn)[0]
    with torch.no_grad():
        vectors.copy_(vectors @ turn)
    reader = network.get_submodule(at.specs[1].name)
    reader.register_forward_pre_hook(lambda _module, given: (given[0] @ turn.T, *given[1:]))
    return Case(network, at.x, at.form, y=at.y, splits=at.splits, specs=at.specs, sample=at.sample, seed=at.seed)


@pytest.mark.each_value
@pytest.mark.parametrize("network", [PRE_NORM, ("gru", "order")], ids="-".join)
@pytest.mark.parametrize("method", ANSWERING, ids=lambda method: method.name)
def test_what_is_shown_of_a_token_does_not_depend_on_the_axes_of_its_embedding(
    method: Method, network: tuple[str, str], trained: Trained
) -> None:
    """The sum of a gradient's parts does: it is another number in every basis."""
    one = of_run(trained(*network, steps=40), 1, seed=3)
    other = turned(of_run(trained(*network, steps=40), 1, seed=3))
    assert torch.allclose(one.answers, other.answers, atol=1e-5)
    if fit_of(method, one).status == WITHHELD or fit_of(method, other).status == WITHHELD:
        return
    asked = Choice(method.name, exact(method.options()))
    first, second = attribute(one, asked), attribute(other, asked)
    assert not first.withheld and not second.withheld
    scale = float(np.abs(first.attribution).max())
    np.testing.assert_allclose(second.attribution, first.attribution, atol=max(2e-3 * scale, 1e-8))


def test_the_sum_of_a_pre_norm_transformers_gradient_is_zero_and_no_map_is_made_of_it(trained: Trained) -> None:
    """A constant added to all features of a token changes nothing: the layer norm takes it away again."""
    run = trained(*PRE_NORM, steps=40)
    at = of_run(run, 1)
    embedded = at.logits(at.inputs + torch.arange(at.inputs.shape[1]).view(1, -1, 1))
    assert torch.allclose(embedded, at.answers, atol=1e-4), "the known zero"
    _value, gradient = at.gradients(at.inputs)
    assert float(gradient.sum(-1).abs().max()) < 1e-6 * float(gradient.abs().sum(-1).max())
    for method, layer in (("smooth_grad", ""), ("internal_influence", "embedding"), ("neuron_gradient", "")):
        found = made(of_run(run, 1, layer=layer), method)
        assert not found.rounding and not found.signed and found.attribution.min() >= 0
        assert float(found.attribution.max()) > 1e-3 * float(gradient.norm(dim=-1).max()), method
    smooth = made(of_run(run, 1), "smooth_grad", noise=0.0).attribution
    np.testing.assert_allclose(smooth, gradient.norm(dim=-1)[0], rtol=1e-4)


def test_the_map_that_used_to_be_shown_there_would_be_told_as_rounding(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check finds it by itself, whatever a method makes of the gradient."""
    entry = replace(registry.METHODS.get("smooth_grad"), attribute=f"{__name__}:summed")
    put(monkeypatch, registry.METHODS, entry)
    found = made(of_run(trained(*PRE_NORM, steps=40), 1), "smooth_grad")
    assert found.rounding and found.rounding in found.words


def summed(at: Case, options: Any) -> Result:
    """SmoothGrad with a token's signed gradient summed."""
    return Result(noise.smooth_grad(at, options).attribution.sum(-1), of=GRADIENT)


# ── rounding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hollow(nn.Module):
    """Answers that do not depend on the network's, but by rounding: the sum of what is left without the mean."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.inside, self.weigh = network, nn.Linear(3, 3)
        with torch.no_grad():
            self.weigh.weight.copy_(torch.tensor([0.7, -1.3, 0.9])[:, None].expand(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.inside(x)
        return self.weigh(y - y.mean(-1, keepdim=True))


FAMILIES: dict[str, tuple[Callable[[], nn.Module], Tensor, Form | None]] = {
    "vector": (linear, torch.randn(1, 6, generator=torch.Generator().manual_seed(2)), None),
    "convolutions": (networks.clean, networks.picture(), Form("picture", (1, 12, 12))),
    "functions": (networks.Functional, networks.picture(), Form("picture", (1, 12, 12))),
    "shortcut": (networks.Sum, networks.picture(), Form("picture", (1, 12, 12))),
    "gate": (networks.Gate, networks.picture(), Form("picture", (1, 12, 12))),
    "lstm": (lambda: networks.Sequence("LSTM"), networks.sequence(), Form(SEQUENCE, (5, 8))),
    "encoder": (lambda: networks.Sequence("Encoder"), networks.sequence(), Form(SEQUENCE, (5, 8))),
    "attention": (networks.HandAttention, networks.sequence(), Form(SEQUENCE, (5, 8))),
    "norm": (networks.Normed, networks.vector(), None),
}


def told(found: Explained) -> bool:
    """Is there no map, or nothing in it, or is it said to be rounding?"""
    return bool(found.withheld or found.rounding) or not found.attribution.any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ANSWERING, ids=lambda method: method.name)
def test_a_network_whose_answer_depends_on_nothing_gets_no_map_from_any_method(method: Method, family: str) -> None:
    network, x, form = FAMILIES[family]
    options = method.examples[0] if method.name != "lrp" else exact(method.examples[0])
    found = attribute(case(Hollow(network().eval()).eval(), x, form=form), Choice(method.name, options))
    assert told(found), (float(np.abs(found.attribution).max()), found.words)


@pytest.mark.each_value
@pytest.mark.parametrize("method", [m for m in ANSWERING if m.name != "layer_activation"], ids=lambda m: m.name)
@pytest.mark.parametrize(("preset", "data"), [("vit", "digits"), PRE_NORM])
def test_nor_at_any_layer_where_all_features_count_alike_after_a_layer_norm(
    method: Method, preset: str, data: str, trained: Trained
) -> None:
    """The features of a layer norm sum to 0: with equal weights there is nothing left, at no layer and of no unit."""
    run = trained(preset, data, steps=5)
    subject = subject_of(Explain(run=run.id, methods=(), sample=0, runs=str(run.path.parent)))
    network = subject.copied()
    answer = network.get_parameter("head.weight")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.fill_(1.0)
                module.bias.zero_()
        answer.copy_(torch.linspace(-1, 1, len(answer))[:, None].expand_as(answer))
    offered = method.layers(subject.layers, subject.form)
    if method.family == NEURON:
        assert offered == with_units(subject.layers, subject.form)
        offered = ("head",)
    for layer in offered if method.family in (LAYER, NEURON) else ("",):
        at = Case(
            network,
            subject.x,
            subject.form,
            y=subject.y,
            splits=subject.splits,
            specs=subject.layers,
            sample=0,
            layer=layer,
        )
        found = attribute(at, Choice(method.name, method.examples[0]))
        assert told(found), (layer, float(np.abs(found.attribution).max()), found.words)


@pytest.mark.each_value
@pytest.mark.parametrize("at", range(len(NETWORKS)), ids=["-".join(network) for network in NETWORKS])
@pytest.mark.parametrize("method", ANSWERING, ids=lambda method: method.name)
def test_a_trained_networks_map_is_none_of_rounding(method: Method, at: int, trained: Trained) -> None:
    found = attribute(of_run(trained(*NETWORKS[at], steps=40), 1, seed=3), Choice(method.name, method.examples[0]))
    assert found.withheld or not found.rounding, found.rounding


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion", "shapley_sampling", "smooth_grad"])
def test_small_values_that_are_right_are_not_called_rounding(method: str) -> None:
    """The answers are 1 and what the input adds is a ten thousandth: float32 tells that well enough."""
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    with torch.no_grad():
        network[2].weight.mul_(1e-4)
        network[2].bias.fill_(1.0)
    found = made(case(network, torch.ones(1, 6)), method)
    assert not found.rounding and found.attribution.any()


def test_a_variance_of_gradients_that_are_all_the_same_is_rounding() -> None:
    network = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    assert told(made(case(network, torch.randn(1, 6)), "var_grad"))


def test_the_same_question_again_is_put_to_the_same_inputs_and_a_fresh_network(trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 1)
    at.inputs = at.inputs + 0.25
    at.fold()
    other = at.again(lambda network: None)
    assert torch.equal(other.inputs, at.inputs) and other.target == at.target
    assert torch.allclose(other.logits(other.inputs), at.logits(at.inputs), atol=1e-4)
    norms = [sum(isinstance(part, nn.BatchNorm2d) for part in one.network.modules()) for one in (at, other)]
    assert norms[0] == 0 < norms[1]
