"""Deletion, insertion, infidelity and sensitivity: by brute force, against Captum's metrics, and all 120 orders."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import permutations
from typing import Any

import captum.metrics
import numpy as np
import pytest
import torch
from captum.attr import Saliency
from torch import Tensor, nn

from core.catalog.views.faithfulness import LOGIT, Faithfulness
from core.spec.options import SpecError
from core.spec.questions import Explain
from core.worker.explain import features
from core.worker.explain.explained_case import Case
from core.worker.explain.views import faithfulness
from core.worker.explain.views.faithfulness import RANDOM, Sample
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.explain.conftest import case, of_run, why
from tests.worker.look.conftest import ask


def tiny(features_: int = 5) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(features_, 8), nn.ReLU(), nn.Linear(8, 3))


def sample_of(at: Case, **options: Any) -> Sample:
    """One piece a feature, and zeros in their place."""
    asked = Faithfulness(**options)
    pieces = features.groups(at, asked)
    return Sample(None, at, pieces, features.kept(at, pieces, at.baseline(asked)), asked, "")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cnn(trained: Trained) -> Any:
    return trained("cnn", "digits", steps=150)


# ── deletion and insertion ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_curves_by_brute_force() -> None:
    network, x = tiny(), torch.randn(1, 5)
    sample = sample_of(case(network, x, target="2"))
    order = np.array([3, 0, 4, 1, 2])
    deletion, insertion = faithfulness.curves(sample, order)
    gone, there = x.clone(), torch.zeros(1, 5)
    for k in range(6):
        if k:
            gone[0, order[k - 1]], there[0, order[k - 1]] = 0.0, x[0, order[k - 1]]
        with torch.no_grad():
            assert deletion[k] == pytest.approx(float(network(gone).softmax(-1)[0, 2]), abs=1e-6)
            assert insertion[k] == pytest.approx(float(network(there).softmax(-1)[0, 2]), abs=1e-6)
    assert faithfulness.area(deletion) == pytest.approx((deletion[1:-1].sum() + deletion[[0, -1]].sum() / 2) / 5)
    logits, _inserted = faithfulness.curves(sample_of(case(network, x, target="2"), scale=LOGIT), order)
    assert logits[0] == pytest.approx(float(network(x)[0, 2].detach()), abs=1e-6)


def test_no_other_order_of_a_linear_network_has_less_under_deletion_or_more_under_insertion() -> None:
    torch.manual_seed(3)
    network, x = nn.Linear(5, 3), torch.randn(1, 5)
    at = case(network, x, target="0")
    sample = sample_of(at, scale=LOGIT)
    values = faithfulness.values_of(sample.pieces, (network.weight[0] * x).detach())
    best = faithfulness.ranked(values)
    areas = {
        order: [faithfulness.area(c) for c in faithfulness.curves(sample, np.array(order))]
        for order in permutations(range(5))
    }
    assert len(areas) == 120
    deleted, inserted = areas[tuple(int(i) for i in best)]
    assert deleted == min(one for one, _other in areas.values())
    assert inserted == max(other for _one, other in areas.values())


def test_a_piece_has_the_sum_of_its_values_and_padding_is_no_piece() -> None:
    pieces = torch.tensor([[[[0, 0, 1], [2, 2, 1]]]])
    attribution = torch.arange(12.0).view(1, 2, 2, 3)
    assert faithfulness.values_of(pieces, attribution).tolist() == [0 + 1 + 6 + 7, 2 + 5 + 8 + 11, 3 + 4 + 9 + 10]
    tokens = torch.tensor([0, 1, -1]).view(1, 3, 1)
    assert faithfulness.values_of(tokens, torch.tensor([[[2.0], [3.0], [50.0]]])).tolist() == [2, 3]
    assert faithfulness.ranked(np.array([1.0, 3.0, 1.0, 2.0])).tolist() == [1, 3, 0, 2]


def test_tokens_are_deleted_whole_and_padding_stays(trained: Trained) -> None:
    run = trained("transformer", "order", steps=40)
    seen = ask(run, "faithfulness", sample=2, methods="none", also="saliency", seeds=2)
    at = of_run(run, 2)
    real = int(at.real.sum())  # type: ignore[union-attr]
    assert seen.facts.pieces == [real] and len(seen.arrays["share"]) == real + 1
    values = why(run, "saliency", 2).attribution[:real]
    inputs = at.inputs.clone()
    inputs[0, int(values.argmax())] = at.baseline(Faithfulness())[0, 0]
    probability = float(at.logits(inputs).softmax(-1)[0, at.target.index])
    assert seen.arrays["deletion/saliency"][0, 1] == pytest.approx(probability, abs=1e-5)


# ── infidelity and sensitivity ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("normalize", [False, True])
def test_infidelity_is_captums(normalize: bool) -> None:
    """The same removed sets; Captum multiplies the map by what is removed, as for methods that multiply by input."""
    network, x = tiny(), torch.randn(1, 5)
    at = case(network, x, target="1")
    sample = sample_of(at)
    off, change = faithfulness.removals(sample, 4)
    attribution = at.gradients(at.inputs)[1] * at.inputs
    plain, share = faithfulness.infidelity(faithfulness.values_of(sample.pieces, attribution), off, change)
    removed = torch.from_numpy(off).float()

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return removed, inputs * (1 - removed)

    theirs = captum.metrics.infidelity(
        at.model,
        perturb,
        x,
        attribution,
        n_perturb_samples=len(off),
        max_examples_per_batch=len(off),
        normalize=normalize,
    )
    ours = share * np.mean(change**2) if normalize else plain
    assert ours == pytest.approx(float(theirs), rel=1e-4)


def test_a_perfect_map_has_no_infidelity_and_one_upside_down_has_all() -> None:
    torch.manual_seed(3)
    network, x = nn.Linear(5, 3), torch.randn(1, 5)
    sample = sample_of(case(network, x, target="0"))
    values = faithfulness.values_of(sample.pieces, (network.weight[0] * x).detach())
    off, change = faithfulness.removals(sample, 0)
    assert faithfulness.infidelity(values, off, change) == pytest.approx((0, 0), abs=1e-10)
    assert faithfulness.infidelity(3 * values, off, change)[1] == pytest.approx(0, abs=1e-10), "scale is no matter"
    assert faithfulness.infidelity(-values, off, change)[1] == pytest.approx(1, abs=1e-12)  # a quotient of sums
    assert faithfulness.infidelity(0 * values, off, change)[1] == pytest.approx(1, abs=1e-12)
    assert np.isnan(faithfulness.infidelity(values, off, 0 * change)[1])


def test_removals_are_what_the_logit_loses() -> None:
    network, x = tiny(), torch.randn(1, 5)
    off, change = faithfulness.removals(sample_of(case(network, x, target="1")), 2)
    assert off.shape == (faithfulness.REMOVALS, 5) and 0.3 < off.mean() < 0.7
    with torch.no_grad():
        lost = network(x)[0, 1] - network(x * torch.from_numpy(~off))[:, 1]
    np.testing.assert_allclose(change, lost, atol=1e-5)


@pytest.mark.slow
def test_sensitivity_is_captums(cnn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(Explain(run=cnn.id, methods=(), sample=3, runs=str(cnn.path.parent)))
    sample = faithfulness.cut(subject, Faithfulness(radius=0.1), lambda *_: None)
    choice = faithfulness.choose(sample.case, Faithfulness(methods="none", also="saliency"))[0][0]
    original = faithfulness._explained(sample, choice, lambda *_: None)
    used: list[Tensor] = []
    explained = faithfulness._explained
    monkeypatch.setattr(faithfulness, "_explained", lambda *a: (used.append(a[3]), explained(*a))[1])
    ours = faithfulness.sensitivity(sample, choice, original, 7, lambda *_: None)
    assert len(used) == faithfulness.TRIES and all(0 < one.abs().max() <= 0.1 * subject.x.abs().max() for one in used)

    def perturb(inputs: Tensor, *_radius: float) -> Tensor:
        return inputs + torch.cat(used)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells what it does to x
        theirs = captum.metrics.sensitivity_max(
            Saliency(sample.case.model).attribute,
            subject.x,
            perturb,
            n_perturb_samples=len(used),
            max_examples_per_batch=len(used),
        )
    assert ours == pytest.approx(float(theirs), rel=1e-4)


def test_a_map_that_never_changes_has_no_sensitivity_and_an_empty_one_has_none_to_tell() -> None:
    ones = np.ones(4)
    assert faithfulness.worst_change(ones, [ones, ones]) == 0
    assert faithfulness.worst_change(ones, [ones, 1.5 * ones]) == pytest.approx(0.5)
    assert np.isnan(faithfulness.worst_change(0 * ones, [ones]))
    assert np.isnan(faithfulness.worst_change(ones, []))


# ── the whole view ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_trained_networks_maps_are_better_than_chance_over_samples(cnn: Any) -> None:
    seen = ask(cnn, "faithfulness", methods="none", also="integrated_gradients, random", samples=12, side=7, seeds=5)
    a = seen.arrays
    deleted, chance = a["deletion_area/integrated_gradients"].mean(), a[f"deletion_area/{RANDOM}"].mean(0)
    assert deleted < chance.min()
    assert a["insertion_area/integrated_gradients"].mean() > a[f"insertion_area/{RANDOM}"].mean(0).max()
    assert a["infidelity/integrated_gradients"].mean() < a[f"infidelity/{RANDOM}"].mean()
    assert a["sensitivity/random"].max() == 0, "the control's map does not depend on the input"
    assert a["deletion/integrated_gradients"].shape == (12, 17) and a[f"deletion/{RANDOM}"].shape == (12, 5, 17)
    np.testing.assert_allclose(a["deletion/integrated_gradients"][:, 0], a[f"deletion/{RANDOM}"][:, 0, 0], atol=1e-6)
    assert any("No single number is a judge" in sentence for sentence in seen.words)


@pytest.mark.slow
def test_one_of_several_samples_is_that_sample_alone(cnn: Any) -> None:
    alone = ask(cnn, "faithfulness", sample=2, methods="none", also="saliency", side=7, seeds=2).arrays
    among = ask(cnn, "faithfulness", sample=9, methods="none", also="saliency", side=7, seeds=2, samples=3).arrays
    for name in alone:
        if name != "share":
            np.testing.assert_allclose(among[name][2], alone[name][0], atol=1e-6)


@pytest.mark.slow
def test_samples_of_different_length_share_one_way(trained: Trained) -> None:
    run = trained("transformer", "reviews", steps=8)
    seen = ask(run, "faithfulness", methods="none", also="saliency", seeds=2, samples=4)
    pieces = seen.facts.pieces
    assert len(set(pieces)) > 1 and len(seen.arrays["share"]) == max(pieces) + 1
    longest = int(np.argmax(pieces))
    alone = ask(run, "faithfulness", sample=longest, methods="none", also="saliency", seeds=2)
    name = "deletion/saliency"
    np.testing.assert_allclose(seen.arrays[name][longest], alone.arrays[name][0], atol=1e-5)


def test_baseline_and_pieces_are_those_of_the_methods_too(cnn: Any) -> None:
    at = of_run(cnn, 0)
    asked = Faithfulness(methods="none", also="integrated_gradients, feature_ablation", baseline="mean", side=7)
    chosen, _left_out = faithfulness.choose(at, asked)
    assert all(choice.options.baseline == "mean" for choice in chosen)  # type: ignore[attr-defined]
    assert chosen[1].options.side == 7  # type: ignore[attr-defined]


def test_what_is_left_out_is_told(trained: Trained, cnn: Any) -> None:
    seen = ask(
        trained("transformer", "order", steps=40), "faithfulness", methods="none", also="edge_filter, saliency", seeds=2
    )
    assert "Edge filter is left out: Edge filter is for" in seen.words[-1]
    with pytest.raises(CannotShow, match="no method left"):
        ask(trained("transformer", "order", steps=40), "faithfulness", methods="none", also="edge_filter")
    with pytest.raises(SpecError, match="there is no method called “tea”; there are saliency"):
        ask(cnn, "faithfulness", also="tea")
    with pytest.raises(SpecError, match="Choose fewer methods"):
        ask(cnn, "faithfulness", methods="perturbation", samples=100, seeds=30)


@pytest.mark.slow
def test_a_number_is_followed_as_it_is(trained: Trained) -> None:
    run = trained("gru", "adding", steps=8)
    seen = ask(run, "faithfulness", methods="none", also="saliency", seeds=2)
    assert seen.facts.followed == "number"
    assert seen.arrays["deletion/saliency"][0, 0] == pytest.approx(float(of_run(run).answers), abs=1e-5)


@pytest.mark.slow
def test_its_lines_of_pytorch_give_the_same_curves(cnn: Any) -> None:
    """With every value a piece and zeros in their place, as the lines have it."""
    asked = {"methods": "none", "also": "saliency", "pieces": "values", "baseline": "zero", "seeds": 2}
    seen = ask(cnn, "faithfulness", sample=3, **asked)
    subject = subject_of(Explain(run=cnn.id, methods=(), sample=3, runs=str(cnn.path.parent)))
    names: dict[str, Any] = {"network": subject.copied(), "x": subject.x}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells what it does to x
        exec(seen.code, names)
    assert names["areas"][0] == pytest.approx(float(seen.arrays["deletion_area/saliency"][0]), abs=1e-3)
    assert names["areas"][1] == pytest.approx(float(seen.arrays["insertion_area/saliency"][0]), abs=1e-3)


def test_the_probability_is_that_of_the_target_at_its_step() -> None:
    answers = torch.randn(4, 6, 3)
    target = faithfulness.Probability(2, step=4)
    torch.testing.assert_close(target.of(answers), answers.softmax(-1)[:, 4, 2])
    assert replace(target, step=None).of(answers[:, 0]).shape == (4,)


# ── where there is little to compare ─────────────────────────────────────────────────────────────────────────────────


def test_a_sample_that_is_its_own_baseline_has_nothing_to_delete(cnn: Any) -> None:
    with pytest.raises(CannotShow, match="nothing can be deleted"):
        ask(cnn, "faithfulness", sample=4, baseline="sample", baseline_sample=4, seeds=2)
    seen = ask(cnn, "faithfulness", samples=2, baseline="sample", baseline_sample=1, seeds=2)
    assert any("1 of the samples are their own baseline" in sentence for sentence in seen.words)


@pytest.mark.slow
def test_where_the_baseline_alone_has_the_answer_it_says_so(cnn: Any) -> None:
    truths = subject_of(Explain(run=cnn.id, methods=(), runs=str(cnn.path.parent))).splits.test[1]
    same = next(i for i in range(1, 60) if truths[i] == truths[0])
    for baseline, told in ((same, True), (next(i for i in range(1, 60) if truths[i] != truths[0]), False)):
        seen = ask(cnn, "faithfulness", sample=0, baseline="sample", baseline_sample=baseline, seeds=2)
        assert any("The baseline alone has this answer" in sentence for sentence in seen.words) == told


def test_a_method_that_cannot_cut_so_finely_is_left_out_and_the_others_are_there(cnn: Any) -> None:
    seen = ask(cnn, "faithfulness", methods="none", also="saliency, kernel_shap", side=1, seeds=2)
    assert "deletion/saliency" in seen.arrays and "deletion/kernel_shap" not in seen.arrays
    assert any("KernelShap is left out" in sentence for sentence in seen.words)
