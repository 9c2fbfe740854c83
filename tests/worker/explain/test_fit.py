"""Fit before run: where Captum is wrong without a word, it is shown to be wrong, and then withheld or mended."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.catalog.entries import OTHER, PICTURE, READY, SEQUENCE, VECTOR, WITHHELD, Fit, Form
from core.spec import registry
from core.worker.explain import Case, attribute
from core.worker.explain.attribute import fit_of
from core.worker.model.modules.attention import TransformerBlock
from core.worker.model.modules.shapes import Flatten
from tests.trained import Trained
from tests.worker.explain import networks
from tests.worker.explain.conftest import case, choice, of_run
from tests.worker.explain.networks import clean, picture, sequence, vector

KINDS = {1: VECTOR, 2: SEQUENCE, 3: PICTURE}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells how it is built
        yield


def of(network: nn.Module, x: Tensor, **given: Any) -> Case:
    """The case of logit 1 of this network."""
    shape = tuple(x.shape[1:])
    return case(network.eval(), x, form=Form(KINDS[len(shape)], shape), **{"target": "1", **given})


def fit(method: str, network: nn.Module, x: Tensor) -> Fit:
    return fit_of(registry.METHODS.get(method), of(network, x))


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(network(x)[:, 1].sum(), x)[0]


def gap(network: nn.Module, x: Tensor, baseline: Tensor) -> float:
    """How far plain Captum's DeepLift is from completeness; 1 where it raises."""
    try:
        found = captum.attr.DeepLift(network).attribute(x, baseline, target=1)
    except RuntimeError as error:
        assert "used more than once" in str(error)
        return 1.0
    difference = float(network(x)[0, 1] - network(baseline)[0, 1])
    return abs(float(found.sum()) - difference) / abs(difference)


def apart_from(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((one - other).abs().max() / other.abs().max())


# ── DeepLift ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def block() -> nn.Module:
    """A Transformer block, read by its mean."""
    torch.manual_seed(0)

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(1)

    return nn.Sequential(TransformerBlock(8, 2, 2, 0.0, True), Mean(), nn.Linear(8, 3))


def pool_first() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), Flatten(), nn.Linear(144, 3))


DEEP_LIFT: list[tuple[str, Callable[[], nn.Module], Callable[..., Tensor], str, str]] = [
    ("a ReLU meets a max-pool", lambda: clean(apart=False), picture, OTHER, "net.2 and net.5"),
    ("a ReLU in place meets it", lambda: clean(apart=False, inplace=True), picture, OTHER, "net.2 and net.5"),
    ("a tanh meets it", lambda: clean(nn.Tanh, apart=False), picture, OTHER, "net.2"),
    ("a max-pool meets a ReLU", pool_first, picture, OTHER, "net.2"),
    ("functions", networks.Functional, picture, OTHER, "net: relu"),
    ("one ReLU called everywhere", networks.Shared, picture, OTHER, "several calls share net.relu and net.pool"),
    ("windows overlap", networks.overlapping, picture, OTHER, "net.3"),
    ("GELU", lambda: clean(nn.GELU), picture, OTHER, "gelu"),
    ("SiLU", lambda: clean(nn.SiLU), picture, OTHER, "silu"),
    ("ReLU6", lambda: clean(nn.ReLU6), picture, OTHER, "hardtanh"),
    ("a ReLU as clamp", lambda: networks.Functional(lambda x: x.clamp(min=0)), picture, OTHER, "net: clamp"),
    ("a gate", networks.Gate, picture, WITHHELD, "net, where two signals are multiplied"),
    ("a ReLU by hand", networks.ByHand, vector, WITHHELD, "two signals are multiplied"),
    ("a function nobody knows", networks.Sorted, vector, WITHHELD, "net: sort"),
    ("LayerNorm", networks.Normed, vector, WITHHELD, "net.norm"),
    ("a Transformer block", block, sequence, WITHHELD, "net.0.attention"),
    ("attention by hand", networks.HandAttention, sequence, WITHHELD, "net.softmax"),
    ("torch's Transformer", lambda: networks.Sequence("Encoder"), sequence, WITHHELD, "net.core.self_attn"),
    ("RNN", lambda: networks.Sequence("RNN"), sequence, WITHHELD, "net.core"),
    ("LSTM", lambda: networks.Sequence("LSTM"), sequence, WITHHELD, "net.core"),
    ("GRU", lambda: networks.Sequence("GRU"), sequence, WITHHELD, "net.core"),
]


