"""Attacks against closed forms, Captum's own, brute force, and the network itself run again on what is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.robust import FGSM as CaptumFGSM
from torch import Tensor, nn

from core.catalog.views.attack import CROSS_ENTROPY, FGSM, L2, LINF, PGD, Attack
from core.spec.options import SpecError
from core.spec.questions import Seen
from core.store import Run
from core.worker.answers import look
from core.worker.explain.explained_case import Case
from core.worker.explain.views import small_change, substitution
from core.worker.explain.views.attack import rank_correlation
from core.worker.explain.views.flip import Goal, logits
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.explain.conftest import case, linear, of_run
from tests.worker.look.conftest import ask, question

QUICK: dict[str, Any] = {"steps": 10, "step": 0.25, "draws": 4, "compare": "saliency"}


def attacked(run: Run, sample: int = 3, **options: Any) -> Seen:
    return ask(run, "attack", sample=sample, **{**QUICK, **options})


def answer(run: Run, x: np.ndarray) -> Tensor:
    """The run's own network on x, without any of our cases: [class] logits."""
    network = subject_of(question(run, "attack")).network
    with torch.no_grad():
        found: Tensor = network(torch.from_numpy(x)[None])[0]
    return found


def searched(at: Case, **options: Any) -> tuple[small_change.Search, small_change.Space]:
    space = small_change.space_of(at, at.splits)
    goal = Goal(int(at.answers[0].argmax()), wanted=options.pop("wanted", -1), loss=options.get("loss", "margin"))
    return small_change.search(at, goal, Attack(**options), space), space


def frozen(classes: int, seed: int) -> tuple[nn.Linear, Tensor]:
    """A linear network of 20 features, and a sample [1, 20]."""
    network = linear(20, classes, seed)
    network.requires_grad_(False)
    return network, torch.randn(1, 20, generator=torch.Generator().manual_seed(seed))


# ── closed forms ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.each_value
@pytest.mark.parametrize("method", [FGSM, PGD])
@pytest.mark.parametrize("norm", [LINF, L2])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.slow_for("4")
def test_on_a_linear_network_the_smallest_change_is_the_margin_by_the_dual_norm(
    method: str, norm: str, classes: int
) -> None:
    ratios = []
    for seed in range(12):
        network, x = frozen(classes, seed)
        at = case(network, x, classes)
        found, _space = searched(at, method=method, norm=norm, most=1.0)
        scores, y = network(x)[0], int(at.answers[0].argmax())
        exact = min(
            float((scores[y] - scores[k]) / (network.weight[y] - network.weight[k]).norm(p=1 if norm == LINF else 2))
            for k in range(classes)
            if k != y
        )
        assert found.best.turned
        ratios.append(found.best.size / exact)
    assert min(ratios) >= 1 - 1e-5, "nothing smaller than the closed form can turn it"
    assert max(ratios) <= 1.02, ratios
    print(f"{method} {norm}, {classes} classes: found / closed form: {np.median(ratios):.4f}, worst {max(ratios):.4f}")


@pytest.mark.parametrize("norm", [LINF, L2])
def test_toward_a_chosen_class_is_the_largest_of_the_distances_at_least(norm: str) -> None:
    for seed in range(6):
        network, x = frozen(3, seed)
        at = case(network, x, 3)
        scores, y = network(x)[0], int(at.answers[0].argmax())
        wanted = int(scores.argmin())
        found, _space = searched(at, norm=norm, most=1.0, wanted=wanted)
        assert found.best.turned and int(found.best.logits.argmax()) == wanted
        p = 1 if norm == LINF else 2
        apart = max(
            float((scores[k] - scores[wanted]) / (network.weight[k] - network.weight[wanted]).norm(p=p))
            for k in range(3)
            if k != wanted
        )
        assert found.best.size >= apart * (1 - 1e-5)
        assert y != wanted


def test_where_no_gradient_leads_anywhere_nothing_is_claimed() -> None:
    flat = nn.Linear(5, 3)
    nn.init.zeros_(flat.weight)
    found, _space = searched(case(flat, torch.randn(1, 5)), most=1.0)
    assert not found.best.turned and found.below == found.best.size


