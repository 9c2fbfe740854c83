"""LRP with the ε rule against the formula of the paper, written down layer by layer with dense matrices."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.worker.explain import attribute
from core.worker.model.modules.residual import Pad
from core.worker.model.modules.shapes import Flatten, GlobalPool
from tests.trained import Trained
from tests.worker.explain import networks
from tests.worker.explain.conftest import case, choice, linear, made, of_run, why
from tests.worker.explain.methods.test_rules import of, off
from tests.worker.explain.networks import clean, picture, vector
from tests.worker.explain.test_every_method import run_lines


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells how it is built
        yield


class Moving(nn.Module):
    """A function that only moves values: none is summed, weighed or changed."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


def slow(parts: list[nn.Module], x: Tensor, epsilon: float, target: int = 1) -> Tensor:
    """R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) · R_j for every affine part; activations hand on; a max has one winner.

    Bach 2015, equation 58; Montavon 2019, section 10.2.1. Affine parts are made dense: w is the Jacobian.
    """
    parts = [part.double() for part in parts]
    given, at = [], x.double()
    for part in parts:
        given.append(at)
        at = part(at).detach()
    relevance = torch.zeros_like(at)
    relevance[0, target] = at[0, target]
    for part, x_i in zip(reversed(parts), reversed(given), strict=True):
        z = part(x_i).detach()
        if isinstance(part, nn.ReLU | nn.Tanh | nn.GELU | nn.LeakyReLU):
            continue
        w = torch.autograd.functional.jacobian(part, x_i)  # [*z, *x]; of a max-pool: 1 at the winner
        of_one = isinstance(part, GlobalPool) and x_i.shape[2:].numel() == 1  # the mean of one value is that value
        if isinstance(part, nn.MaxPool2d | Flatten | Moving) or of_one:
            share = relevance.reshape(-1)
            relevance = (w.reshape(z.numel(), -1).T @ share).reshape(x_i.shape)
            continue
        sign = torch.where(z < 0, -1.0, 1.0).double()
        share = (relevance / (z + epsilon * sign)).reshape(-1)
        relevance = x_i * (w.reshape(z.numel(), -1).T @ share).reshape(x_i.shape)
    return relevance


def test_without_biases_it_is_weight_times_input_and_sums_to_the_answer() -> None:
    network, x = linear(bias=False), torch.randn(1, 6)
    found = made(case(network, x, target="1"), "lrp", epsilon=1e-9)
    assert np.abs(found.attribution - (network.weight[1] * x[0]).detach().numpy()).max() <= 6e-7
    assert found.holds and found.delta == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("epsilon", [1e-6, 0.1, 1.0])
@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh, nn.GELU, nn.LeakyReLU])
def test_it_is_the_papers_formula(act: Any, epsilon: float) -> None:
    for pool in (nn.MaxPool2d, nn.AvgPool2d):
        network = clean(act, pool, apart=False)
        found = made(of(network, picture()), "lrp", epsilon=epsilon)
        assert off(found.attribution, slow([*clean(act, pool, apart=False)], picture(), epsilon)) < 1e-5