@pytest.mark.parametrize(("what", "make", "draw", "status", "named"), DEEP_LIFT, ids=[row[0] for row in DEEP_LIFT])
def test_where_captums_deep_lift_is_wrong_it_is_withheld_or_mended(
    what: str, make: Callable[[], nn.Module], draw: Callable[..., Tensor], status: str, named: str
) -> None:
    network, x = make().eval(), draw(1)
    this = of(network, x)
    for method in ("deep_lift", "deep_lift_shap"):
        judged = fit_of(registry.METHODS.get(method), this)
        assert judged.status == status and named in judged.reason, (what, judged)
    if status == OTHER:
        found = attribute(this, choice("deep_lift", baseline="noise"))
        baseline = torch.from_numpy(found.arrays["baseline"])[None]
        assert found.gap is not None and found.gap <= 1e-4 and found.holds
    else:
        baseline = draw(2)
        assert attribute(this, choice("deep_lift")).withheld
    assert gap(network, x, baseline) > 0.01, "plain Captum is wrong here, and does not say so"


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "Encoder"])
def test_captums_deep_lift_of_a_recurrent_network_is_the_gradient_times_the_difference(kind: str) -> None:
    network, x, baseline = networks.Sequence(kind).eval(), sequence(1), sequence(2)
    theirs = captum.attr.DeepLift(network).attribute(x, baseline, target=1)
    assert apart_from(theirs, (x - baseline) * gradient(network, x)) < 1e-5


def test_captums_deep_lift_through_a_softmax_depends_on_the_other_rows() -> None:
    network = networks.HandAttention().eval()
    alone = captum.attr.DeepLift(network).attribute(sequence(1), sequence(2), target=1)
    x, baseline = torch.cat([sequence(1), sequence(3)]), torch.cat([sequence(2), sequence(4)])
    beside = captum.attr.DeepLift(network).attribute(x, baseline, target=1)[:1]
    assert apart_from(beside, alone) > 0.02


def test_deep_lift_is_ready_where_captum_is_right() -> None:
    for network in (clean(), clean(nn.Tanh), clean(pool=nn.AvgPool2d, apart=False), networks.Sum().eval()):
        assert fit("deep_lift", network, picture()) == Fit(READY)
        assert gap(network, picture(1), picture(2)) < 1e-5
    inplace = clean(pool=nn.AvgPool2d, apart=False, inplace=True)
    assert fit("deep_lift", inplace, picture()).status == READY and gap(inplace, picture(1), picture(2)) < 1e-5


# ── guided backprop, deconvolution ───────────────────────────────────────────────────────────────────────────────────

PLAIN: list[tuple[str, Callable[[], nn.Module], Callable[..., Tensor], str]] = [
    ("RNN", lambda: networks.Sequence("RNN"), sequence, "net.core"),
    ("LSTM", lambda: networks.Sequence("LSTM"), sequence, "net.core"),
    ("GRU", lambda: networks.Sequence("GRU"), sequence, "net.core"),
    ("torch's Transformer", lambda: networks.Sequence("Encoder"), sequence, "net.core.self_attn"),
    ("a Transformer block", block, sequence, "has none"),
    ("tanh", lambda: clean(nn.Tanh), picture, "has none"),
    ("GELU", lambda: clean(nn.GELU), picture, "has none"),
    ("a linear network", lambda: nn.Sequential(Flatten(), nn.Linear(144, 3)), picture, "has none"),
    ("a ReLU by hand", networks.ByHand, vector, "has none"),
]


