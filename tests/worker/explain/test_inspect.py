"""What inspect finds in a network, in modules and in functions alike."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F
from captum.attr._core.lrp import SUPPORTED_LAYERS_WITH_RULES, SUPPORTED_NON_LINEAR_LAYERS
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn

from core.catalog.entries import Findings
from core.spec import registry
from core.spec.specs import LayerSpec, preset
from core.worker.explain.inspect import WITH_RULE, inspect
from core.worker.model.build import build, data_form, make
from core.worker.model.modules.shapes import Flatten
from tests.worker.explain import networks
from tests.worker.explain.networks import picture, sequence, vector


def of_preset(name: str, data: str) -> Findings:
    experiment = preset(name, data)
    form = data_form(experiment.data)
    network = build(experiment.model, form).eval()
    tokens = torch.randint(1, max(2, form.vocabulary), (1, *form.shape))
    return inspect(network, tokens if form.kind == "tokens" else torch.randn(1, *form.shape))


def test_the_cnn_preset() -> None:
    found = of_preset("cnn", "digits")
    assert found.convolutions == ("conv1", "conv2") and found.normalisations == ("norm1", "norm2")
    assert found.activations == found.relus == ("relu1", "relu2")
    assert found.max_pools == found.relu_before_max_pool == found.chained == ("pool1", "pool2")
    assert found.foldable == (("conv1", "norm1"), ("conv2", "norm2"))
    assert found.without_rule == ("flatten (Flatten)",) and found.biased == ("norm1", "norm2", "head")
    assert {"Conv2d", "BatchNorm2d", "ReLU"} <= found.kinds and found.bends == ("relu", "max_pool2d")
    nowhere = (
        "reused",
        "functional",
        "inplace",
        "layer_norms",
        "softmaxes",
        "recurrent",
        "embeddings",
        "products",
        "overlapping",
        "additions",
        "strange",
    )
    assert not any(getattr(found, field) for field in nowhere)


def test_the_other_presets() -> None:
    resnet = of_preset("resnet8", "digits")
    assert resnet.additions == ("stage1_block1", "stage2_block1", "stage3_block1") and not resnet.chained
    transformer = of_preset("transformer", "order")
    assert transformer.softmaxes == ("block1.attention", "block2.attention")
    assert transformer.embeddings == ("embedding",) and "block1.norm1" in transformer.layer_norms
    assert "positions" in transformer.biased and transformer.bends == ("gelu",) and not transformer.products
    assert of_preset("lstm", "digits").recurrent == ("lstm.core",)
    assert of_preset("rnn", "order").embeddings == ("embedding",)


def test_no_layer_of_the_catalog_calls_what_nobody_knows_but_the_maximum_over_steps() -> None:
    for entry in registry.LAYERS:
        for options, form in entry.examples:
            if form.kind == "tokens":
                continue
            module = make(LayerSpec(entry.name, options, entry.name), form).eval()
            found = inspect(module, torch.randn(2, *form.shape))
            known = ("the network: amax",) if getattr(options, "take", "") == "max" else ()
            assert found.strange == known, entry.name


@pytest.mark.parametrize("inplace", [False, True])
def test_functions_are_seen_with_the_module_that_calls_them(inplace: bool) -> None:
    found = inspect(networks.Functional(lambda x: F.relu(x, inplace=inplace)), picture())
    assert found.functional == ("the network: relu", "the network: max_pool2d")
    assert found.relu_before_max_pool == ("the network: max_pool2d",)
    assert not found.activations and not found.relus and found.bends == ("relu", "max_pool2d")
    assert found.inplace == (("the network: relu",) if inplace else ())


@pytest.mark.parametrize("relu", [torch.relu, Tensor.relu, torch.relu_, Tensor.relu_, nn.ReLU(), nn.ReLU(inplace=True)])
def test_every_way_to_call_a_relu_is_the_same_relu(relu: object) -> None:
    found = inspect(networks.Functional(relu), picture())
    assert found.bends == ("relu", "max_pool2d") and found.relu_before_max_pool
    assert bool(found.relus) == isinstance(relu, nn.Module)
    assert bool(found.inplace) == ("_" in getattr(relu, "__name__", "") or getattr(relu, "inplace", False))


def test_a_relu_next_to_a_max_pool_is_found_by_the_tensor_not_by_the_order() -> None:
    assert inspect(networks.clean(apart=False), picture()).relu_before_max_pool == ("2", "5")
    assert inspect(networks.clean(apart=True), picture()).relu_before_max_pool == ()
    dropped = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Dropout(), nn.MaxPool2d(2)).eval()
    assert inspect(dropped, picture()).relu_before_max_pool == ("3",)  # a dropout that rests gives the same tensor
    tanh = networks.clean(nn.Tanh, apart=False)
    assert inspect(tanh, picture()).relu_before_max_pool == () and inspect(tanh, picture()).chained == ("2", "5")


def test_shared_modules_gates_norms_softmax_shortcuts_and_windows() -> None:
    assert inspect(networks.Shared(), picture()).reused == ("relu", "pool")
    gate = inspect(networks.Gate(), picture())
    assert gate.products == ("the network",) and gate.relus == ("relu",)
    hand = inspect(networks.HandAttention(), sequence())
    assert hand.softmaxes == ("softmax",) and hand.products == ("the network",)
    assert inspect(networks.Normed(), vector()).layer_norms == ("norm",)
    encoder = inspect(networks.Sequence("Encoder").eval(), sequence())
    assert encoder.softmaxes == ("core.self_attn",) and encoder.functional == ("core: relu",)
    assert inspect(networks.Sequence("GRU"), sequence()).recurrent == ("core",)
    assert inspect(networks.Sum(), picture()).additions == ("the network",)
    assert inspect(networks.Sum(), picture()).biased == ()
    assert inspect(networks.overlapping(), picture()).overlapping == ("3",)
    assert inspect(networks.Sorted(), vector()).strange == ("the network: sort",)
    assert inspect(networks.ByHand(), vector()).products == ("the network",)


def test_a_batch_norm_that_measures_the_batch_while_evaluating_is_a_layer_norm() -> None:
    own = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    found = inspect(own, picture())
    assert found.layer_norms == ("1",) and not found.normalisations and not found.foldable


def test_a_batch_norm_is_folded_only_into_what_nobody_else_reads() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.norm(y) + y

    assert inspect(Twice().eval(), picture()).foldable == ()


def test_captum_has_rules_for_what_we_think() -> None:
    theirs = {*SUPPORTED_LAYERS_WITH_RULES, *SUPPORTED_NON_LINEAR_LAYERS} - {Addition_Module}
    assert set(WITH_RULE) == theirs
    assert inspect(nn.Sequential(nn.GELU(), Flatten()), picture()).without_rule == ("0 (GELU)", "1 (Flatten)")


def test_a_look_leaves_the_network_as_it_was_and_takes_little_time() -> None:
    network = networks.clean(apart=False)
    before = network(picture()).detach()
    seconds = []
    for _again in range(9):
        started = time.process_time()
        inspect(network, picture())
        seconds.append(time.process_time() - started)
    assert torch.equal(network(picture()), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert sorted(seconds)[4] < 0.01