def normed(folded: bool = False) -> nn.Sequential:
    """conv, batch norm, ReLU, max-pool, conv, batch norm, ReLU, means, linear; folded: the first two as one part."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for gets, gives in ((1, 4), (4, 5)):
        norm = nn.BatchNorm2d(gives)
        for value in (norm.running_mean, norm.bias):
            assert value is not None
            nn.init.normal_(value)
        assert norm.running_var is not None
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        pair = [nn.Conv2d(gets, gives, 3, bias=gets == 1), norm]
        parts += [nn.Sequential(*pair)] if folded else pair
        parts += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, GlobalPool(), nn.Linear(5, 3)).eval()


@pytest.mark.parametrize("epsilon", [1e-6, 0.1])
def test_a_batch_norm_is_one_sum_with_the_convolution_before_it(epsilon: float) -> None:
    this = of(normed(), picture())
    assert this.findings.foldable == (("net.0", "net.1"), ("net.4", "net.5"))
    found = attribute(this, choice("lrp", epsilon=epsilon))
    assert off(found.attribution, slow([*normed(folded=True)], picture(), epsilon)) < 1e-5
    apart = slow([*normed()], picture(), epsilon)
    assert (off(found.attribution, apart) > 1e-2) == (epsilon > 0.01)  # two sums absorb more than one
    assert "net.1 into net.0" in found.words[0]


@pytest.mark.slow
def test_folding_changes_no_answer(trained: Trained) -> None:
    for preset, changes in (("cnn", {}), ("resnet8", {"model.width": 4})):
        this = of_run(trained(preset, "digits", steps=40, **changes), 1)
        before = this.logits(this.inputs)
        this.fold()
        assert torch.allclose(this.logits(this.inputs), before, atol=1e-4)
        assert this.findings.foldable and not any(isinstance(m, nn.BatchNorm2d) for m in this.network.modules())


def test_a_shortcut_is_shared_out_as_captum_does_it_with_a_module_and_not_without() -> None:
    right = captum.attr.LRP(networks.Sum(module=True).eval()).attribute(picture(), target=1)
    without, delta = captum.attr.LRP(networks.Sum().eval()).attribute(
        picture(), target=1, return_convergence_delta=True
    )
    answer = float(networks.Sum()(picture())[0, 1])
    assert abs(float(delta)) > 0.5 * abs(answer) and off(without, right) > 0.1  # silently wrong
    found = made(of(networks.Sum(), picture()), "lrp", epsilon=1e-9)
    assert off(found.attribution, right) < 1e-5
    assert found.holds and found.gap is not None and found.gap < 1e-5  # no bias: the relevance is conserved


MOVERS: dict[str, Callable[[Tensor], Tensor] | nn.Module] = {
    "a pool of 1×1": lambda x: F.avg_pool2d(x, 1, 2),
    "its module": nn.AvgPool2d(1, 2),
    "an adaptive pool to the same size": lambda x: F.adaptive_avg_pool2d(x, x.shape[2:]),
    "its module too": nn.AdaptiveAvgPool2d(12),
    "a mean of one": lambda x: x[:, :, None].mean(2),
    "a padded shortcut": Pad(4, 9, 2),
    "padding": lambda x: F.pad(x, (1, 0, 2, 1)),
    "reflected": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "a slice": lambda x: x[:, 1:3, ::2, ::3],
    "index select": lambda x: x.index_select(1, torch.tensor([2, 0, 2])),
    "gather": lambda x: x.gather(1, torch.tensor([3, 0]).view(1, 2, 1, 1).expand(len(x), 2, 12, 12)),
    "reshape": lambda x: x.reshape(len(x), 2, 24, 12),
    "flatten": nn.Flatten(2),
    "unflatten": nn.Unflatten(1, (2, 2)),
    "permute": lambda x: x.permute(0, 3, 1, 2),
    "transpose": lambda x: x.transpose(2, 3).contiguous(),
    "concatenation": lambda x: torch.cat([x[:, 2:], x[:, :2], x], 1),
    "stack": lambda x: torch.stack([x, x], 2),
    "chunks": lambda x: x.chunk(2, 1)[1],
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "roll": lambda x: x.roll(3, 2),
    "flip": lambda x: x.flip(3),
    "pixel shuffle": nn.PixelShuffle(2),
    "nearest": nn.Upsample(scale_factor=2),
    "windows": lambda x: x.unfold(2, 4, 4),
    "dropout": nn.Dropout(0.5),
    "identity": nn.Identity(),
    "max-pool": nn.MaxPool2d(2),
    "overlapping max-pool": nn.MaxPool2d(3, 2),
    "a clone": lambda x: x.clone(),
    "squeeze": lambda x: x.unsqueeze(2).squeeze(2),
}


@pytest.mark.each_value
@pytest.mark.parametrize("epsilon", [1e-6, 0.1, 1.0])
@pytest.mark.parametrize("kind", MOVERS)
def test_what_only_moves_values_hands_relevance_on_as_it_is(kind: str, epsilon: float) -> None:
    mover = MOVERS[kind]
    given = mover.eval() if isinstance(mover, nn.Module) else Moving(mover)
    after = given(torch.zeros(1, 4, 12, 12)).numel()

    def parts(moving: nn.Module) -> list[nn.Module]:
        torch.manual_seed(0)
        return [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), moving, Flatten(), nn.Linear(after, 3)]

    at = of(nn.Sequential(*parts(given)).eval(), picture())
    found = attribute(at, choice("lrp", epsilon=epsilon))
    right = slow([part.eval() for part in parts(Moving(given))], picture(), epsilon)
    assert off(found.attribution, right) < 1e-5
    again = run_lines(found.code, of(nn.Sequential(*parts(given.float())).eval(), picture()), found)
    assert off(again, right) < 1e-4, found.code


@pytest.mark.parametrize("epsilon", [1e-6, 0.1, 1.0])
def test_a_padded_shortcut_beside_a_convolution_against_dense_matrices(epsilon: float) -> None:
    """Where both are added each has its share of the sum; what the shortcut picks then goes back as it is."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.relu, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.ReLU()
            self.branch, self.shortcut = nn.Conv2d(4, 8, 3, 2, 1), Pad(4, 8, 2)
            self.head = nn.Linear(288, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.first(x))
            return self.head(self.act(self.branch(x) + self.shortcut(x)).flatten(1))

    block = Block().eval()
    found = attribute(of(block, picture()), choice("lrp", epsilon=epsilon))
    block = block.double()
    x = picture().double()
    inner = block.relu(block.first(x)).detach()
    one, other = block.branch(inner).detach(), block.shortcut(inner).detach()

    def back(part: Any, x_i: Tensor, relevance: Tensor, eps: float | None) -> Tensor:
        z, w = part(x_i).detach(), torch.autograd.functional.jacobian(part, x_i)
        if eps is None:  # only moved
            return (w.reshape(z.numel(), -1).T @ relevance.reshape(-1)).reshape(x_i.shape)
        share = relevance / (z + eps * torch.where(z < 0, -1.0, 1.0).double())
        return x_i * (w.reshape(z.numel(), -1).T @ share.reshape(-1)).reshape(x_i.shape)

    answer = block(x).detach()
    top = torch.zeros_like(answer)
    top[0, 1] = answer[0, 1]
    total = back(lambda y: block.head(block.act(y).flatten(1)), one + other, top, epsilon)
    shares = [torch.where(one + other == 0, 0.0, part / (one + other)) * total for part in (one, other)]
    relevance = back(block.branch, inner, shares[0], epsilon) + back(block.shortcut, inner, shares[1], None)
    right = back(block.first, x, relevance, epsilon)
    assert off(found.attribution, right) < 1e-5


