"""A case: private, counted, batched, cancellable; and what is explained, against what."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.attribution._options import BASELINES, Baselined
from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, DataForm
from core.spec.options import SpecError
from core.worker.explain import Case
from core.worker.explain import explained_case as case_room
from core.worker.explain.explained_case import seeded, target_of
from core.worker.model.build import Network
from tests.trained import Trained
from tests.worker.explain.conftest import case, linear, made, of_run, why


class Small(nn.Module):
    """A network that has memory for `most` rows at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.linear = most, linear()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        given: Tensor = self.linear(x)
        return given


class Broken(nn.Module):
    """A network that fails at any second row."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return x


def test_the_network_is_a_copy() -> None:
    network = Network([("net", linear(), False)]).train().double()
    asked = case(network, torch.randn(1, 6), target="0")
    for parameter in asked.network.parameters():
        parameter.data.zero_()
        assert parameter.dtype == torch.float32 and not parameter.requires_grad
    assert not asked.network.training and network.training
    assert all(p.dtype == torch.float64 and p.requires_grad and bool((p != 0).any()) for p in network.parameters())


def test_passes_are_counted_and_a_backward_pass_is_two_forward_ones() -> None:
    asked = case(linear(), torch.randn(1, 6), target="1")
    asked.values(torch.randn(200, 6))
    assert (asked.forward_rows, asked.backward_rows) == (200, 0)
    asked.gradients(torch.randn(90, 6))
    assert (asked.forward_rows, asked.backward_rows) == (290, 90)
    assert asked.cost == pytest.approx((290 + 180) / 3)


def test_gradients_in_batches_are_those_of_every_row_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3))
    asked, rows = case(network, torch.randn(1, 6), target="2-0"), torch.randn(70, 6)
    asked.rows = 32
    values, gradients = asked.gradients(rows)
    for row, value, gradient in zip(rows, values, gradients, strict=True):
        alone = row[None].clone().requires_grad_()
        given = network(alone)[0]
        (found,) = torch.autograd.grad(given[2] - given[0], alone)
        assert (given[2] - given[0]).item() == pytest.approx(float(value), abs=1e-6)
        assert torch.allclose(found[0], gradient, atol=5e-7)


def test_where_the_memory_does_not_do_half_the_batch_goes_on_and_it_is_said() -> None:
    rows, roomy, small = torch.randn(100, 6), case(Small(100), torch.randn(1, 6)), case(Small(5), torch.randn(1, 6))
    assert torch.allclose(roomy.values(rows), small.values(rows), atol=1e-6)
    assert small.rows == 4 and small.words == [
        f"The memory did not do; it went on with batches of {n}." for n in (32, 16, 8, 4)
    ]
    found = made(case(Small(5), torch.randn(1, 6)), "integrated_gradients")
    assert found.holds and any("memory did not do" in sentence for sentence in found.words)


def test_another_error_is_not_taken_for_missing_memory() -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        case(Broken(), torch.randn(1, 6)).values(torch.randn(4, 6))


def test_a_long_method_tells_how_far_it_is_and_can_be_given_up(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_room, "TELL", 0.0)
    told: list[float] = []

    class GivenUp(Exception):
        pass

    def report(fraction: float, words: str, _part: Any = None) -> None:
        told.append(fraction)
        assert words == "Integrated Gradients"
        if len(told) == 3:
            raise GivenUp

    asked = of_run(trained("lstm", "digits", steps=40), 1, report=report)
    with pytest.raises(GivenUp):
        made(asked, "integrated_gradients", steps=2000, tolerance=1e-5, most=4000)
    assert told == sorted(told) and all(0 <= fraction < 1 for fraction in told)


def test_the_seed_is_everybodys_and_the_states_are_put_back() -> None:
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with seeded(3):
        one = drawn()
    with seeded(3):
        assert drawn() == one
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[2]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 2**32, 10**25])
def test_a_seed_that_numpy_would_not_take_is_refused_in_words(seed: int) -> None:
    with pytest.raises(SpecError, match="between 0 and 4,294,967,295"), seeded(seed):
        pass


def test_two_threads_on_one_run_are_as_one(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    alone = [why(run, "integrated_gradients", sample).attribution for sample in range(8)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda sample: why(run, "integrated_gradients", sample).attribution, range(8)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_are_explained_by_their_vectors_and_leave_no_hook(trained: Trained) -> None:
    asked = of_run(trained("transformer", "order", steps=40), 2)
    assert asked.ids is not None and asked.inputs.shape == (1, 16, 32)
    with torch.no_grad():
        assert torch.allclose(asked.network(asked.ids), asked.logits(asked.inputs))
        moved = asked.logits(torch.randn_like(asked.inputs))
        assert not torch.allclose(moved, asked.network(asked.ids))
    assert not asked.embedding._forward_hooks


def test_padding_has_no_part_in_the_answer(trained: Trained) -> None:
    run = trained("transformer", "reviews", steps=8, **{"data.samples": 200})
    asked = of_run(run, 0)
    assert asked.real is not None and not bool(asked.real.all())
    found = made(asked, "integrated_gradients", baseline="mean")
    assert np.all(found.attribution[~asked.real.numpy()] == 0)


# ── the target ───────────────────────────────────────────────────────────────────────────────────────────────────────

FORM = DataForm("vector", (6,), 3)


@pytest.mark.parametrize(
    ("text", "index", "other"),
    [
        ("predicted", 1, None),
        ("true", 2, None),
        ("0", 0, None),
        ("2-0", 2, 0),
        ("predicted-true", 1, 2),
    ],
)
def test_a_target_is_a_class_or_a_difference_of_two(text: str, index: int, other: int | None) -> None:
    answers = torch.tensor([[0.1, 0.7, 0.2]])
    target = target_of(text, answers, torch.tensor([2]), FORM, None)
    assert (target.index, target.other) == (index, other)
    expected = answers[:, index] - (0 if other is None else answers[:, other])
    assert torch.equal(target.of(answers), expected)


@pytest.mark.parametrize("text", ["3", "-1", "", "best", "1-9", "1.5", "predicted-", "²"])
def test_what_is_no_target_is_refused_in_words(text: str) -> None:
    with pytest.raises(SpecError, match=r"predicted.* a class|true"):
        target_of(text, torch.zeros(1, 3), torch.tensor([2]), FORM, None)


@pytest.mark.parametrize("text", ["-1", "1-9", "0-1-2"])
def test_what_is_no_target_is_quoted_as_it_was_written(text: str) -> None:
    with pytest.raises(SpecError, match=f"target '{text}' is no class"):
        target_of(text, torch.zeros(1, 3), torch.tensor([2]), FORM, None)


@pytest.mark.parametrize("text", ["1-1", "predicted-true", "true-1"])
def test_a_class_less_itself_is_refused_and_not_called_an_answer_that_stays_the_same(text: str) -> None:
    with pytest.raises(SpecError, match="a class less itself is 0"):
        target_of(text, torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([1]), FORM, None)


def test_a_step_is_refused_where_there_is_one_answer_and_a_class_where_there_is_a_number() -> None:
    with pytest.raises(SpecError, match="answers once, not at every step"):
        target_of("1@2", torch.zeros(1, 3), torch.tensor([2]), FORM, None)
    number = DataForm("sequence", (4, 2), 1, task=NUMBER)
    with pytest.raises(SpecError, match="answers one number, which has no classes"):
        target_of("5", torch.tensor([[2.5]]), None, number, None)


def test_of_a_drawing_nobody_knows_the_true_class() -> None:
    with pytest.raises(SpecError, match="Nobody knows"):
        target_of("true", torch.zeros(1, 3), None, FORM, None)


def test_an_answer_at_every_step_is_explained_at_the_last_one_that_is_asked_or_at_a_chosen_one() -> None:
    form, y = DataForm("tokens", (4,), 3, 9, EACH_STEP), torch.tensor([[-100, 2, 1, -100]])
    answers = torch.arange(12.0).view(1, 4, 3)
    assert target_of("true", answers, y, form, None).step == 2
    assert float(target_of("true", answers, y, form, None).of(answers)) == 7
    assert float(target_of("0@1", answers, y, form, None).of(answers)) == 3
    with pytest.raises(SpecError, match="there are 0 to 3"):
        target_of("0@4", answers, y, form, None)


def test_a_number_is_its_own_target() -> None:
    form = DataForm("sequence", (4, 2), 1, task=NUMBER)
    assert float(target_of("predicted", torch.tensor([[2.5]]), None, form, None).of(torch.tensor([[2.5]]))) == 2.5


# ── baselines ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("preset", "data"),
    [
        ("cnn", "digits"),
        ("transformer", "order"),
        ("gru", "adding"),
        ("mlp", "points"),
    ],
)
def test_every_baseline_has_the_inputs_shape_and_only_noise_hangs_on_the_seed(
    preset: str, data: str, trained: Trained
) -> None:
    run = trained(preset, data, steps=8)
    cases = [of_run(run, 1, seed=seed) for seed in (0, 1)]
    for kind in BASELINES:
        one, other = (c.baseline(Baselined(baseline=kind, baseline_sample=3)) for c in cases)
        assert one.shape == cases[0].inputs.shape and bool(torch.isfinite(one).all())
        assert torch.equal(one, other) == (kind != "noise"), kind


def test_black_is_what_an_empty_picture_is_to_the_network_and_mean_the_mean_of_the_training_set(
    trained: Trained,
) -> None:
    asked = of_run(trained("cnn", "digits", steps=8), 1)
    assert asked.splits is not None
    black = asked.baseline(Baselined())
    assert torch.equal(black, asked.baseline(Baselined(baseline="black")))
    bytes_ = (black[0, 0] * asked.splits.std[0] + asked.splits.mean[0]) * 255
    assert torch.allclose(bytes_, torch.zeros(28, 28), atol=1e-4)
    mean = asked.baseline(Baselined(baseline="mean"))
    assert torch.allclose(mean[0], asked.splits.train[0].mean(0))


def test_blur_keeps_the_mean_of_a_flat_picture_and_has_less_contrast() -> None:
    flat = case(nn.Flatten(), torch.full((1, 1, 8, 8), 2.0), form=DataForm(PICTURE, (1, 8, 8), 64))
    assert torch.allclose(flat.baseline(Baselined(baseline="blur")), flat.inputs, atol=1e-6)
    busy = case(nn.Flatten(), torch.randn(1, 1, 8, 8), form=DataForm(PICTURE, (1, 8, 8), 64))
    assert float(busy.baseline(Baselined(baseline="blur")).std()) < 0.5 * float(busy.inputs.std())


def test_for_tokens_black_is_the_paddings_vector(trained: Trained) -> None:
    asked: Case = of_run(trained("transformer", "order", steps=8), 1)
    assert float(asked.baseline(Baselined(baseline="black")).abs().max()) == 0  # torch keeps padding_idx at zero
    assert torch.equal(asked.baseline(Baselined()), asked.baseline(Baselined(baseline="mean")))
