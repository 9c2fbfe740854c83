"""Occlusion, ablation and permutation against closed forms, loops that do one row at a time, and Captum."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, DataForm, Form
from core.spec.options import SpecError
from core.worker.explain import Case, Withheld, attribute, features
from tests.trained import Trained
from tests.worker.explain.conftest import case, choice, linear, made, of_run, why

METHODS = ("occlusion", "feature_ablation", "shapley_sampling", "shapley_values", "kernel_shap", "lime")


class Small(nn.Module):
    """A network of pictures with a bend, so that windows and pieces do not simply add up."""

    def __init__(self, channels: int = 2, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(channels, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channel, height, width] → [n, 3]."""
        logits: Tensor = self.last(self.relu(self.convolution(x)).mean((2, 3)))
        return logits


def small(height: int = 6, width: int = 7, channels: int = 2, **given: Any) -> Case:
    """A picture of odd sides for it."""
    x = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(4))
    return case(Small(channels), x, form=Form(PICTURE, tuple(x.shape[1:])), **given)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("method", ["occlusion", "feature_ablation"])
@pytest.mark.parametrize("baseline", ["zero", "noise"])
def test_on_a_linear_network_they_are_weight_times_input_minus_baseline(method: str, baseline: str) -> None:
    network, x = linear(), torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    found = made(case(network, x, target="1"), method, baseline=baseline)
    expected = network.weight[1].detach() * (x[0] - torch.from_numpy(found.arrays["baseline"]))
    assert np.abs(found.attribution - expected.numpy()).max() <= 6e-7


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (3, 2), (4, 4), (64, 1), (6, 5)])
def test_occlusion_is_the_mean_fall_of_the_windows_that_cover_a_pixel(window: int, stride: int) -> None:
    one = small()
    found = made(small(), "occlusion", window=window, stride=stride, baseline="noise")
    baseline = torch.from_numpy(found.arrays["baseline"])[None]
    total, times = torch.zeros(6, 7), torch.zeros(6, 7)
    tops, lefts = ([*range(0, max(1, n - min(window, n) + stride), stride)] for n in (6, 7))
    for top, left in itertools.product(tops, lefts):
        hidden = one.inputs.clone()
        place = (..., slice(top, top + min(window, 6)), slice(left, left + min(window, 7)))
        hidden[place] = baseline[place]
        total[place] += float(one.f(one.inputs) - one.f(hidden))
        times[place] += 1
    assert times.min() >= 1
    assert np.allclose(found.attribution, (total / times).expand(2, 6, 7), atol=1e-6)


@pytest.mark.parametrize("options", [{"side": 3}, {"pieces": "slic", "segments": 6}, {"pieces": "values"}])
def test_ablation_is_the_fall_when_a_piece_alone_is_away(options: dict[str, Any]) -> None:
    one = small()
    found = made(small(), "feature_ablation", baseline="noise", **options)
    baseline = torch.from_numpy(found.arrays["baseline"])[None]
    pieces = features.groups(one, choice("feature_ablation", **options).options).expand_as(one.inputs)
    for number in range(features.count(pieces)):
        hidden = torch.where(pieces == number, baseline, one.inputs)
        fall = float(one.f(one.inputs) - one.f(hidden))
        assert np.allclose(found.attribution[(pieces == number)[0].numpy()], fall, atol=1e-6)


def test_a_value_that_the_network_does_not_read_gets_exactly_nothing() -> None:
    network = linear()
    with torch.no_grad():
        network.weight[:, 2] = 0
    for method in METHODS:
        found = made(case(network, torch.randn(1, 6), target="1"), method)
        assert abs(found.attribution[2]) <= (1e-3 if method == "lime" else 1e-6), method
    one = case(linear(), torch.tensor([[1.0, 0.0, 2.0, 3.0, 0.0, 1.0]]), target="1")
    for method in ("occlusion", "feature_ablation"):  # like the baseline: nothing is taken away
        assert made(one, method).attribution[[1, 4]].tolist() == [0.0, 0.0]


def test_two_values_with_the_same_part_in_it_get_the_same() -> None:
    network = nn.Sequential(linear(), nn.Tanh(), nn.Linear(3, 3))
    with torch.no_grad():
        network[0].weight[:, 1] = network[0].weight[:, 4]
    x = torch.randn(1, 6)
    x[0, 1] = x[0, 4]
    for method in METHODS:
        tolerance = {"shapley_sampling": 0.1, "lime": 0.2}.get(method, 1e-5)  # these two draw
        options = {"samples": 400} if method == "shapley_sampling" else {}
        found = made(case(network, x, target="1"), method, **options).attribution
        assert abs(found[1] - found[4]) <= tolerance * np.abs(found).max(), method


