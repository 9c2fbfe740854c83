"""Integrated Gradients: a closed form, Captum itself, and the promise that its sum is right or is said to be wrong."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.spec.options import SpecError
from core.worker.explain.methods.path_integral import Bent, Straight, integral
from tests.trained import Trained
from tests.worker.explain.conftest import case, choice, linear, made, of_run, why


class Bend(nn.Module):
    """f = σ(sharp · (Σx − 0.37)): flat but for one place on the way, which equal points miss."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.sharp = sharp

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.sharp * (x.sum(1, keepdim=True) - 0.37)).expand(-1, 2)


@pytest.mark.parametrize("baseline", ["zero", "noise"])
def test_on_a_linear_network_it_is_weight_times_input_minus_baseline(baseline: str) -> None:
    network, x = linear(), torch.randn(1, 6)
    found = made(case(network, x, target="1"), "integrated_gradients", baseline=baseline)
    away = x[0] - torch.from_numpy(found.arrays["baseline"])
    assert np.allclose(found.attribution, (network.weight[1] * away).detach(), atol=6e-7)
    assert found.holds and found.gap is not None and found.gap < 1e-5


@pytest.mark.slow_for("vit", "gru", "rnn")
@pytest.mark.parametrize(
    ("preset", "data"),
    [
        ("cnn", "digits"),
        ("lstm", "digits"),
        ("gru", "digits"),
        ("rnn", "digits"),
        ("transformer", "order"),
        ("vit", "digits"),
        ("mlp", "points"),
    ],
)
def test_the_gap_is_below_one_percent(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=40)
    for sample in range(6):
        found = why(run, "integrated_gradients", sample)
        assert found.holds and found.gap is not None and found.gap <= 0.01, (sample, found.gap, found.cost)


def test_points_go_where_the_network_bends_so_that_few_do_what_many_equal_ones_do_not() -> None:
    x = torch.full((1, 4), 0.25)
    found = made(case(Bend(4000.0), x, classes=2, target="0"), "integrated_gradients")
    assert found.holds and found.cost < 100
    plain = captum.attr.IntegratedGradients(lambda v: Bend(4000.0)(v)[:, 0])
    _map, delta = plain.attribute(x, n_steps=300, return_convergence_delta=True)
    assert abs(float(delta)) > 0.1


def test_where_the_points_do_not_do_it_says_so() -> None:
    found = made(case(Bend(1e7), torch.full((1, 4), 0.25), classes=2, target="0"), "integrated_gradients", most=32)
    assert found.holds is False and found.gap is not None and found.gap > 0.01
    assert any("does not converge" in sentence for sentence in found.words)


def test_captum_with_many_points_gives_the_same(trained: Trained) -> None:
    run = trained("lstm", "digits", steps=40)
    ours = why(run, "integrated_gradients", 2, tolerance=1e-4)
    asked = of_run(run, 2)
    baseline = torch.from_numpy(ours.arrays["baseline"])[None]
    plain = captum.attr.IntegratedGradients(asked.model)
    theirs = plain.attribute(asked.inputs.requires_grad_(), baseline, n_steps=600)
    assert np.abs(ours.attribution - theirs[0].detach().numpy()).max() <= 0.02 * np.abs(ours.attribution).max()


def test_no_point_is_at_an_end_of_the_way_where_blank_places_have_no_one_maximum() -> None:
    asked = case(linear(), torch.ones(1, 6), target="0")
    looked: list[float] = []

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        looked.extend(shares.tolist())
        return 2 * shares, torch.full((len(shares), 6), 1 / 3)

    found = integral(choice("integrated_gradients").options, Straight(asked.inputs), look, torch.tensor([0.0, 2.0]))
    assert min(looked) > 0 and max(looked) < 1 and len({*looked}) == len(looked) == found.points == 33
    assert torch.allclose(found.values, torch.tensor(1 / 3)) and found.gap < 1e-6


