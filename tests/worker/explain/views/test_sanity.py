"""The sanity check: a cascade of fresh weights by hand, ranks against scipy, and verdicts that are known beforehand."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from core.catalog.views.sanity import BETWEEN, DEPENDS, FEW, GONE, INDEPENDENT, NOISE, Sanity
from core.spec.options import SpecError
from core.spec.questions import Explain
from core.worker.explain.methods.controls import fresh
from core.worker.explain.views import sanity
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.explain.conftest import of_run, why
from tests.worker.look.conftest import ask, subject


@pytest.fixture(scope="module")
def cnn(trained: Trained) -> Any:
    return trained("cnn", "digits", steps=150)


def test_the_correlation_of_ranks_is_scipys_also_with_ties() -> None:
    rng = np.random.default_rng(0)
    for digits in (0, 1, 5):
        one, other = rng.standard_normal((2, 60)).round(digits)
        assert sanity.spearman(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert sanity.spearman(one, one**3) == pytest.approx(1.0) and sanity.spearman(one, -one) == pytest.approx(-1.0)
    assert np.isnan(sanity.spearman(one, np.ones(60))) and np.isnan(sanity.spearman(one, np.full(60, np.nan)))


@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("edge_filter", INDEPENDENT),
        ("input_magnitude", INDEPENDENT),
        ("random", INDEPENDENT),
        ("saliency", DEPENDS),
        ("integrated_gradients", DEPENDS),
    ],
)
def test_controls_do_not_depend_on_a_trained_network_and_gradients_do(cnn: Any, method: str, verdict: str) -> None:
    for sample in (0, 3, 5):
        seen = ask(cnn, "sanity", sample=sample, method=method)
        last = seen.arrays["correlation"][-1]
        assert seen.facts.verdict == verdict, (sample, last)
        assert last.min() > 0.999 if verdict == INDEPENDENT else abs(last.mean()) < 0.3
        assert ("does not depend" in seen.words[0]) == (verdict == INDEPENDENT)


@pytest.mark.slow
@pytest.mark.slow
def test_guided_backprop_keeps_much_of_its_map_where_the_gradient_does_not(cnn: Any) -> None:
    """Adebayo 2018, figure 2 and section 4.1: it hardly sees that the upper layers are random."""
    kept = {
        method: np.mean([ask(cnn, "sanity", sample=s, method=method).arrays["correlation"] for s in (0, 3, 5)], (0, 2))
        for method in ("guided_backprop", "saliency")
    }
    assert (kept["guided_backprop"][1:] > kept["saliency"][1:] + 0.2).all(), kept
    assert ask(cnn, "sanity", sample=3, method="guided_backprop").facts.verdict == BETWEEN


def test_by_size_integrated_gradients_keeps_the_order_of_the_input(cnn: Any) -> None:
    """What multiplies by the input looks alike whatever the network (Adebayo 2018, section 5.2)."""
    seen = ask(cnn, "sanity", sample=3, method="integrated_gradients", values="absolute")
    assert seen.facts.verdict == BETWEEN and "only in part" in seen.words[0]
    assert seen.arrays["correlation"][-1].mean() > 0.5 and seen.arrays["input"] > 0.5


def test_at_depth_0_it_is_the_methods_own_map(cnn: Any) -> None:
    seen = ask(cnn, "sanity", sample=3, method="saliency")
    np.testing.assert_array_equal(seen.arrays["maps"][0], why(cnn, "saliency", 3).attribution.sum(0))
    assert (seen.arrays["correlation"][0] == 1).all()
    assert seen.facts.layers == ("head", "norm2", "conv2", "norm1", "conv1")
    assert seen.arrays["depths"].tolist() == [0, 1, 2, 3, 4, 5]


def test_each_depth_is_the_map_of_a_network_whose_top_layers_are_new(cnn: Any) -> None:
    """By hand: only these layers differ from the trained network, and the map is that network's."""
    seen = ask(cnn, "sanity", sample=3, method="saliency", seeds=2)
    subject = subject_of(Explain(run=cnn.id, methods=(), sample=3, runs=str(cnn.path.parent)))
    target = of_run(cnn, 3).target.index
    for depth in (1, 3, 5):
        made = fresh(subject.layers, subject.form, 0)
        network = subject.copied()
        for name in ("head", "norm2", "conv2", "norm1", "conv1")[:depth]:
            setattr(network, name, getattr(made, name))
        x = subject.x.clone().requires_grad_()
        network(x)[0, target].backward()
        assert x.grad is not None
        np.testing.assert_allclose(seen.arrays["maps"][depth], x.grad[0].abs().sum(0), atol=1e-6)
        ranks = spearmanr(seen.arrays["maps"][0].ravel(), x.grad[0].abs().sum(0).ravel()).statistic
        assert seen.arrays["correlation"][depth, 0] == pytest.approx(ranks, abs=2e-3)


@pytest.mark.slow
def test_the_cascade_only_grows_and_leaves_the_run_alone(trained: Trained) -> None:
    run = trained("resnet8", "digits", steps=8)
    subject = subject_of(Explain(run=run.id, methods=(), sample=0, runs=str(run.path.parent)))
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    names = sanity.layers(subject.network)
    made = fresh(subject.layers, subject.form, 0)
    changed: set[str] = set()
    for depth in range(len(names) + 1):
        state = sanity.randomised(subject.network, made, names[:depth]).state_dict()
        now = {name for name, value in state.items() if not torch.equal(value, before[name])}
        assert changed <= now and {name.partition(".")[0] for name in now} <= set(names[:depth])
        assert depth == 0 or now - changed, "every depth changes something besides"
        changed = now
    after = subject.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_seeds_are_reproducible_and_differ(cnn: Any) -> None:
    one, again = (ask(cnn, "sanity", sample=3, method="saliency", seeds=2) for _twice in range(2))
    np.testing.assert_array_equal(one.arrays["correlation"], again.arrays["correlation"])
    np.testing.assert_array_equal(one.arrays["maps"], again.arrays["maps"])
    assert one.arrays["correlation"][1, 0] != one.arrays["correlation"][1, 1]
    more = ask(cnn, "sanity", sample=3, method="saliency", seeds=3)
    np.testing.assert_array_equal(more.arrays["correlation"][:, :2], one.arrays["correlation"])


