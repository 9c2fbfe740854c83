"""Activation maximisation against one step by hand, its own lines run as they stand, and real pictures."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core.catalog.views.maximise import Maximise
from core.worker.look import feature_maps, maximise
from core.worker.look.subject import CannotShow
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject


def test_the_answer_rises_and_passes_real_pictures(trained: Trained) -> None:
    run = trained(steps=60)
    for layer, unit in (("head", 3), ("relu2", 5), ("conv1", 2)):
        seen = ask(run, "maximise", layer=layer, unit=unit)
        made = seen.arrays["activations"]
        assert made[-1] > made[0]
        assert made[-1] > seen.arrays["real"].mean()
        assert f"{made[-1]:.3g}" in seen.words[0] and f"{seen.facts.best:.3g}" in seen.words[1]


def test_one_step_is_the_gradient_by_hand(trained: Trained) -> None:
    at = subject(trained(), "maximise", layer="relu1")
    options = Maximise(unit=1, steps=1, rate=0.3, l2=0.7, smooth=2.0, jitter=0)
    low, high = maximise.ends(at)
    x, _noise = maximise.start(at.network, "relu1", 1, 0, low, high)
    goal = partial(maximise.objective, at.network, "relu1", 1, options, 2.5)
    _before, after = list(maximise.ascend(goal, options, x, low, high))

    def by_hand(flat: torch.Tensor) -> torch.Tensor:
        picture = flat.view_as(x).double()
        maps = at.outputs(["relu1"], x=picture.float())["relu1"][0, 1].double()
        rough = (picture[:, :, 1:] - picture[:, :, :-1]).abs().sum()
        rough = rough + (picture[..., 1:] - picture[..., :-1]).abs().sum()
        return maps.mean() / 2.5 - 0.7 * (picture**2).mean() - 2.0 * rough / picture.numel()

    flat = x.flatten().clone()
    step = 1e-3  # central differences of what is climbed, pixel by pixel
    for place in (0, 100, 391, 400, 783):
        shift = torch.zeros_like(flat)
        shift[place] = step
        slope = float(by_hand(flat + shift) - by_hand(flat - shift)) / (2 * step)
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(goal(leaf), leaf)
        assert float(gradient.flatten()[place]) == pytest.approx(slope, rel=0.05, abs=2e-5)
    expected = (x + 0.3 * gradient / gradient.square().mean().sqrt()).clamp(low, high)
    torch.testing.assert_close(after, expected)


def test_the_unit_is_the_mean_of_what_a_plain_hook_sees(trained: Trained) -> None:
    for preset, kind in (("cnn", "relu"), ("vit", "transformer_block"), ("cnn", "linear")):
        at = subject(trained() if preset == "cnn" else trained(preset, steps=2), "maximise")
        layer = next(one.name for one in at.layers if one.kind == kind)
        x = at.splits.test[0][:5]
        kept = at.outputs([layer], x=x)[layer]
        found = maximise.activation(at.network, layer, 3, x)
        expected = {4: kept[:, 3:4].flatten(1), 3: kept[..., 3:4].flatten(1), 2: kept[:, 3:4]}[kept.dim()].mean(1)
        torch.testing.assert_close(found, expected)


def test_the_same_seed_gives_the_same_picture_to_the_bit_and_another_does_not(trained: Trained) -> None:
    one, two, other = (ask(trained(), "maximise", steps=6, layer="head", seed=seed) for seed in (4, 4, 5))
    for name, array in one.arrays.items():
        assert np.array_equal(array, two.arrays[name]), name
    assert not np.array_equal(one.arrays["picture"], other.arrays["picture"])


def test_the_lines_of_pytorch_make_the_same_picture(trained: Trained) -> None:
    run = trained()
    for layer in ("head", "relu1"):
        seen, at = ask(run, "maximise", steps=5, unit=2, layer=layer), subject(run, "maximise", layer=layer)
        scope = {"network": at.network, "x": at.x, "torch": torch}
        exec(seen.code, scope)
        np.testing.assert_allclose(scope["picture"][0].numpy(), seen.arrays["picture"], atol=1e-5)


def test_frames_are_pictures_and_the_real_ones_are_the_strongest(trained: Trained) -> None:
    run = trained()
    seen, at = ask(run, "maximise", steps=50, unit=7, layer="head"), subject(run, "maximise", layer="head")
    frames = seen.arrays["frames"]
    assert frames.shape == (maximise.MOST_FRAMES, 28, 28) and frames.min() >= 0 and frames.max() <= 1
    assert seen.arrays["steps"][0] == 0 and seen.arrays["steps"][-1] == 50
    assert len(seen.arrays["activations"]) == len(seen.arrays["steps"]) == len(frames)
    with torch.no_grad():
        logits = at.network(at.splits.test[0][: maximise.COMPARED])[:, 7]
    np.testing.assert_allclose(seen.arrays["real"], logits.numpy(), atol=1e-4)
    assert seen.arrays["real_top"][0] == int(logits.argmax())
    assert np.array_equal(seen.arrays["real_pictures"][0], at.splits.shown[int(logits.argmax())])


def test_colours_come_last_and_are_the_pixels_that_were_standardised() -> None:
    mean, std = (0.2, 0.5, 0.7), (0.1, 0.3, 0.2)
    rgb = np.random.default_rng(0).random((4, 6, 5, 3), np.float32)
    x = torch.from_numpy((rgb - np.float32(mean)) / np.float32(std)).permute(0, 3, 1, 2)
    coloured: Any = SimpleNamespace(
        splits=SimpleNamespace(mean=mean, std=std), form=SimpleNamespace(shape=(3, 6, 5)), x=x[:1]
    )
    np.testing.assert_allclose(maximise.pixels(x, coloured), rgb, atol=1e-6)
    low, high = maximise.ends(coloured)
    assert low.shape == (1, 3, 6, 5)
    black, white = maximise.pixels(torch.cat([low, high]), coloured)
    assert black.max() < 1e-6 and white.min() > 1 - 1e-6
    assert np.array_equal(feature_maps.given(coloured), np.rint(rgb[0] * 255).astype(np.uint8))


def test_a_unit_that_feels_nothing_is_told_in_words(trained: Trained) -> None:
    at = subject(trained(), "maximise", layer="relu1", steps=3)
    at.network = at.copied()
    with torch.no_grad():
        at.network.norm1.weight[0], at.network.norm1.bias[0] = 0.0, -1.0  # map 0 is dead for whatever comes
    seen = maximise.look(at, Maximise(steps=3), lambda *_: None)
    assert any("Nothing moved" in sentence for sentence in seen.words)
    assert np.array_equal(seen.arrays["activations"], np.zeros(4))


def test_a_change_in_the_last_digit_is_none(trained: Trained) -> None:
    at = subject(trained(), "maximise", layer="head", steps=3)
    at.network = at.copied()
    with torch.no_grad():
        at.network.head.weight.mul_(1e-9)  # a network that says the same of everything
        at.network.head.bias.fill_(0.0166)
    seen = maximise.look(at, Maximise(steps=3), lambda *_: None)
    assert any("Nothing moved" in sentence for sentence in seen.words), seen.words


def test_words_do_not_boast_where_a_real_picture_is_stronger(trained: Trained) -> None:
    seen = ask(trained(steps=60), "maximise", layer="head", unit=3, steps=1, rate=0.001)
    assert seen.arrays["activations"][-1] < seen.facts.best
    assert any("A real picture drives the unit harder" in sentence for sentence in seen.words)


def test_a_run_without_pictures_is_told_why(trained: Trained) -> None:
    with pytest.raises(CannotShow, match="no pictures"):
        ask(trained("lstm", "order", steps=2), "maximise")


def test_it_can_be_given_up_at_every_step(trained: Trained) -> None:
    heard: list[str] = []

    class Enough(Exception):
        pass

    def report(_fraction: float, words: str) -> None:
        heard.append(words)
        if words.startswith("Step 3"):
            raise Enough

    with pytest.raises(Enough):
        maximise.look(subject(trained(), "maximise", layer="head"), Maximise(), report)
    assert heard[-1] == "Step 3 of 96"
