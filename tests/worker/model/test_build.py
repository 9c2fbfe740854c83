"""Models: published counts, torchvision's own modules, shapes and fields that can be measured, faults in words."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from core.catalog.architectures.lenet import LeNet
from core.catalog.entries import PICTURE, TOKENS, DataForm, Fault, Form
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import Describe
from core.spec.specs import DataSpec, LayerSpec, ModelSpec, assign, model_from_json, preset
from core.worker.model.build import (
    ModelError,
    build,
    check,
    data_form,
    describe,
    fit,
    load_state,
    make,
    place,
    state_arrays,
    training_memory,
)
from core.worker.model.modules.residual import Residual

CIFAR = DataForm(PICTURE, (3, 32, 32), 10)
DIGITS = data_form(preset("cnn", "digits").data)


def ask(model: ModelSpec, **more):
    return describe(Describe(model, preset("cnn", "digits").data, **more))


def layers(*rows):
    """A ModelSpec from (kind, options) rows."""
    listed = [{"kind": k, "name": f"{k}{i}", "options": o} for i, (k, o) in enumerate(rows)]
    return model_from_json({"architecture": "cnn", "layers": listed})


@pytest.mark.slow_for("resnet110", "resnet44", "resnet32", "resnet56")
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet8", 75_290),
        ("resnet20", 269_722),
        ("plain20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
    ],
)
def test_residual_networks_have_the_published_number_of_parameters(name, published):
    assert ask(preset(name, "digits").model, input=(3, 32, 32)).params == published


def test_the_34_layer_network_for_imagenet_has_torchvisions_number_of_parameters():
    """He 2015, table 1, with 10 classes; 899 pixels is its published receptive field."""
    rows = [
        ("conv", {"channels": 64, "kernel": 7, "stride": 2, "padding": 3, "bias": False}),
        ("batch_norm", {}),
        ("relu", {}),
        ("max_pool", {"kernel": 3, "stride": 2, "padding": 1}),
    ]
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            rows.append(("residual", {"channels": 64 * 2**stage, "stride": stride, "shortcut": "projection"}))
    found = ask(layers(*rows, ("global_pool", {}), ("linear", {"features": 10})), input=(3, 224, 224))
    assert found.params == 21_289_802 and not found.problems
    assert found.layers[-3].receptive_field == 899


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
        theirs.load_state_dict(
            {
                f"{first}.{rest}": state[f"{names.get(first, first)}.{rest}"]
                for first, _dot, rest in (key.partition(".") for key in theirs.state_dict())
            }
        )
        x = torch.randn(2, 8, 9, 9)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-5)


def test_resnet20s_multiply_adds_are_those_counted_by_hand():
    stem, stages = 32 * 32 * 9 * 3 * 16, 0
    for width, side, before in ((16, 32, 16), (32, 16, 16), (64, 8, 32)):
        stages += side * side * 9 * (before * width + 5 * width * width)
    assert ask(preset("resnet20", "digits").model, input=(3, 32, 32)).macs == stem + stages + 64 * 10


def batch(data: DataForm, size: int) -> torch.Tensor:
    """Random samples without padding."""
    if data.kind == TOKENS:
        return torch.randint(1, data.vocabulary, (size, *data.shape))
    return torch.randn(size, *data.shape)


@pytest.mark.slow_for("resnet110", "resnet56", "resnet44", "resnet32", "resnet20", "plain20")
@pytest.mark.parametrize("entry", list(registry.ARCHITECTURES), ids=lambda e: e.name)
def test_what_is_described_is_what_is_built(entry):
    data, model = entry.example_data, ModelSpec(entry.name, entry.options())
    placed, network = check(model, data), build(model, data)
    assert sum(p.params for p in placed) == sum(p.numel() for p in network.parameters())
    assert tuple(p.spec.name for p in placed) == network.addresses
    shapes = {}
    for address in network.addresses:
        network.get_submodule(address).register_forward_hook(
            lambda _m, _i, out, address=address: shapes.__setitem__(address, tuple(out.shape[1:]))
        )
    network.eval()(batch(data, 2))
    assert {p.spec.name: p.gives.shape for p in placed} == shapes
    assert placed[0].takes.shape == data.shape and placed[-1].gives.shape == data.answer().shape


def test_a_description_has_a_row_for_each_layer_the_memory_and_the_code():
    found = ask(preset("cnn", "digits").model, batch_size=32)
    assert [r.name for r in found.layers][:3] == ["conv1", "norm1", "relu1"]
    assert found.layers[0].activations == 4 * 16 * 28 * 28
    assert found.memory > ask(preset("cnn", "digits").model, batch_size=16).memory > 16 * found.params
    assert "class Network" in found.code
    assert ask(layers(("flatten", {}))).code == ""


@pytest.mark.slow
def test_output_sizes_follow_the_formula_on_a_grid_of_thousands():
    """⌊(N + 2p − d(k − 1) − 1) / s⌋ + 1; where it gives nothing the layer is refused."""
    tried = 0
    for kind, dilations in (("conv", (1, 2, 3)), ("max_pool", (1,)), ("avg_pool", (1,))):
        options = registry.LAYERS.get(kind).options
        for kernel, stride, padding, d in itertools.product(range(1, 7), (1, 2, 3), range(4), dilations):
            if kind != "conv" and padding > kernel // 2:
                continue
            more = {"dilation": d, "channels": 1} if kind == "conv" else {}
            spec = LayerSpec(kind, options(kernel=kernel, stride=stride, padding=padding, **more), "one")
            for side in (3, 5, 8, 11, 17, 28, 31):
                expected = (side + 2 * padding - d * (kernel - 1) - 1) // stride + 1
                found = fit(spec, Form(PICTURE, (1, side, side)), DIGITS)
                if expected < 1:
                    assert isinstance(found, Fault) and (found.options or found.remove)
                else:
                    assert found.gives.shape == (1, expected, expected)
                tried += 1
    assert tried > 2000


@pytest.mark.parametrize(
    "rows",
    [
        [("conv", {"channels": 2, "kernel": 5, "padding": 2}), ("max_pool", {"kernel": 2}), ("conv", {"channels": 2})],
        [("residual", {"channels": 4, "stride": 2}), ("conv", {"channels": 2})],
        [("conv", {"channels": 2, "stride": 3}), ("avg_pool", {"kernel": 2}), ("residual", {"channels": 2})],
        [("conv", {"channels": 2, "dilation": d, "padding": d}) for d in (1, 2, 4, 8)],
        [
            ("conv", {"channels": 4, "dilation": 3, "padding": 3, "stride": 2}),
            ("avg_pool", {"kernel": 3, "stride": 2}),
            ("depthwise_separable", {"channels": 4, "kernel": 5}),
        ],
        [
            ("inverted_bottleneck", {"channels": 3, "squeeze": False, "stride": 2, "activation": "relu6"}),
            ("conv", {"channels": 3, "groups": 3}),
        ],
    ],
)
def test_a_receptive_field_is_the_support_of_the_input_gradient(rows):
    found = ask(layers(*rows), input=(1, 63, 63))
    x = torch.full((1, 1, 63, 63), 1e-3, requires_grad=True)  # so small that no ReLU6 is full
    placed = check_without_head(layers(*rows), (1, 63, 63))
    out = x
    for module in placed:
        for p in module.parameters():
            p.data = p.data.abs() * 0.1 + 0.01  # nothing cancels
        out = nn.functional.avg_pool2d(out, 2) if isinstance(module, nn.MaxPool2d) else module.eval()(out)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].sum().backward()
    rows_seen = (x.grad[0, 0].abs().sum(1) > 0).nonzero()
    support = int(rows_seen.max() - rows_seen.min()) + 1
    assert found.layers[-1].receptive_field == support


def check_without_head(model: ModelSpec, shape):
    """The modules of a model that ends before its head."""
    form, made = Form(PICTURE, shape), []
    for spec in model.layers:
        placed = place(spec, form, CIFAR)
        made.append(make(spec, form))
        form = placed.gives
    return made


def test_a_depthwise_separable_block_costs_k_squared_plus_the_maps_for_each_place():
    found = ask(layers(("depthwise_separable", {"channels": 32})), input=(16, 20, 20))
    assert found.macs == 20 * 20 * (9 * 16 + 16 * 32)


MEMORY = {
    "cnn": [
        ("conv", {"channels": 8}),
        ("batch_norm", {}),
        ("relu", {}),
        ("max_pool", {}),
        ("residual", {}),
        ("gelu", {}),
        ("inverted_bottleneck", {}),
        ("flatten", {}),
        ("dropout", {}),
    ],
    "rnn": [("rows", {}), ("rnn", {}), ("read_out", {})],
    "lstm": [("rows", {}), ("lstm", {"layers": 2, "hidden": 32}), ("read_out", {})],
    "gru": [("rows", {}), ("gru", {"bidirectional": True}), ("read_out", {})],
    "transformer": [
        ("rows", {}),
        ("linear", {"features": 32}),
        ("positions", {}),
        ("transformer_block", {"dropout": 0.1}),
        ("transformer_block", {"causal": True}),
        ("layer_norm", {}),
        ("read_out", {}),
    ],
}


@pytest.mark.parametrize("rows", list(MEMORY.values()), ids=list(MEMORY))
@pytest.mark.parametrize("size", [2, 100])
def test_the_memory_told_is_what_torch_keeps(rows, size):
    model = layers(*rows, ("linear", {"features": 10}))
    network = build(model, DIGITS).train()
    kept: dict[int, torch.Tensor] = {}
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(batch(DIGITS, size))
    assert logits.requires_grad
    saved = sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)
    fixed = 16 * sum(p.numel() for p in network.parameters())
    told = training_memory(check(model, DIGITS), size)
    assert 0.9 <= (told - fixed) / saved <= 1.5
    assert ask(model, batch_size=size).memory == told


# ── what cannot work ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "guilty", "got"),
    [
        ([("conv", {"kernel": 31, "padding": 0})], "conv0", "28×28"),
        ([("linear", {"features": 10})], "linear0", "1×28×28"),
        ([("conv", {}), ("flatten", {}), ("conv", {})], "conv2", "a vector"),
        ([("max_pool", {"kernel": 29})], "max_pool0", "28×28"),
        ([("patches", {"size": 5})], "patches0", "28×28"),
        ([("rows", {}), ("transformer_block", {"heads": 5})], "transformer_block1", "5 heads"),
        ([("flatten", {}), ("linear", {"features": 7})], "linear1", "not one logit for each of 10 classes"),
        ([("residual", {"channels": 4}), ("residual", {"channels": 2})], "residual1", "from 4 maps"),
        ([("embedding", {})], "embedding0", "a row of tokens"),
    ],
)
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


@pytest.mark.parametrize(
    "rows",
    [
        [
            ("flatten", {}),
            ("linear", {"features": 65_536}),
            ("linear", {"features": 65_536}),
            ("linear", {"features": 10}),
        ],
        [("conv", {"channels": 8192, "kernel": 255, "padding": 255})] * 3,
        [("conv", {"channels": 8192, "padding": 200})] * 40,
    ],
)
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


@pytest.mark.parametrize(
    "row",
    [
        ("batch_norm", {}),
        ("residual", {"channels": 8}),
        ("depthwise_separable", {}),
        ("inverted_bottleneck", {}),
    ],
    ids=lambda row: row[0],
)
def test_a_batch_norm_with_one_number_to_train_on_is_found_before_the_run(row):
    """torch raises at the first step: “Expected more than 1 value per channel when training”."""
    end = [("flatten", {}), ("linear", {"features": 10})]
    model = layers(("conv", {"channels": 8}), ("max_pool", {"kernel": 28}), row, *end)
    with pytest.raises(ValueError, match="more than 1 value"):
        build(model, DIGITS)(batch(DIGITS, 1))
    problem = ask(model, batch_size=1).problems[0]
    assert problem.layer == f"{row[0]}2" and "batch size of 2" in problem.fix
    build(model, DIGITS)(batch(DIGITS, 2))
    assert not ask(model, batch_size=2).problems
    if problem.mended:
        assert not ask(replace(model, layers=problem.mended), batch_size=1).problems
    wider = layers(("conv", {"channels": 8}), ("max_pool", {"kernel": 14}), row, *end)
    assert not ask(wider, batch_size=1).problems