def test_maps_of_random_values_are_the_reference(cnn: Any) -> None:
    drawn = ask(cnn, "sanity", sample=3, method="saliency", seeds=1).arrays["random"]
    assert len(drawn) == 20 and abs(drawn.mean()) < 0.05
    assert drawn.std() == pytest.approx(1 / np.sqrt(28 * 28 - 1), rel=0.5)  # the spread of ranks that agree by chance


def test_tokens_are_compared_without_padding_and_the_embedding_is_drawn_anew_last(trained: Trained) -> None:
    seen = ask(trained("transformer", "order", steps=40), "sanity", sample=3, method="input_magnitude")
    assert seen.facts.layers[-1] == "embedding"
    assert (seen.arrays["correlation"][:-1] > 0.999).all() and (seen.arrays["correlation"][-1] < 0.95).any()
    real = int((seen.facts.shown != 0).sum())
    assert seen.facts.count == real


def test_a_number_can_be_checked_too(trained: Trained) -> None:
    seen = ask(trained("gru", "adding", steps=8), "sanity", sample=3, method="saliency", seeds=1)
    assert seen.arrays["correlation"].shape == (3, 1) and seen.facts.explained.startswith("the answered number")


def test_a_few_values_and_equal_values_have_no_verdict(trained: Trained) -> None:
    seen = ask(trained("mlp", "points", steps=40), "sanity", method="saliency")
    assert seen.facts.verdict == FEW and "2 values" in seen.words[0]
    nothing = np.full((3, 2), np.nan)
    assert sanity.judged(nothing, 100) == GONE
    assert sanity.judged(np.array([[1.0, 1], [0.97, 0.99]]), 100) == INDEPENDENT
    assert sanity.judged(np.array([[1.0, 1], [0.90, 0.99], [0.97, 0.99]]), 100) == BETWEEN, "it has changed on the way"
    assert sanity.judged(np.array([[1.0, 1], [0.2, -0.1]]), 100) == DEPENDS
    assert sanity.judged(np.array([[1.0], [0.4]]), 100) == BETWEEN
    assert sanity.judged(np.array([[1.0, 1, 1, 1], [0.95, -0.95, 0.95, -0.95]]), 100) == BETWEEN, "only turned round"
    assert sanity.judged(np.array([[1.0], [0.4]]), 17) == DEPENDS, "among 17 values 0.4 is chance"


def test_seeds_that_disagree_are_told() -> None:
    facts = SimpleNamespace(method="M", layers=("head",), verdict=DEPENDS, count=100)
    for last, told in (([0.4, -0.3], True), ([0.1, -0.1], False)):
        arrays = {"correlation": np.array([[1.0, 1.0], last]), "input": np.array(0.2), "random": np.zeros(2)}
        assert any("from -0.30 to 0.40: much of this is luck" in one for one in sanity._said(facts, arrays)) == told


def test_a_deep_network_is_drawn_anew_in_strides(trained: Trained) -> None:
    assert sanity.depths_of(5) == [0, 1, 2, 3, 4, 5]
    deep = sanity.depths_of(58)
    assert len(deep) == sanity.MOST_DEPTHS and deep[0] == 0 and deep[-1] == 58 and sorted(set(deep)) == deep


def test_what_a_method_cannot_do_is_told(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotShow, match="Edge filter is for"):
        ask(trained("transformer", "order", steps=40), "sanity", method="edge_filter")
    with pytest.raises(SpecError, match="must be one of"):
        ask(trained("transformer", "order", steps=40), "sanity", method="tea_leaves")
    monkeypatch.setattr(sanity, "MOST", 10)
    with pytest.raises(SpecError, match="Choose fewer seeds"):
        ask(trained("transformer", "order", steps=40), "sanity", method="integrated_gradients")


def test_its_lines_of_pytorch_give_the_same_correlations(cnn: Any) -> None:
    seen = ask(cnn, "sanity", sample=3, method="saliency", seeds=1)
    subject = subject_of(Explain(run=cnn.id, methods=(), sample=3, runs=str(cnn.path.parent)))
    names: dict[str, Any] = {"network": subject.copied(), "x": subject.x}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells what it does to x
        exec(seen.code, names)
    assert names["correlation"][0] == pytest.approx(1.0)
    assert abs(names["correlation"][-1]) < 0.5


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency", "occlusion", "var_grad"])
def test_a_network_that_answers_the_same_whatever_it_is_given_has_no_ranks_to_compare(
    trained: Trained, method: str
) -> None:
    at = subject(trained("cnn", "digits", steps=8), "sanity")
    at.network = at.copied()
    with torch.no_grad():
        at.network.head.weight.mul_(1e-9)
        at.network.head.bias.add_(0.2)
    seen = sanity.look(at, Sanity(method=method, seeds=1), lambda *_told, part=None: None)
    assert seen.facts.verdict == NOISE and "rounding" in seen.words[0]
    assert not any("depends on the model" in sentence for sentence in seen.words)
