"""Models: published counts, torchvision's own modules, shapes and fields that can be measured, faults in words."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from core import registry
from core.build import ModelError, build, check, data_form, describe, load_state, state_arrays
from core.catalog.architectures.lenet import LeNet
from core.catalog.entries import PICTURE, DataForm
from core.modules.residual import Residual
from core.options import SpecError
from core.questions import Describe
from core.specs import DataSpec, ModelSpec, assign, model_from_json, preset

CIFAR = DataForm(PICTURE, (3, 32, 32), 10)
DIGITS = data_form(preset("cnn", "digits").data)


def ask(model: ModelSpec, **more):
    return describe(Describe(model, preset("cnn", "digits").data, **more))


def layers(*rows):
    """A ModelSpec from (kind, options) rows."""
    listed = [{"kind": k, "name": f"{k}{i}", "options": o} for i, (k, o) in enumerate(rows)]
    return model_from_json({"architecture": "cnn", "layers": listed})


@pytest.mark.parametrize(("name", "published"), [("resnet20", 269_722), ("resnet8", 75_290)])
def test_residual_networks_have_the_published_number_of_parameters(name, published):
    assert ask(preset(name, "digits").model, input=(3, 32, 32)).params == published


def test_lenet_has_the_61706_parameters_of_the_paper():
    assert ask(preset("lenet", "digits").model).params == 61_706
    assert ask(ModelSpec("lenet", LeNet()), input=(1, 32, 32)).params == 61_706


def test_a_residual_block_with_projection_equals_torchvisions():
    torch.manual_seed(0)
    for channels, stride in ((8, 1), (16, 2)):
        ours = Residual(8, channels, stride, "projection")
        down = None
        if stride != 1:
            down = nn.Sequential(nn.Conv2d(8, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        theirs = torchvision.models.resnet.BasicBlock(8, channels, stride, down)
        names = {"bn1": "norm1", "bn2": "norm2", "downsample": "shortcut"}
        state = ours.state_dict()
        theirs.load_state_dict({
            f"{first}.{rest}": state[f"{names.get(first, first)}.{rest}"]
            for first, _dot, rest in (key.partition(".") for key in theirs.state_dict())
        })  # fmt: skip
        x = torch.randn(2, 8, 9, 9)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-5)


def test_resnet20s_multiply_adds_are_those_counted_by_hand():
    stem, stages = 32 * 32 * 9 * 3 * 16, 0
    for width, side, before in ((16, 32, 16), (32, 16, 16), (64, 8, 32)):
        stages += side * side * 9 * (before * width + 5 * width * width)
    assert ask(preset("resnet20", "digits").model, input=(3, 32, 32)).macs == stem + stages + 64 * 10


@pytest.mark.parametrize("name", registry.ARCHITECTURES.names())
def test_what_is_described_is_what_is_built(name):
    data = preset(name, "digits").data
    model = preset(name, "digits").model
    found = describe(Describe(model, data))
    network = build(model, data_form(data))
    assert found.params == sum(p.numel() for p in network.parameters())
    assert tuple(r.name for r in found.layers) == network.addresses
    shapes = {}
    for address in network.addresses:
        network.get_submodule(address).register_forward_hook(
            lambda _m, _i, out, address=address: shapes.__setitem__(address, tuple(out.shape[1:]))
        )
    network.eval()(torch.randn(2, 1, 28, 28))
    assert {r.name: r.out_shape for r in found.layers} == shapes
    assert found.layers[0].in_shape == (1, 28, 28) and found.layers[-1].out_shape == (10,)


def test_output_sizes_follow_the_formula_on_a_grid():
    tried = 0
    for size in (5, 8, 11):
        for kernel in range(1, 6):
            for stride in (1, 2, 3):
                for padding in range(3):
                    expected = (size + 2 * padding - kernel) // stride + 1
                    rows = [("conv", {"channels": 2, "kernel": kernel, "stride": stride, "padding": padding})]
                    found = ask(layers(*rows), input=(1, size, size))
                    if size + 2 * padding < kernel:
                        assert found.problems[0].layer == "conv0"
                    else:
                        assert found.layers[0].out_shape == (2, expected, expected)
                    tried += 1
    assert tried == 135


@pytest.mark.parametrize("rows", [
    [("conv", {"channels": 2, "kernel": 5, "padding": 2}), ("max_pool", {"kernel": 2}), ("conv", {"channels": 2})],
    [("residual", {"channels": 4, "stride": 2}), ("conv", {"channels": 2})],
    [("conv", {"channels": 2, "stride": 3}), ("avg_pool", {"kernel": 2}), ("residual", {"channels": 2})],
])  # fmt: skip
def test_a_receptive_field_is_the_support_of_the_input_gradient(rows):
    found = ask(layers(*rows), input=(1, 63, 63))
    x = torch.rand(1, 1, 63, 63, requires_grad=True)
    placed = check_without_head(layers(*rows), (1, 63, 63))
    out = x
    for module in placed:
        for p in module.parameters():
            p.data = p.data.abs() + 0.01  # nothing cancels
        out = nn.functional.avg_pool2d(out, 2) if isinstance(module, nn.MaxPool2d) else module.eval()(out)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].sum().backward()
    rows_seen = (x.grad[0, 0].abs().sum(1) > 0).nonzero()
    support = int(rows_seen.max() - rows_seen.min()) + 1
    last = found.layers[-1].receptive_field
    assert last == support


def check_without_head(model: ModelSpec, shape):
    """The modules of a model that ends before its head."""
    from core.build import make, place
    from core.catalog.entries import Form

    form, made = Form(PICTURE, shape), []
    for spec in model.layers:
        placed = place(spec, form, CIFAR)
        made.append(make(spec, form))
        form = placed.gives
    return made


# ── what cannot work ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("rows", "guilty", "got"), [
    ([("conv", {"kernel": 31, "padding": 0})], "conv0", "28×28"),
    ([("linear", {"features": 10})], "linear0", "1×28×28"),
    ([("conv", {}), ("flatten", {}), ("conv", {})], "conv2", "a vector"),
    ([("max_pool", {"kernel": 29})], "max_pool0", "28×28"),
    ([("patches", {"size": 5})], "patches0", "28×28"),
    ([("rows", {}), ("transformer_block", {"heads": 5})], "transformer_block1", "5 heads"),
    ([("flatten", {}), ("linear", {"features": 7})], "linear1", "not one logit for each of 10 classes"),
    ([("residual", {"channels": 4}), ("residual", {"channels": 2})], "residual1", "from 4 maps"),
    ([("embedding", {})], "embedding0", "a row of tokens"),
])  # fmt: skip
def test_a_model_that_cannot_work_names_the_layer_what_it_got_and_one_mend(rows, guilty, got):
    found = ask(layers(*rows))
    assert len(found.problems) == 1
    problem = found.problems[0]
    assert problem.layer == guilty and got in problem.message and problem.fix
    with pytest.raises(ModelError, match="To mend it"):
        build(layers(*rows), DIGITS)


def test_a_preset_that_does_not_fit_the_data_says_which_ones_do():
    data = DataSpec("order", registry.DATASETS.get("order").options())
    problem = describe(Describe(preset("cnn", "digits").model, data)).problems[0]
    assert "transformer" in problem.fix and "tokens" in problem.message


@pytest.mark.parametrize("rows", [
    [("flatten", {}), ("linear", {"features": 65_536}), ("linear", {"features": 65_536}), ("linear", {"features": 10})],
    [("conv", {"channels": 8192, "kernel": 255, "padding": 255})] * 3,
    [("conv", {"channels": 8192, "padding": 200})] * 40,
])  # fmt: skip
def test_a_hostile_size_is_refused_within_half_a_second_and_without_memory(rows):
    ask(preset("mlp", "digits").model)  # the imports are not part of the measure
    started = time.process_time()
    found = ask(layers(*rows), batch_size=65_536)
    assert found.problems
    assert time.process_time() - started < 0.5


def test_a_million_layers_are_refused_before_they_are_read():
    with pytest.raises(SpecError, match="at most"):
        model_from_json({"layers": [{"kind": "relu", "name": f"r{i}"} for i in range(1_000_000)]})


def test_the_same_seed_gives_the_same_weights_and_state_survives_a_round_trip():
    model = preset("resnet8", "digits").model
    one, same, other = (build(model, DIGITS, seed=s) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.conv1.weight, other.conv1.weight)
    load_state(other, state_arrays(one))
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(one.eval()(x), other.eval()(x))


def test_shuffling_the_rows_changes_nothing_without_positions_and_something_with_them():
    for positions, changes in (("none", False), ("learned", True), ("sinusoidal", True)):
        made = assign(preset("transformer", "digits"), {"model.positions": positions})
        network = build(made.model, DIGITS).eval()
        x = torch.randn(2, 1, 28, 28)
        shuffled = network(x[:, :, torch.randperm(28)])
        assert torch.allclose(network(x), shuffled, atol=1e-4) is not changes


def test_check_is_quick_enough_for_a_form():
    model = preset("resnet20", "digits").model
    check(model, DIGITS)
    started = time.process_time()
    check(replace(model, options=replace(model.options, width=24)), DIGITS)
    assert time.process_time() - started < 0.5