class Loose(nn.Module):
    """A convolution, a ReLU, and the maps' means taken by a function."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.head = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


def test_captum_does_not_see_a_mean_that_is_a_function_and_shares_it_out_evenly() -> None:
    network = Loose().eval().requires_grad_(False)
    right = slow([network.conv, network.relu, GlobalPool(), network.head], picture(), 1e-9)
    network = network.float()
    assert off(captum.attr.LRP(network).attribute(picture(), target=1), right) > 0.1
    this = of(network, picture())
    assert this.findings.loose == ("net: mean",)
    found = made(this, "lrp", epsilon=1e-9)
    assert off(found.attribution, right) < 1e-5 and "net: mean" in found.words[0] and "Overruled" in found.code


def test_with_biases_no_sum_is_promised_and_it_says_why() -> None:
    found = made(of(clean(), picture()), "lrp")
    assert found.gap is None and found.holds is None
    assert any("Biases and shifts (net.0, net.4 and 2 more)" in sentence for sentence in found.words)
    answer = float(clean()(picture())[0, 1])
    assert abs(found.attribution.sum() - answer) > 0.05 * abs(answer)  # it would not hold


def test_with_relus_and_a_small_epsilon_it_is_input_times_gradient_and_says_so(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    found, this = why(run, "lrp", 1), of_run(run, 1)
    _value, gradient = this.gradients(this.inputs)
    assert off(found.attribution, this.inputs * gradient) < 1e-3
    assert off(why(run, "lrp", 1, epsilon=1e-9).attribution, this.inputs * gradient) < 1e-5
    assert any("Input × Gradient" in sentence for sentence in found.words)
    large = why(run, "lrp", 1, epsilon=1.0)
    assert not any("Input × Gradient" in sentence for sentence in large.words)
    assert off(large.attribution, found.attribution) > 0.05


def test_of_a_difference_of_two_answers_each_has_its_own_relevance_and_captum_gives_both_the_same() -> None:
    network, x = linear(bias=False), torch.randn(1, 6)
    found = made(case(network, x, target="1-0"), "lrp", epsilon=1e-9)
    right = (network.weight[1] - network.weight[0]) * x[0]
    assert np.abs(found.attribution - right.detach().numpy()).max() <= 6e-7
    assert "Overruled" in found.code
    theirs = captum.attr.LRP(case(network, x, target="1-0").model).attribute(x)
    assert off(theirs, right) > 0.1


def test_a_failed_lrp_of_captum_leaves_its_rules_behind_and_ours_leaves_nothing() -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), Flatten(), nn.Linear(4, 3)).eval()
    with pytest.raises(TypeError, match="no rule"):
        captum.attr.LRP(network).attribute(vector(), target=1)
    assert hasattr(network[0], "rule")
    fresh = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), Flatten(), nn.Linear(4, 3)).eval()
    this = of(fresh, vector())
    one = attribute(this, choice("lrp"))
    two = attribute(of(fresh, vector()), choice("lrp"))
    assert np.array_equal(one.attribution, two.attribution)
    assert not any(hasattr(m, "rule") for m in (*fresh.modules(), *this.network.modules()))