# ── Captum ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wanted", [-1, 2])
def test_one_step_is_captums(wanted: int, trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 3)
    goal, options = Goal(int(at.answers[0].argmax()), wanted=wanted, loss=CROSS_ENTROPY), Attack(method=FGSM)
    space = small_change.space_of(at, at.splits)
    sizes = torch.tensor([3.0, 20.0])
    ours = space.inputs(small_change.fgsm(at, goal, options, space, sizes, space.origin))
    low, high = float(space.inputs(space.low)), float(space.inputs(space.high))
    theirs = CaptumFGSM(at.network, nn.CrossEntropyLoss(reduction="none"), lower_bound=low, upper_bound=high)
    named = torch.tensor([goal.index if wanted < 0 else wanted])
    at.target = goal
    felt = at.gradients(at.inputs)[1].abs() > 1e-6  # below that Captum takes a gradient for zero
    assert felt.float().mean() > 0.8
    for row, size in zip(ours, sizes.tolist(), strict=True):
        x = at.inputs.clone().requires_grad_()
        expected = theirs.perturb(x, size * float(space.scale), named, targeted=wanted >= 0)
        torch.testing.assert_close(row[felt[0]], expected[0][felt[0]], atol=1e-5, rtol=0)


# ── inside the ball and the range, and whole ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("norm", [LINF, L2])
@pytest.mark.parametrize("method", [FGSM, PGD])
def test_no_change_is_larger_than_allowed_or_leaves_the_valid_range(method: str, norm: str, trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 3)
    goal, options = Goal(int(at.answers[0].argmax())), Attack(method=method, norm=norm, steps=6, step=0.5, restarts=2)
    space = small_change.space_of(at, at.splits)
    sizes = [1.0, 7.0, 90.0] if norm == LINF else [11.0, 130.5, 2000.0]
    starts = small_change.beginnings(options, space)
    assert len(starts) == (1 if method == FGSM else 3)
    assert bool((small_change.size(starts, norm) <= 1 + 1e-6).all())
    allowed = torch.tensor(sizes).repeat_interleave(len(starts))
    run = small_change.fgsm if method == FGSM else small_change.pgd
    reached = run(at, goal, options, space, allowed, starts.repeat(3, 1, 1, 1))
    for values in (reached, space.settled(reached, allowed, norm)):
        assert bool((small_change.size(values - space.origin, norm) <= allowed * (1 + 1e-6)).all())
        assert float(values.min()) >= 0 and float(values.max()) <= 255
    assert bool((values == values.round()).all())


def test_rounding_changes_as_little_as_it_can() -> None:
    origin = torch.full((1, 1, 2, 2), 100.0)
    one = torch.ones(())
    space = small_change.Space(origin, one, 0 * one, 0 * one, 255 * one, 255, True)
    moved = origin + torch.tensor([[[[2.6, -2.6], [0.4, 0.0]]]])
    assert (space.settled(moved, torch.tensor([3.0]), LINF) - origin).flatten().tolist() == [3, -3, 0, 0]
    # 3² + 3² = 18 is too much for a norm of 4 (16); 3² + 2² = 13 is not
    kept = (space.settled(moved, torch.tensor([4.0]), L2) - origin).flatten()
    assert sorted(kept.abs().tolist()) == [0, 0, 2, 3] and float(kept.norm()) <= 4


def test_random_changes_have_the_size_and_stay_in_the_range(trained: Trained) -> None:
    at = of_run(trained("cnn", "digits", steps=40), 3)
    space = small_change.space_of(at, at.splits)
    inside = (space.origin >= 9) & (space.origin <= 246)
    for norm, size in ((LINF, 9.0), (L2, 200.0)):
        (made,) = small_change.at_random(Attack(norm=norm, draws=5), space, [size])
        change = made - space.origin
        assert len(torch.unique(made, dim=0)) == 5
        assert bool((small_change.size(change, norm) <= size * (1 + 1e-6)).all())
        if norm == LINF:
            assert bool((change[:, inside[0]].abs() == 9).all())
        else:
            assert bool((small_change.size(change, norm) >= 0.5 * size).all())  # black pixels go only up


