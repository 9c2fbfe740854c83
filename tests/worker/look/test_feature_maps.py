"""Feature maps against plain forward hooks of torch, and the search through the test set against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from core.catalog.views.feature_maps import FeatureMaps
from core.spec.specs import LayerSpec
from core.worker.look import feature_maps
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject


def hooked(network: nn.Module, address: str, x: torch.Tensor) -> torch.Tensor:
    """What the layer gives for a batch."""
    kept = []
    handle = network.get_submodule(address).register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        network(x)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("resnet8", "digits"), ("lstm", "order")])
def test_every_layer_is_what_a_plain_hook_sees(trained: Trained, preset: str, data: str) -> None:
    run = trained() if preset == "cnn" else trained(preset, data, 2)
    seen, at = ask(run, "feature_maps", sample=3), subject(run, "feature_maps", sample=3)
    for name, _layer in at.network.named_children():
        expected = hooked(at.network, name, at.splits.test[0][3:4])[0].numpy()
        assert seen.arrays[name].shape == expected.shape
        np.testing.assert_allclose(seen.arrays[name], expected, atol=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "relu1", "pool2", "flatten", "head"])
def test_the_strongest_samples_are_those_of_brute_force(trained: Trained, layer: str) -> None:
    run = trained()
    seen, at = ask(run, "feature_maps", layer=layer, map=5, searched=77), subject(run, "feature_maps", layer=layer)
    each = torch.cat([hooked(at.network, layer, at.splits.test[0][i : i + 1]) for i in range(77)])
    largest = each.flatten(2).amax(2) if each.dim() == 4 else each  # [sample, unit]
    for unit in range(0, largest.shape[1], 1 if largest.shape[1] < 50 else 97):
        expected = sorted(largest[:, unit].tolist(), reverse=True)[:8]
        np.testing.assert_allclose(seen.arrays[f"{layer}/top_values"][unit], expected, atol=1e-5)
        named = largest[seen.arrays[f"{layer}/top"][unit].tolist(), unit]
        np.testing.assert_allclose(named, expected, atol=1e-5)
    by_mean = ask(run, "feature_maps", layer=layer, searched=77, measure="mean").arrays[f"{layer}/top_values"]
    means = each.flatten(2).mean(2) if each.dim() == 4 else each
    np.testing.assert_allclose(by_mean[3], sorted(means[:, 3].tolist(), reverse=True)[:8], atol=1e-5)
    assert np.array_equal(seen.arrays[f"{layer}/top_pictures"], at.splits.shown[seen.arrays[f"{layer}/top"][5]])


@pytest.mark.slow
def test_padding_does_not_count(trained: Trained) -> None:
    output = torch.tensor([[[1.0, -5.0], [9.0, -1.0], [3.0, -2.0]]])
    real = torch.tensor([[True, False, True]])
    assert feature_maps.maxima(output, real).tolist() == [[3.0, -2.0]]
    assert feature_maps.maxima(output, real[:, 1:]).tolist() == [[3.0, -2.0]]  # a class token stands before the first
    assert feature_maps.maxima(output, ~real & real).tolist() == [[9.0, -1.0]]  # nothing but padding: as it is
    assert feature_maps.maxima(output).tolist() == [[9.0, -1.0]]
    assert feature_maps.means(output, real).tolist() == [[2.0, -3.5]]
    assert ask(trained("transformer", "reviews", 2), "feature_maps", searched=8).arrays


def test_dead_maps_are_found_and_counted_in_words(trained: Trained) -> None:
    at = subject(trained(), "feature_maps", layer="relu1", searched=40)
    at.network = at.copied()
    with torch.no_grad():
        for unit in (2, 9):
            at.network.norm1.weight[unit], at.network.norm1.bias[unit] = 0.0, -1.0
    feature_maps._found.clear()
    for layer in ("relu1", "pool1"):
        at.layer = layer
        seen = feature_maps.look(at, FeatureMaps(searched=40, map=2), lambda *_: None)
        assert np.flatnonzero(seen.arrays[f"{layer}/dead"]).tolist() == [2, 9]
        assert any("2 of 16 maps are dead" in one and "first 40 test samples (2, 9)" in one for one in seen.words)
        assert any("No test sample drives map 2 most" in one for one in seen.words)
    feature_maps._found.clear()


def test_dead_is_said_only_after_a_relu(trained: Trained) -> None:
    run = trained()
    said = {
        layer: f"{layer}/dead" in ask(run, "feature_maps", layer=layer).arrays
        for layer in ("conv1", "norm1", "relu1", "pool1", "flatten", "head")
    }
    assert said == {"conv1": False, "norm1": False, "relu1": True, "pool1": True, "flatten": True, "head": False}


def test_kernels_are_those_of_the_convolution_behind(trained: Trained) -> None:
    run = trained()
    at = subject(run, "feature_maps")
    for layer, conv in (("conv1", "conv1"), ("norm2", "conv2"), ("pool2", "conv2")):
        seen = ask(run, "feature_maps", layer=layer, map=7)
        weight = at.network.get_submodule(conv).weight.numpy()
        assert seen.facts.kernels_of == conv
        assert np.array_equal(seen.arrays[f"{conv}/kernels"], weight)
        assert np.array_equal(seen.arrays[f"{conv}/kernel"], weight[7])
    assert ask(run, "feature_maps", layer="head").facts.kernels_of == ""
    block = ask(trained("resnet8", "digits", 2), "feature_maps", layer="stage1_block1")
    assert block.layer == "stage1_block1" and block.facts.kernels_of == ""


def test_the_order_is_by_the_mean_of_absolute_values(trained: Trained) -> None:
    run = trained()
    seen = ask(run, "feature_maps", layer="norm1", by_strength=True)
    strength = np.abs(seen.arrays["norm1"]).mean((1, 2))
    np.testing.assert_allclose(seen.arrays["norm1/strength"], strength, rtol=1e-5)
    assert sorted(seen.facts.order) == list(range(16))
    assert np.all(np.diff(strength[seen.facts.order]) <= 1e-7)
    assert ask(run, "feature_maps", layer="norm1").facts.order == list(range(16))


def test_a_map_that_is_not_there_is_the_last_one(trained: Trained) -> None:
    seen = ask(trained(), "feature_maps", layer="head", map=4000)
    assert seen.facts.map == 9 and any("no unit 4,000" in one for one in seen.words)


def test_a_huge_answer_is_made_smaller_and_says_so() -> None:
    outputs = {"conv1": torch.rand(64, 40, 40), "conv2": torch.rand(8, 40, 40), "fc": torch.rand(50_000)}
    arrays, words = feature_maps.fitted(outputs, "conv1", most=60_000)
    assert sum(array.numel() for array in arrays.values()) <= 60_000
    side = -(-40 // arrays["conv1"].shape[1])
    expected = nn.functional.avg_pool2d(outputs["conv1"][None], side, ceil_mode=True, count_include_pad=False)[0]
    torch.testing.assert_close(arrays["conv1"], expected)
    assert arrays["conv1"].shape[0] == 64 and len(arrays["fc"]) == 30_000 // 2
    assert len(words) == 2 and "64×40×40" in words[0] and "cut" in words[1]
    same, nothing = feature_maps.fitted(outputs, "conv1")
    assert same == outputs and nothing == []


def test_the_lines_of_pytorch_give_the_same_maps(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained()
    seen, at = ask(run, "feature_maps", layer="relu2", sample=5), subject(run, "feature_maps", sample=5)
    scope = {"network": at.copied(), "x": at.x, "torch": torch}
    exec(seen.code, scope)
    assert "32, 14, 14" in capsys.readouterr().out
    for name, output in scope["maps"].items():
        np.testing.assert_allclose(output.numpy(), seen.arrays[name], atol=1e-6)


def test_a_search_of_large_layers_is_cut_short_in_words(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_maps, "MOST_SEARCHED", 1_500_000)
    monkeypatch.setattr(feature_maps, "BATCH_VALUES", 200_000)
    seen = ask(trained(), "feature_maps", layer="relu1")
    assert 8 <= seen.facts.searched < 40
    assert any(f"only {seen.facts.searched} samples are searched, not 360" in one for one in seen.words)
    assert any(f"first {seen.facts.searched} test samples" in one for one in seen.words)


def test_the_picture_the_network_got_is_the_one_people_see(trained: Trained) -> None:
    seen, at = ask(trained(), "feature_maps", sample=6), subject(trained(), "feature_maps", sample=6)
    assert np.array_equal(seen.facts.given, at.splits.shown[6])
    assert ask(trained("lstm", "order", 2), "feature_maps").facts.given is None


def test_a_change_of_layer_does_not_search_again(trained: Trained) -> None:
    at = subject(trained(), "feature_maps", searched=30)
    feature_maps.look(at, FeatureMaps(searched=30), lambda *_: None)
    heard: list[str] = []
    at.layer = "relu2"
    feature_maps.look(at, FeatureMaps(searched=30), lambda _f, words: heard.append(words))
    assert heard == []


def test_what_a_relu_has_cut_is_known_from_the_list_of_layers() -> None:
    plain = feature_maps.FeatureMaps  # only to keep the import of the options used where LayerSpec needs some
    layers = tuple(
        LayerSpec(kind, plain(), name)
        for kind, name in (
            ("conv", "c"),
            ("relu", "r"),
            ("max_pool", "p"),
            ("flatten", "f"),
            ("linear", "l"),
            ("gelu", "g"),
            ("residual", "b"),
            ("dropout", "d"),
        )
    )
    found = [layer.name for layer in layers if feature_maps.after_relu(layers, layer.name)]
    assert found == ["r", "p", "f", "b", "d"]
