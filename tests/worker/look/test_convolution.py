"""One cell of a convolution against torch's own F.conv2d and numpy loops; its receptive field against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.catalog.entries import PICTURE, SEQUENCE, DataForm
from core.catalog.views.convolution import Convolution, with_convolution
from core.spec import registry
from core.spec.facts import AboutSample
from core.spec.options import Options
from core.spec.questions import Look, Seen
from core.spec.specs import LayerSpec
from core.worker.look.convolution import look
from core.worker.look.subject import CannotShow, Subject
from core.worker.model.build import Network
from core.worker.model.modules.blocks import DepthwiseSeparable, InvertedBottleneck
from core.worker.model.modules.residual import Residual
from core.worker.model.modules.shapes import Flatten, Patches
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SHAPE = (4, 9, 11)


def quiet(_fraction: float, _words: str, _part: object = None) -> None:
    """A report that nobody hears."""


def subject_of_modules(modules: dict[str, nn.Module], layer: str, shape: tuple[int, ...] = SHAPE) -> Subject:
    """A network of these layers with random weights and statistics, and a random sample."""
    drawn = torch.Generator().manual_seed(7)
    network = Network([(name, module, False) for name, module in modules.items()]).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=drawn)
            module.running_var.uniform_(0.5, 2.0, generator=drawn)
            module.weight.uniform_(0.5, 2.0, generator=drawn)
            module.bias.normal_(generator=drawn)
    specs = tuple(LayerSpec("relu", Options(), name) for name in modules)
    x = torch.randn((1, *shape), generator=drawn)
    nothing: Any = None
    form = DataForm(PICTURE, shape)
    made = Subject(
        Look("r", "convolution"), nothing, nothing, specs, form, network, nothing, 0, 0, layer, x, None, np.zeros(1)
    )
    # these networks end with maps, and so have no answer
    made.answer = lambda: AboutSample(shown=made.shown, kind=PICTURE, target="", predicted="")  # type: ignore[method-assign]
    return made


def seen_of(at: Subject, **options: Any) -> Seen:
    return look(at, Convolution(**options), quiet)


CASES: dict[str, tuple[dict[str, nn.Module], str, str]] = {}


def case(name: str, layer: str = "conv1", inner: str = "", **modules: nn.Module) -> None:
    CASES[name] = modules, layer, inner


torch.manual_seed(3)
case("plain", conv1=nn.Conv2d(4, 6, 3, padding=1), relu1=nn.ReLU())
case("second", "conv2", conv1=nn.Conv2d(4, 20, 3, padding=1), relu1=nn.ReLU(), conv2=nn.Conv2d(20, 5, 3, padding=1))
case("stride 2", conv1=nn.Conv2d(4, 6, 3, 2, 1), norm1=nn.BatchNorm2d(6), relu1=nn.ReLU())
case("dilation 2", conv1=nn.Conv2d(4, 6, 3, padding=2, dilation=2))
case("stride, dilation and padding", conv1=nn.Conv2d(4, 3, 3, 2, 3, dilation=3))
case("groups", conv1=nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False))
case("depthwise", conv1=nn.Conv2d(4, 8, 3, padding=1, groups=4))
case("1×1", conv1=nn.Conv2d(4, 6, 1))
case("even kernel", conv1=nn.Conv2d(4, 6, 4, padding=2))
case("even kernel, same", conv1=nn.Conv2d(4, 6, (2, 4), padding="same"))
case("even kernel, same, dilated", conv1=nn.Conv2d(4, 6, 2, padding="same", dilation=3))
case("valid", conv1=nn.Conv2d(4, 6, (3, 5), padding="valid"))
case("reflect", conv1=nn.Conv2d(4, 6, 3, padding=2, padding_mode="reflect"))
case("circular", conv1=nn.Conv2d(4, 6, 4, padding="same", padding_mode="circular"))
case("replicate", conv1=nn.Conv2d(4, 6, 5, padding=2, padding_mode="replicate"))
case("padding beyond the kernel", conv1=nn.Conv2d(4, 6, 2, padding=4))
case("patches", "patch", "project", crop=nn.Conv2d(4, 4, (2, 4)), patch=Patches(4, 4, 7))
case("residual, first", "block", "conv1", block=Residual(4, 8, 2, "projected"))
case("residual, second", "block", "conv2", block=Residual(4, 8, 2, "projected"))
case("residual, shortcut", "block", "shortcut.0", block=Residual(4, 8, 2, "projected"))
case("separable", "block", "depthwise", block=DepthwiseSeparable(4, 6, 5, 2))
case("bottleneck", "block", "depthwise.0", block=InvertedBottleneck(4, 6, 3, 3, 2, True, "silu"))
case("gate", "block", "squeeze.squeeze", block=InvertedBottleneck(4, 6, 3, 3, 2, True, "silu"))
case("last of a bottleneck", "block", "project.0", block=InvertedBottleneck(4, 4, 3, 3, 1, True, "silu"))


def reference(at: Subject, address: str) -> tuple[torch.Tensor, torch.Tensor, nn.Conv2d]:
    """(what the convolution gets, what torch's own F.conv2d makes of it, the module)."""
    conv: Any = at.network.get_submodule(address)
    kept: list[torch.Tensor] = []
    handle = conv.register_forward_pre_hook(lambda _m, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        at.network(at.x)
    handle.remove()
    x, padding = kept[0], conv.padding
    if conv.padding_mode != "zeros":
        x, padding = F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode), 0
    out = F.conv2d(x, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups)
    return kept[0][0], out[0], conv


def loops(patch: np.ndarray, kernel: np.ndarray, bias: float) -> float:
    """Multiply and add, one product after the other."""
    total = 0.0
    for c, i, j in itertools.product(*map(range, patch.shape)):
        total += float(patch[c, i, j]) * float(kernel[c, i, j])
    return total + bias


def cells(shape: tuple[int, ...], count: int = 20) -> list[tuple[int, int, int]]:
    """The four corners, and random cells of random maps."""
    maps, height, width = shape
    drawn = np.random.default_rng(0)
    corners = [(0, 0, 0), (maps - 1, 0, width - 1), (0, height - 1, 0), (maps - 1, height - 1, width - 1)]
    return corners + [tuple(int(drawn.integers(n)) for n in shape) for _ in range(count - 4)]  # type: ignore[misc]


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch says that it copies
@pytest.mark.parametrize("name", CASES)
def test_twenty_cells_are_what_torch_gives_and_what_loops_give(name: str) -> None:
    modules, layer, inner = CASES[name]
    at = subject_of_modules(modules, layer)
    given, made, conv = reference(at, f"{layer}.{inner}" if inner else layer)
    for out_map, row, column in cells(tuple(made.shape)):
        seen = seen_of(at, map=out_map, row=row, column=column, inner=inner)
        arrays, facts = seen.arrays, seen.facts
        wanted = float(made[out_map, row, column])
        assert (facts.map, facts.row, facts.column) == (out_map, row, column)
        assert abs(float(arrays["value"]) - wanted) < 1e-5
        assert abs(loops(arrays["patch"], arrays["kernel"], float(arrays["bias"])) - wanted) < 1e-5
        assert facts.agrees
        assert facts.difference < 1e-5
        np.testing.assert_array_equal(arrays["kernel"], conv.weight[out_map].numpy())
        np.testing.assert_allclose(arrays["products"], arrays["patch"] * arrays["kernel"], atol=1e-6)
        np.testing.assert_allclose(arrays["contributions"], arrays["products"].sum((1, 2)), atol=1e-5)
        shown = arrays["contributions"][arrays["order"][: facts.listed]].sum() + facts.rest
        assert abs(shown - float(arrays["sum"])) < 1e-5
        np.testing.assert_allclose(arrays["output"], made.numpy(), atol=1e-6)
        check_places(arrays, given.numpy(), conv.padding_mode)


def check_places(arrays: dict[str, np.ndarray], given: np.ndarray, mode: str) -> None:
    """Each value of the patch is the input's at the place it is said to come from, or padding."""
    for i, row in enumerate(arrays["rows"]):
        for j, column in enumerate(arrays["columns"]):
            inside = 0 <= row < given.shape[1] and 0 <= column < given.shape[2]
            assert bool(arrays["padding"][i, j]) is not inside
            if inside:
                np.testing.assert_array_equal(arrays["patch"][:, i, j], given[arrays["channels"], row, column])
            elif mode == "zeros":
                assert not arrays["patch"][:, i, j].any()


def test_the_largest_contributions_come_first_and_the_rest_is_summed() -> None:
    modules, layer, _inner = CASES["second"]
    seen = seen_of(subject_of_modules(modules, layer), map=2, row=4, column=4)
    sizes = np.abs(seen.arrays["contributions"])[seen.arrays["order"]]
    assert np.all(np.diff(sizes) <= 0)
    assert seen.facts.listed == 8
    rest = seen.arrays["contributions"][seen.arrays["order"][8:]].sum()
    assert abs(seen.facts.rest - rest) < 1e-6
    assert len(seen.arrays["order"]) == 20


# ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_norm_and_activation_follow_with_their_values() -> None:
    modules, layer, _inner = CASES["stride 2"]
    at = subject_of_modules(modules, layer)
    seen = seen_of(at, map=3, row=2, column=1)
    made = at.outputs()
    norm, relu = seen.facts.after
    assert (norm.address, norm.kind, relu.address, relu.kind) == ("norm1", "batch norm", "relu1", "ReLU")
    assert norm.value == pytest.approx(float(made["norm1"][0, 3, 2, 1]))
    assert relu.value == pytest.approx(float(made["relu1"][0, 3, 2, 1]))
    assert float(seen.arrays["value"]) * norm.scale + norm.shift == pytest.approx(norm.value, abs=1e-5)


def test_inside_a_block_the_chain_ends_where_the_block_adds() -> None:
    at = subject_of_modules(CASES["residual, second"][0], "block")
    seen = seen_of(at, map=1, row=1, column=1, inner="conv2")
    assert [step.address for step in seen.facts.after] == ["block.norm2"]
    assert "goes on" in seen.facts.then
    first = seen_of(at, map=1, row=1, column=1, inner="conv1")
    assert [step.address for step in first.facts.after] == ["block.norm1", "block.relu1"]
    assert first.facts.inner == ["conv1", "conv2", "shortcut.0"]
    assert seen_of(at).facts.chosen == "conv1"
    assert seen_of(at, inner="block.conv2").facts.chosen == "conv2"
    assert seen_of(at, inner="conv9").words[0].startswith("block has no convolution conv9; conv1 is shown.")


def test_dropout_changes_nothing_and_is_passed_over() -> None:
    modules = {"conv1": nn.Conv2d(4, 2, 3), "drop": nn.Dropout(0.5), "act": nn.Tanh(), "flat": Flatten()}
    seen = seen_of(subject_of_modules(modules, "conv1"))
    assert [(s.address, s.kind) for s in seen.facts.after] == [("act", "tanh")]
    assert "flat" in seen.facts.then


# ── the receptive field ──────────────────────────────────────────────────────────────────────────────────────────────

FIELDS: dict[str, tuple[dict[str, nn.Module], str, str]] = {
    "plain": ({"a": nn.Conv2d(1, 2, 3, padding=1)}, "a", ""),
    "two": ({"a": nn.Conv2d(1, 3, 3, padding=1), "b": nn.ReLU(), "c": nn.Conv2d(3, 2, 3, 2, 1)}, "c", ""),
    "dilated": ({"a": nn.Conv2d(1, 2, 3, padding=2, dilation=2), "b": nn.Conv2d(2, 2, 2, dilation=3)}, "b", ""),
    "stride leaves holes": ({"a": nn.Conv2d(1, 2, 1, 3), "c": nn.Conv2d(2, 2, 2)}, "c", ""),
    "max-pool": ({"a": nn.MaxPool2d(3, 2, 1), "c": nn.Conv2d(1, 2, 2)}, "c", ""),
    "average": ({"a": nn.AvgPool2d(2), "n": nn.BatchNorm2d(1), "c": nn.Conv2d(1, 2, 3, padding=1)}, "c", ""),
    "residual": ({"a": Residual(1, 3, 1, "padded"), "b": Residual(3, 4, 2, "projected")}, "b", "conv2"),
    "shortcut": ({"a": Residual(1, 3, 2, "padded"), "c": nn.Conv2d(3, 2, 1)}, "c", ""),
    "separable": ({"a": DepthwiseSeparable(1, 4, 3, 2), "c": nn.Conv2d(4, 2, 2)}, "c", ""),
    "bottleneck": ({"a": InvertedBottleneck(1, 4, 2, 3, 1, False, "silu"), "c": nn.Conv2d(4, 2, 1)}, "c", ""),
    "gate sees all": ({"a": InvertedBottleneck(1, 2, 2, 3, 1, True, "silu"), "c": nn.Conv2d(2, 2, 1)}, "c", ""),
    "group norm sees all": ({"a": nn.Conv2d(1, 4, 3), "g": nn.GroupNorm(2, 4), "c": nn.Conv2d(4, 2, 1)}, "c", ""),
    "circular": ({"a": nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")}, "a", ""),
}


def brute(at: Subject, address: str, out_map: int) -> np.ndarray:
    """bool [pixel row, pixel column, out row, out column]: which outputs change when one pixel does."""
    double = at.copied().double()
    for module in double.modules():  # a dead ReLU hides what the structure joins
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU | nn.ReLU6):
                setattr(module, name, nn.Softplus())
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.LPPool2d(3, child.kernel_size, child.stride))
                child_pad = int(child.padding)
                setattr(module, name, nn.Sequential(nn.Softplus(), nn.ZeroPad2d(child_pad), getattr(module, name)))
    height, width = at.x.shape[2:]
    x = at.x.double()
    poked = x.repeat(height * width, 1, 1, 1)
    for i in range(height * width):
        poked[i, 0, i // width, i % width] += 1.5
    kept: list[torch.Tensor] = []
    double.get_submodule(address).register_forward_hook(lambda _m, _i, out: kept.append(out[:, out_map]))
    with torch.no_grad():
        double(x)
        double(poked)
    return ((kept[1] - kept[0]).abs() > 1e-13).numpy().reshape(height, width, *kept[0].shape[1:])


@pytest.mark.parametrize("name", FIELDS)
def test_the_receptive_field_is_the_pixels_that_change_the_cell(name: str) -> None:
    modules, layer, inner = FIELDS[name]
    at = subject_of_modules(modules, layer, (1, 8, 9))
    changed = brute(at, f"{layer}.{inner}" if inner else layer, 1)
    for row, column in [(0, 0), (changed.shape[2] - 1, changed.shape[3] - 1), (1, 1)]:
        seen = seen_of(at, map=1, row=row, column=column, inner=inner)
        np.testing.assert_array_equal(seen.arrays["receptive_field"], changed[:, :, row, column])


def test_the_network_is_left_as_it_was() -> None:
    at = subject_of_modules(*FIELDS["residual"][:2], (1, 8, 9))
    before = {name: value.clone() for name, value in at.network.state_dict().items()}
    seen_of(at)
    assert all(torch.equal(value, before[name]) for name, value in at.network.state_dict().items())
    assert all(not module._forward_hooks for module in at.network.modules())


# ── the question and its answer ──────────────────────────────────────────────────────────────────────────────────────


RUNS = [("cnn", "conv2", ""), ("vit", "", ""), ("resnet8", "", "conv2")]


@pytest.mark.parametrize(("preset", "layer", "inner"), RUNS)
def test_the_code_runs_as_it_stands(trained: Trained, preset: str, layer: str, inner: str) -> None:
    changes = {"model.layers": 1, "model.width": 16} if preset == "vit" else {}
    run = trained(preset, steps=2, **changes)
    fields = {"layer": layer, "inner": inner, "map": 1, "row": 0, "column": 2, "sample": 3}
    at = subject(run, "convolution", **fields)
    if preset == "resnet8":
        fields["layer"] = next(spec.name for spec in at.layers if spec.kind == "residual")
    seen, at = ask(run, "convolution", **fields), subject(run, "convolution", **fields)
    assert seen.facts.agrees
    space: dict[str, Any] = {"network": at.network, "x": at.x, "print": lambda *_: None}
    exec(seen.code, space)
    for name in ("patch", "kernel", "products"):
        np.testing.assert_allclose(space[name].numpy(), seen.arrays[name], atol=1e-6)
    assert float(space["value"]) == pytest.approx(float(seen.arrays["value"]), abs=1e-5)


def test_without_a_cell_the_largest_value_away_from_the_padding_is_shown(trained: Trained) -> None:
    seen = ask(trained(), "convolution", map=2)
    inside = seen.arrays["output"][2][1:-1, 1:-1]
    assert seen.arrays["output"][2][seen.facts.row, seen.facts.column] == inside.max()
    assert seen.facts.padded == 0
    in_row = ask(trained(), "convolution", map=2, row=5)
    assert in_row.facts.column == 1 + seen.arrays["output"][2][5, 1:-1].argmax()
    top = ask(trained(), "convolution", map=2, row=0)
    assert top.facts.column == seen.arrays["output"][2][0].argmax(), "every window there has padding"
    assert seen.facts.reads_input
    assert not ask(trained(), "convolution", layer="conv2").facts.reads_input


def test_what_is_out_of_reach_is_said_and_the_nearest_is_shown(trained: Trained) -> None:
    seen = ask(trained(), "convolution", map=999, row=999, column=3)
    assert seen.facts.map == seen.facts.maps - 1
    assert seen.facts.row == seen.arrays["output"].shape[1] - 1
    assert any("no map 999" in words for words in seen.words)
    assert any("nearest cell" in words for words in seen.words)


def test_only_layers_with_a_convolution_are_offered() -> None:
    form = DataForm(PICTURE, (1, 28, 28))
    for name, offers in {"cnn": True, "vit": True, "resnet8": True, "mlp": False}.items():
        entry = registry.ARCHITECTURES.get(name)
        specs = entry.layers(entry.options(), form)
        assert bool(with_convolution(specs, form)) is offers
        assert registry.VIEWS.get("convolution").applies(specs, form) is offers
    assert with_convolution((LayerSpec("conv", Options(), "c"),), DataForm(SEQUENCE, (4, 4))) == ()


def test_a_layer_without_a_convolution_says_so() -> None:
    with pytest.raises(CannotShow, match="no convolution inside"):
        seen_of(subject_of_modules({"a": nn.ReLU()}, "a"))