# ── the view ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": L2},
        {"method": FGSM},
        {"method": FGSM, "norm": L2, "loss": CROSS_ENTROPY},
        {"restarts": 2},
        {"toward": "2", "steps": 20},
        {"toward": "2", "norm": L2, "restarts": 1},
    ],
    ids=str,
)
def test_what_is_shown_turns_the_answer_and_one_step_less_does_not(options: dict[str, Any], trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    seen = attacked(run, **options)
    facts, norm = seen.facts, options.get("norm", LINF)
    shown = seen.arrays["attacked"]
    assert np.array_equal(shown, shown.round()) and shown.min() >= 0 and shown.max() <= 255
    assert np.array_equal(seen.arrays["original"][0], subject_of(question(run, "attack", sample=3)).splits.shown[3])
    splits = subject_of(question(run, "attack")).splits
    x = ((shown / 255 - splits.mean[0]) / splits.std[0]).astype(np.float32)
    said = answer(run, x)
    assert facts.turned and int(said.argmax()) != facts.index
    assert int(said.argmax()) == facts.other and (facts.wanted in (-1, facts.other))
    np.testing.assert_allclose(said.softmax(-1).numpy(), seen.arrays["probabilities"][1], atol=1e-5)
    change = (shown - seen.arrays["original"]).astype(np.float64)
    np.testing.assert_array_equal(change, seen.arrays["change"])
    measured = np.abs(change).max() if norm == LINF else np.sqrt((change**2).sum())
    assert measured <= facts.size * (1 + 1e-6) and measured == pytest.approx(facts.measured, rel=1e-6)

    assert facts.below < facts.size
    assert facts.size - facts.below <= (1 if norm == LINF else 0.01 * facts.size)
    at = of_run(run, 3)
    goal = Goal(facts.index, wanted=facts.wanted, loss=options.get("loss", "margin"))
    given = Attack(**{**QUICK, **options})
    space = small_change.space_of(at, at.splits)
    aims = small_change.aims_of(at, goal, given, space)
    if facts.below:
        less = small_change.attacks(at, aims, given, space, [facts.below])
        assert not less[0].turned
    again = small_change.attacks(at, aims, given, space, [facts.size])
    assert again[0].turned


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": L2},
        {"method": FGSM},
        {"method": FGSM, "norm": L2, "loss": CROSS_ENTROPY},
        {"toward": "2", "restarts": 2},
        # Few steps: ten long ones let float32's rounding, which differs between CPUs, grow into another attack.
        {"toward": "2", "restarts": 2, "norm": L2, "loss": CROSS_ENTROPY, "steps": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("mlp", "points")])
def test_the_lines_run_as_they_stand_and_give_this_attack(
    preset: str, data: str, options: dict[str, Any], trained: Trained
) -> None:
    run = trained(preset, data, steps=40)
    options = {name: value for name, value in options.items() if name != "toward" or data == "digits"}
    seen = attacked(run, **options)
    at = subject_of(question(run, "attack", sample=3))
    names: dict[str, Any] = {"torch": torch, "network": at.copied(), "x": at.x}
    exec(seen.code, names)
    found = names["attacked"].detach().numpy()[0]
    assert np.mean(found != seen.arrays["attacked"]) <= 0.01 if data == "digits" else True
    np.testing.assert_allclose(found, seen.arrays["attacked"], atol=1 if data == "digits" else 1e-5)
    np.testing.assert_allclose(
        names["logits"][0].softmax(-1).detach().numpy(), seen.arrays["probabilities"][1], atol=2e-3
    )


