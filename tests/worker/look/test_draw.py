"""A drawing's answers, saliency and maps against plain torch; what they cost, in passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.catalog.entries import PICTURE, DataForm
from core.spec import registry
from core.spec.drawings import encode
from core.worker.look.draw import habit
from core.worker.look.subject import CannotShow
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject


def seven(top: int = 5, left: int = 8, thick: int = 3) -> np.ndarray:
    """A plain 7, uint8 [28, 28]."""
    picture = np.zeros((28, 28), np.uint8)
    picture[top : top + thick, left : left + 13] = 255
    for i in range(17):
        at = left + 11 - round(i * 0.5)
        picture[top + i, at - 1 : at + thick - 1] = 255
    return picture


def standardised(picture: np.ndarray, at) -> torch.Tensor:
    """x as the data set makes it, written down anew."""
    grey = torch.tensor(picture.astype(np.float64) / 255)
    return ((grey - at.splits.mean[0]) / at.splits.std[0]).float()[None, None]


@pytest.mark.parametrize("preset", ["cnn", "mlp", "vit", "gru"])
def test_answers_saliency_and_maps_are_plain_torchs(trained: Trained, preset: str) -> None:
    changes = {"model.layers": 2} if preset == "vit" else {}
    run, text = trained(preset, **changes), encode(seven())
    at = subject(run, "draw", drawing=text)
    layers = registry.VIEWS.get("draw").layers(at.layers, at.form)
    x = standardised(seven(), at).requires_grad_()
    logits = at.network(x)
    logits[0, int(logits.argmax())].backward()
    for layer in (layers[0], layers[-1]):
        seen = ask(run, "draw", drawing=text, layer=layer)
        np.testing.assert_allclose(seen.arrays["answers"], logits[0].softmax(-1).detach(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(seen.arrays["saliency"], x.grad[0].abs().max(0).values, rtol=1e-3, atol=1e-5)
        kept: list[torch.Tensor] = []
        handle = at.network.get_submodule(layer).register_forward_hook(lambda _m, _i, y, kept=kept: kept.append(y))
        with torch.no_grad():
            at.network(x)
        handle.remove()
        np.testing.assert_allclose(seen.arrays[layer], kept[0][0], rtol=1e-4, atol=1e-5)
        assert seen.facts.predicted == "0123456789"[int(logits.argmax())]
        assert seen.facts.confidence == pytest.approx(float(logits.detach().softmax(-1).max()), rel=1e-4)
        assert seen.facts.target == ""
        np.testing.assert_array_equal(seen.facts.shown, seven())


def test_the_saliency_is_the_slope_of_the_logit(trained: Trained) -> None:
    """By small steps, without autograd."""
    run, text = trained("mlp"), encode(seven())
    at, seen = subject(run, "draw", drawing=text), ask(run, "draw", drawing=text)
    network, x = at.copied().double(), at.x.double()
    best, step = int(seen.arrays["answers"].argmax()), 1e-5
    for row, column in [(6, 10), (12, 17), (20, 14), (0, 0)]:
        more, less = x.clone(), x.clone()
        more[0, 0, row, column] += step
        less[0, 0, row, column] -= step
        with torch.no_grad():
            slope = (network(more)[0, best] - network(less)[0, best]) / (2 * step)
        assert seen.arrays["saliency"][row, column] == pytest.approx(abs(float(slope)), rel=1e-2, abs=1e-5)


def test_one_question_is_one_forward_and_one_backward(trained: Trained) -> None:
    run, text = trained(), encode(seven())
    at = subject(run, "draw", drawing=text)
    seen = {"forward": 0, "backward": 0}

    def forward(*_about: object) -> None:
        seen["forward"] += 1

    def backward(*_about: object) -> None:
        seen["backward"] += 1

    handles = []
    for layer in at.network.children():  # the network of the question itself: it is shared
        handles.append(layer.register_forward_hook(forward))
        handles.append(layer.register_full_backward_hook(backward))
    try:
        ask(run, "draw", drawing=text)
    finally:
        for handle in handles:
            handle.remove()
    layers = len(list(at.network.children()))
    assert seen["forward"] == layers
    assert 0 < seen["backward"] <= layers
    assert not any(p.requires_grad or p.grad is not None for p in at.network.parameters())
    assert not any(layer._forward_hooks for layer in at.network.modules())


def test_the_lines_of_pytorch_compute_the_same(trained: Trained) -> None:
    run, text = trained(), encode(seven())
    at, seen = subject(run, "draw", drawing=text, layer="conv1"), ask(run, "draw", drawing=text, layer="conv1")
    scope = {"network": at.copied(), "x": at.x}
    exec(seen.code, scope)
    np.testing.assert_allclose(scope["answers"].detach(), seen.arrays["answers"], atol=1e-6)
    np.testing.assert_allclose(scope["saliency"], seen.arrays["saliency"], atol=1e-6)
    np.testing.assert_allclose(scope["kept"]["maps"], seen.arrays["conv1"], atol=1e-6)


def test_a_test_sample_stands_where_nothing_is_drawn(trained: Trained) -> None:
    run = trained()
    seen, at = ask(run, "draw", sample=3), subject(run, "draw", sample=3)
    assert seen.facts.target == at.label(int(at.splits.test[1][3]))
    np.testing.assert_array_equal(seen.facts.shown, at.splits.shown[3])


def test_an_empty_pad_is_answered_and_said_to_be_empty(trained: Trained) -> None:
    seen = ask(trained(), "draw", drawing=encode(np.zeros((28, 28), np.uint8)))
    assert seen.words[0].startswith("Nothing is drawn.")
    assert seen.arrays["answers"].sum() == pytest.approx(1, abs=1e-5)


def test_what_is_no_drawing_is_refused_in_words(trained: Trained) -> None:
    for text in ("x", "a" * 5000, "eJwDAAAAAAE"):
        with pytest.raises(CannotShow, match="cannot be read"):
            ask(trained(), "draw", drawing=text)


def test_only_pictures_with_classes_are_drawn(trained: Trained) -> None:
    view = registry.VIEWS.get("draw")
    assert view.applies((), DataForm(PICTURE, (3, 32, 32), 10))
    for data in ("points", "order", "adding", "characters"):
        entry = registry.DATASETS.get(data)
        assert not view.applies((), entry.form(entry.options()))


def test_the_habit_of_pictures_is_measured() -> None:
    """Boxes of a known size at a known place; a mean of faint noise is no ink."""
    shown = np.full((5, 40, 20), 20, np.uint8)
    shown[:, 10:30, 6:12] = 250
    found = habit(shown)
    assert found["box"] == 0.5
    assert found["middle"] == pytest.approx([0.5, 0.45])
    coloured = np.repeat(shown[..., None], 3, -1)
    assert habit(coloured)["box"] == pytest.approx(0.5)
    assert math.isclose(habit(np.zeros((2, 8, 8), np.uint8))["box"], 20 / 28)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.5, 2.5])
def test_the_softness_of_pictures_is_the_width_of_their_edges(sigma: float) -> None:
    """A half plane, blurred as the pad blurs a drawing: with the Gaussian's values at whole pixels."""
    kernel = np.exp(-0.5 * (np.arange(-12, 13) / sigma) ** 2)
    line = np.convolve(np.arange(64) >= 32, kernel / kernel.sum(), "same")[12:52]
    grey = np.tile(line, (3, 40, 1))
    assert habit((255 * grey).round().astype(np.uint8))["blur"] * 40 == pytest.approx(sigma, abs=0.1)