@pytest.mark.parametrize(("what", "make", "draw", "named"), PLAIN, ids=[row[0] for row in PLAIN])
def test_where_captums_guided_backprop_is_the_plain_gradient_it_is_withheld(
    what: str, make: Callable[[], nn.Module], draw: Callable[..., Tensor], named: str
) -> None:
    torch.manual_seed(0)
    network, x = make().eval(), draw(1)
    for theirs in (captum.attr.GuidedBackprop, captum.attr.Deconvolution):
        assert apart_from(theirs(network).attribute(x, target=1), gradient(network, x)) < 1e-6
    for method in ("guided_backprop", "deconvolution"):
        judged = fit(method, network, x)
        assert judged.status == WITHHELD and named in judged.reason, what


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution"])
def test_functional_relus_give_captum_the_plain_gradient_and_us_the_map_of_the_twin_with_modules(method: str) -> None:
    classes = {"guided_backprop": captum.attr.GuidedBackprop, "deconvolution": captum.attr.Deconvolution}
    network, x = networks.Functional().eval(), picture()
    assert apart_from(classes[method](network).attribute(x, target=1), gradient(network, x)) < 1e-6
    found = attribute(of(network, x), choice(method))
    assert "net: relu" in found.words[0]
    right = classes[method](clean()).attribute(x, target=1)
    assert apart_from(torch.from_numpy(found.attribution)[None], right) < 1e-6
    assert apart_from(right, gradient(network, x)) > 0.1


def test_relu6_is_unknown_to_captum_and_has_a_way_here() -> None:
    network, x = clean(nn.ReLU6), picture()
    assert apart_from(captum.attr.GuidedBackprop(network).attribute(x, target=1), gradient(network, x)) < 1e-6
    assert fit("guided_backprop", network, x).status == OTHER
    found = torch.from_numpy(attribute(of(network, x), choice("guided_backprop")).attribution)[None]
    assert apart_from(found, gradient(network, x)) > 0.1
    below = captum.attr.GuidedBackprop(clean(nn.ReLU)).attribute(x, target=1)  # nothing reaches 6 here
    assert apart_from(found, below) < 1e-6


def test_a_network_of_which_relus_are_only_a_part_is_withheld() -> None:
    hand, x = networks.HandAttention().eval(), sequence()
    assert apart_from(captum.attr.GuidedBackprop(hand).attribute(x, target=1), gradient(hand, x)) > 0.05
    assert fit("guided_backprop", hand, x).status == WITHHELD  # it would be half a gradient
    mixed = nn.Sequential(Flatten(), nn.Linear(144, 8), nn.ReLU(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3))
    judged = fit("deconvolution", mixed, picture())
    assert judged.status == WITHHELD and "sigmoid" in judged.reason


def test_guided_grad_cam_needs_maps_and_relus() -> None:
    assert fit("guided_grad_cam", clean(), picture()).status == READY
    assert fit("guided_grad_cam", networks.Functional(), picture()).status == OTHER
    without = nn.Sequential(Flatten(), nn.Linear(144, 4), nn.ReLU(), nn.Linear(4, 3))
    assert "has none" in fit("guided_grad_cam", without, picture()).reason
    lstm = networks.Sequence("LSTM")
    assert fit("guided_grad_cam", lstm, sequence()).status == WITHHELD
    with pytest.raises((AssertionError, AttributeError)):
        captum.attr.GuidedGradCam(lstm.eval(), lstm.core).attribute(sequence(), target=1)


# ── LRP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "draw", "named"),
    [
        (networks.Normed, vector, "net.norm"),
        (lambda: networks.Sequence("LSTM"), sequence, "net.core"),
        (block, sequence, "net.0.attention"),
        (lambda: networks.Sequence("Encoder"), sequence, "net.core.self_attn"),
        (networks.HandAttention, sequence, "net.softmax"),
    ],
)
def test_lrp_is_withheld_where_captum_has_no_rule(
    make: Callable[[], nn.Module], draw: Callable[..., Tensor], named: str
) -> None:
    with pytest.raises(TypeError, match="no rule defined"):
        captum.attr.LRP(make().eval()).attribute(draw(), target=1)
    judged = fit("lrp", make(), draw())
    assert judged.status == WITHHELD and named in judged.reason