@pytest.mark.slow
def test_the_same_question_has_the_same_answer(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    one, other = (attacked(run, restarts=1, seed=7) for _twice in range(2))
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


@pytest.mark.slow
@pytest.mark.slow
def test_more_steps_and_smaller_ones_find_no_larger_change_than_one_step(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    sizes = {m: [attacked(run, n, method=m).facts.size for n in range(6)] for m in (FGSM, PGD)}
    assert np.mean(sizes[PGD]) <= np.mean(sizes[FGSM])


def test_an_attack_that_fails_is_a_sentence(trained: Trained) -> None:
    seen = attacked(trained("cnn", "digits", steps=40), most=0.001, steps=1, toward="2")
    assert not seen.facts.turned and seen.words[0].startswith("No change was found that turns the answer")
    assert "does not prove" in seen.words[0] and float(np.abs(seen.arrays["change"]).max()) <= 1


def test_a_class_that_is_none_or_is_the_answer_already_is_refused(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    said = attacked(run).facts.classes[attacked(run).facts.index]
    with pytest.raises(SpecError, match="is no class; there are 0, 1, 2"):
        attacked(run, toward="cat")
    with pytest.raises(SpecError, match="is no class"):
        attacked(run, toward="10")
    with pytest.raises(SpecError, match="already; choose another"):
        attacked(run, toward=said)


def test_a_number_and_an_answer_at_every_step_cannot_be_turned(trained: Trained) -> None:
    run = trained("gru", "adding", 2, **{"data.samples": 100, "model.hidden": 8})
    with pytest.raises(CannotShow, match="one class"):
        attacked(run)


@pytest.mark.parametrize("view", ["attack", "counter_example"])
def test_it_tells_how_far_it_is_and_can_be_given_up(
    view: str, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.worker.explain.explained_case.TELL", 0.0)

    class Enough(Exception):
        """Somebody does not want to wait."""

    heard = []

    def report(fraction: float, words: str, _part: Any = None) -> None:
        heard.append(fraction)
        assert words and 0 <= fraction <= 1
        if len(heard) == 2:
            raise Enough

    with pytest.raises(Enough):
        look(question(trained("cnn", "digits", steps=40), view, sample=3), report)


def test_the_curve_begins_with_the_sample_and_random_changes_are_counted(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    seen = attacked(run, draws=6)
    a = seen.arrays
    assert a["sizes"][0] == 0 and a["curve"][0] == pytest.approx(a["probabilities"][0, seen.facts.index])
    assert (np.diff(a["sizes"]) > 0).all() and a["random"].shape == (len(a["random/sizes"]), 6)
    assert seen.facts.size in a["sizes"] and a["random/sizes"][-1] == seen.facts.size
    turned = a["random"][-1] < 0.1  # far below any majority of ten classes: turned for certain
    assert seen.facts.random_turned >= turned.sum()
    assert seen.facts.rank is not None and len(seen.facts.rank_random) == 3
    assert seen.facts.rank == pytest.approx(rank_correlation(a["map/before"], a["map/after"]))


def test_ranks_are_spearmans() -> None:
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(0)
    for _case in range(20):
        a, b = draw.integers(0, 5, 30).astype(float), draw.normal(size=30)
        assert rank_correlation(a, b) == pytest.approx(float(stats.spearmanr(a, b).statistic))
    assert rank_correlation(np.ones(5), b[:5]) == 0.0


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("preset", "data"), [("transformer", "order"), ("gru", "order"), ("lstm", "planted")])
@pytest.mark.slow_for("transformer", "lstm")
def test_replaced_tokens_turn_the_answer_and_each_is_needed(preset: str, data: str, trained: Trained) -> None:
    run = trained(preset, data, steps=60)
    turned = 0
    for sample in range(4):
        seen = attacked(run, sample, tokens=4)
        before, after = seen.arrays["original"], seen.arrays["attacked"]
        places = np.flatnonzero(before != after)
        assert places.tolist() == seen.facts.changed and len(places) <= 4
        assert (before[places] != 0).all() and (after[places] != 0).all(), "padding is neither replaced nor put in"
        said = int(answer(run, after).argmax())
        assert (said != seen.facts.index) == seen.facts.turned
        np.testing.assert_allclose(answer(run, after).softmax(-1).numpy(), seen.arrays["probabilities"][1], atol=1e-5)
        if not seen.facts.turned:
            continue
        turned += 1
        for place in places:
            back = after.copy()
            back[place] = before[place]
            assert int(answer(run, back).argmax()) == seen.facts.index
        names: dict[str, Any] = {"torch": torch, "network": subject_of(question(run, "attack")).network}
        names["x"] = torch.from_numpy(before)[None]
        exec(seen.code, names)
        assert np.array_equal(names["attacked"][0].numpy(), after)
    assert turned


def test_one_token_is_enough_where_trying_them_all_says_so(trained: Trained) -> None:
    """The gradient only ranks: how often the true single replacement is among those that are tried."""
    run = trained("transformer", "order", steps=60)
    possible = found = 0
    for sample in range(8):
        at = of_run(run, sample)
        assert at.ids is not None and at.real is not None
        goal = Goal(int(at.answers[0].argmax()))
        rows = []
        for place in torch.nonzero(at.real).flatten().tolist():
            for token in range(1, at.form.vocabulary):
                row = at.ids[0].clone()
                row[place] = token
                rows.append(row)
        every = goal.turned(logits(at, substitution.vectors(at, torch.stack(rows))))
        one = substitution.replace_few(at, goal, 1)
        possible += bool(every.any())
        found += one.turned
        assert not one.turned or bool(every.any())
    assert possible >= 4 and found >= 0.75 * possible


def test_random_replacements_are_of_real_tokens_by_other_real_tokens(trained: Trained) -> None:
    at = of_run(trained("transformer", "order", steps=60), 3)
    assert at.ids is not None and at.real is not None
    for count, rows in zip((1, 3), substitution.at_random(at, Attack(draws=30), [1, 3]), strict=True):
        changed = rows != at.ids
        assert bool((changed.sum(1) == count).all()) and not bool(changed[:, ~at.real].any())
        assert int(rows[:, at.real].min()) >= 1 and int(rows.max()) < at.form.vocabulary