def test_permutation_is_the_mean_fall_with_the_values_of_other_samples(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    found, one = why(run, "feature_permutation", 3, others=5, side=9), of_run(run, 3)
    assert one.splits is not None
    others, test = torch.from_numpy(found.arrays["baseline"]), one.splits.test[0].float()
    at = [int((test - other).abs().flatten(1).sum(1).argmin()) for other in others]
    assert len(set(at)) == 5 and 3 not in at and torch.equal(test[at], others)
    pieces = features.squares(28, 28, side=9).expand_as(one.inputs)
    for number in (0, 5, 15):
        falls = [float(one.f(one.inputs) - one.f(torch.where(pieces == number, other, one.inputs))) for other in others]
        assert np.allclose(found.attribution[(pieces == number)[0].numpy()], np.mean(falls), atol=1e-5)
    other_seed = why(run, "feature_permutation", 3, others=5, side=9, seed=1)
    assert not np.array_equal(found.attribution, other_seed.attribution)


def test_permutation_is_withheld_where_there_are_no_other_samples() -> None:
    found = attribute(case(linear(), torch.randn(1, 6)), choice("feature_permutation"))
    assert "no other test sample" in found.withheld
    with pytest.raises(Withheld):
        raise Withheld(found.withheld)


@pytest.mark.parametrize("method", METHODS)
def test_padding_gets_nothing_and_changes_nothing(method: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(9, 4, padding_idx=0), nn.Flatten(), nn.Linear(24, 3))
    x = torch.tensor([[3, 5, 1, 7, 0, 0]])
    found = made(case(network, x, form=DataForm(TOKENS, (6,), 3, vocabulary=9)), method, baseline="mean")
    assert found.attribution.shape == (6,) and found.attribution[4:].tolist() == [0, 0]
    assert np.count_nonzero(found.attribution[:4]) >= (3 if method == "lime" else 4)  # Lime presses some to zero
    embedded = network[0].weight.detach()
    assert np.allclose(found.arrays["baseline"][4:], embedded[0]) and not np.allclose(found.arrays["baseline"][0], 0)
    if method != "lime":
        weight = network[2].weight.detach()[int(network(x).argmax())].view(6, 4)
        expected = (weight * (embedded[x[0]] - embedded[1:].mean(0))).sum(1)[:4]
        assert np.allclose(found.attribution[:4], expected, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_one_row_at_a_time_gives_the_same_as_many(method: str) -> None:
    many, single = small(8, 8), small(8, 8)
    single.rows = 1
    found = [made(one, method).attribution for one in (many, single)]
    tolerance = 1e-4 if method == "lime" else 5e-6  # the Lasso stops when it is near enough
    assert np.abs(found[0] - found[1]).max() <= tolerance * max(1e-3, np.abs(found[0]).max())
    assert many.forward_rows == single.forward_rows


@pytest.mark.parametrize("method", METHODS)
def test_two_threads_give_the_same_as_one(method: str, one_thread: None) -> None:
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(made(small(12, 12), method).attribution)
    assert np.abs(found[0] - found[1]).max() <= 1e-4 * np.abs(found[0]).max()


@pytest.mark.parametrize("method", METHODS)
def test_when_the_memory_does_not_do_it_halves_the_batch_says_so_and_finds_the_same(method: str) -> None:
    class Full(Small):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().forward(x)

    x = small(12, 12).inputs
    tight = case(Full(), x, form=Form(PICTURE, tuple(x.shape[1:])))
    assert tight.rows > 5
    found, same = made(tight, method), made(small(12, 12), method)
    assert tight.rows <= 5 and "batches of 4" in " ".join(found.words) and "memory" in " ".join(found.words)
    assert np.allclose(found.attribution, same.attribution, atol=1e-4 * np.abs(same.attribution).max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("picture", ["zeros", "constant", "one pixel"])
def test_an_input_without_contrast_or_of_one_piece_gives_a_map(method: str, picture: str) -> None:
    x = {
        "zeros": torch.zeros(1, 2, 8, 8),
        "constant": torch.full((1, 2, 8, 8), 0.7),
        "one pixel": torch.ones(1, 2, 1, 1),
    }
    for pieces in ("grid", "slic"):
        options = {} if method == "occlusion" else {"pieces": pieces}
        found = made(case(Small(), x[picture], form=Form(PICTURE, tuple(x[picture].shape[1:]))), method, **options)
        assert np.isfinite(found.attribution).all() and found.attribution.shape == tuple(x[picture].shape[1:])
        if picture == "zeros":
            assert not found.attribution.any() and any("same everywhere" in words for words in found.words)
        elif method not in ("lime", "occlusion", "feature_ablation"):
            assert found.holds


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("shapley_sampling", "samples"),
        ("kernel_shap", "samples"),
        ("lime", "samples"),
        ("feature_permutation", "others"),
        ("shapley_values", "most"),
    ],
)
def test_ten_thousand_steps_are_refused_in_words(method: str, field: str) -> None:
    with pytest.raises(SpecError, match=f"{field} = 10000 is out of range: it must be between"):
        choice(method, **{field: 10_000})


def test_what_would_take_too_long_or_leave_gaps_is_refused_in_words(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    with pytest.raises(SpecError, match="would take about 522,"):
        why(run, "shapley_sampling", samples=2000, pieces="values")
    with pytest.raises(SpecError, match=r"There are 784 pieces .* at least 784 samples\."):
        why(run, "kernel_shap", pieces="values")
    with pytest.raises(SpecError, match=r"There are 1,200 pieces here, and KernelShap fits at most 1,000\."):
        made(case(linear(1200), torch.randn(1, 1200)), "kernel_shap", samples=5000)
    with pytest.raises(SpecError, match=r"stride = 6 is larger than the window of 5 pixels.* at most 5\."):
        why(run, "occlusion", stride=6)


def test_a_sequence_is_occluded_in_windows_of_steps_as_captum_does_it() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(1, 9, 3)
    one = case(network, x, form=Form(SEQUENCE, (9, 3)))
    found = made(one, "occlusion", steps=4, baseline="noise")
    base = torch.from_numpy(found.arrays["baseline"])[None]
    assert np.allclose(found.attribution, captum.attr.Occlusion(one.model).attribute(x, (4, 3), 1, base)[0], atol=1e-6)


def test_the_first_occlusion_of_a_digit_costs_less_than_sixty_units(trained: Trained) -> None:
    found = why(trained("cnn", "digits", steps=40), "occlusion")
    assert found.cost <= 60