@pytest.mark.parametrize("power", [2, 3, 7])
def test_the_rules_of_its_pieces_are_right_for_squares_and_come_near_for_what_is_steeper(power: int) -> None:
    """∫ p α^(p-1) dα = 1, and each piece is held to its own part of it."""

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        return shares**power, (power * shares ** (power - 1))[:, None]

    options = choice("integrated_gradients", tolerance=1e-5, steps=8).options
    found = integral(options, Straight(torch.ones(1, 1)), look, torch.tensor([0.0, 1.0]))
    assert float(found.values) == pytest.approx(1.0, abs=2e-5) and not found.words
    assert (found.points == 9) == (power <= 3)
    assert found.cuts == sorted({*found.cuts}) and (found.cuts[0], found.cuts[-1]) == (0.0, 1.0)


def test_along_values_that_go_a_bent_way_its_pieces_are_right_for_squares_and_halved_for_what_is_steeper() -> None:
    """∫ (1 + α + α²) d(α²) = 1 + 2/3 + 1/2, and ∫ 3 y² dy = 1 for y = α⁷. Those at the ends have rules of their own."""

    def squares(shares: Tensor) -> tuple[Tensor, Tensor]:
        gradient, y = 1 + shares + shares**2, shares**2
        return y + 2 / 3 * shares**3 + shares**4 / 2, torch.stack([gradient, y], 1)[..., None]

    def steep(shares: Tensor) -> tuple[Tensor, Tensor]:
        y = shares**7
        return y**3, torch.stack([3 * y**2, y], 1)[..., None]

    bent = Bent(torch.zeros(1, 1), torch.ones(1, 1))
    options = choice("integrated_gradients", tolerance=1e-5, steps=8).options
    found = integral(options, bent, squares, torch.tensor([0.0, 1 + 2 / 3 + 1 / 2]))
    assert float(found.values) == pytest.approx(1 + 2 / 3 + 1 / 2, abs=1e-6) and found.points == 9
    found = integral(options, bent, steep, torch.tensor([0.0, 1.0]))
    assert float(found.values) == pytest.approx(1.0, abs=2e-5) and 9 < found.points < 500 and not found.words


def test_a_jump_is_given_up_where_float32_tells_no_points_apart_and_its_cuts_stay_in_order() -> None:
    passes = []

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        passes.append(shares.tolist())
        return shares + (shares > 0.3), torch.ones(len(shares), 1)

    found = integral(
        choice("integrated_gradients", most=4000).options, Straight(torch.ones(1, 1)), look, torch.tensor([0.0, 2])
    )
    points = [share for some in passes for share in some]
    assert found.points == len(points) == len({*points}) and len(passes) < 25
    assert found.cuts == sorted({*found.cuts}) and found.gap == pytest.approx(0.5, abs=1e-3)
    assert "30.0% of the way" in found.words[0] and "jumps" in found.words[0] and "at most" not in found.words[0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["gradient", "end"])
def test_what_is_not_finite_is_given_up_at_once(bad: float, where: str) -> None:

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        return shares, torch.full((len(shares), 1), bad if where == "gradient" else 1.0)

    ends = torch.tensor([0.0, bad if where == "end" else 1.0])
    assert integral(choice("integrated_gradients").options, Straight(torch.ones(1, 1)), look, ends).points == 33


def test_symmetry_and_dummy() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    with torch.no_grad():
        first = network[0].weight
        first[:, 1], first[:, 3] = first[:, 0], 0.0
    found = made(case(network, torch.tensor([[0.7, 0.7, -0.2, 0.9]]), target="2"), "integrated_gradients")
    assert abs(found.attribution[0] - found.attribution[1]) < 1e-6 and found.attribution[3] == 0


def test_an_input_that_is_its_own_baseline_has_nothing_to_explain() -> None:
    found = made(case(linear(), torch.zeros(1, 6), target="0"), "integrated_gradients")
    assert found.gap is None and found.holds is None and found.delta == pytest.approx(0, abs=1e-6)
    assert any("nothing to explain" in sentence for sentence in found.words)


def test_ten_thousand_points_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="between 8 and 2,000"):
        choice("integrated_gradients", steps=10_000)