def test_lrp_goes_another_way_where_captum_fails_or_is_wrong() -> None:
    shared, x = networks.Shared().eval(), picture()
    with pytest.raises(RuntimeError, match="used more than once"):
        captum.attr.LRP(shared).attribute(x, target=1)
    assert "several calls share net.relu" in fit("lrp", shared, x).reason
    assert "net: relu" in fit("lrp", networks.Functional(), x).reason
    assert "the sum of two signals in net" in fit("lrp", networks.Sum(), x).reason
    with pytest.raises(TypeError, match="Flatten"):
        captum.attr.LRP(clean(pool=nn.AvgPool2d, apart=False)).attribute(x, target=1)
    assert "net.6 (Flatten)" in fit("lrp", clean(apart=False), x).reason
    assert fit("lrp", nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)), vector()) == Fit(READY)


def test_lrp_has_no_way_through_an_activation_that_is_not_zero_at_zero() -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.Sigmoid(), nn.Linear(4, 3))
    with pytest.raises(TypeError, match="no rule defined"):
        captum.attr.LRP(network.eval()).attribute(vector(), target=1)
    judged = fit("lrp", network, vector())
    assert judged.status == WITHHELD and "sigmoid" in judged.reason


# ── the presets ──────────────────────────────────────────────────────────────────────────────────────────────────────

RULES = ("deep_lift", "deep_lift_shap", "guided_backprop", "deconvolution", "guided_grad_cam", "lrp")
R, X, W = READY, OTHER, WITHHELD
PRESETS = [
    ("mlp", "digits", (R, R, R, R, W, X)),
    ("cnn", "digits", (X, X, R, R, R, X)),
    ("lenet", "digits", (X, X, R, R, R, X)),
    ("resnet8", "digits", (R, R, R, R, R, X)),
    ("resnet20", "digits", (R, R, R, R, R, X)),
    ("rnn", "digits", (W,) * 6),
    ("lstm", "digits", (W,) * 6),
    ("gru", "digits", (W,) * 6),
    ("transformer", "order", (W,) * 6),
    ("vit", "digits", (W,) * 6),
]


@pytest.mark.slow_for("resnet20")
@pytest.mark.parametrize(("preset", "data", "expected"), PRESETS, ids=[row[0] for row in PRESETS])
def test_what_the_presets_are_offered(preset: str, data: str, expected: tuple[str, ...], trained: Trained) -> None:
    this = of_run(trained(preset, data, steps=1, **{"data.samples": 200} if data == "order" else {}))
    judged = [fit_of(registry.METHODS.get(name), this) for name in RULES]
    assert tuple(one.status for one in judged) == expected
    assert all(one.reason.endswith(".") for one in judged if one.status != READY)


class Steps(nn.Module):
    """Reads only which values are positive, for [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return self.head((y > 0).float()) + 0 * x.sum()


class Cube(torch.autograd.Function):
    """x³, in a class of its own: torch tells nobody that it is called."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * gradient


class OutOfSight(nn.Module):
    """For [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(Cube.apply(self.linear(x)))


@pytest.mark.parametrize("make", [Steps, OutOfSight])
def test_what_cannot_be_seen_or_followed_is_withheld(make: Callable[[], nn.Module]) -> None:
    network = make().eval()
    assert gap(network, vector(1), vector(2)) > 0.01
    for method in ("deep_lift", "lrp"):
        judged = fit(method, network, vector())
        assert judged.status == WITHHELD and "no rule for the function in net" in judged.reason


def test_a_functional_relu_on_a_functional_pool_of_other_kinds_is_judged_too() -> None:
    class Adaptive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.adaptive_max_pool2d(F.relu(self.conv(x)), 1).flatten(1))

    judged = fit("deep_lift", Adaptive(), picture())
    assert judged.status == WITHHELD and "adaptive_max_pool2d" in judged.reason
