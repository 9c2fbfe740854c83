"""Counter-examples against all sets of pieces, and against the network itself run again on what is left."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.spec.options import SpecError
from core.spec.questions import Seen
from core.store import Run
from core.worker.explain.views import counter_example
from core.worker.explain.views.counter_example import EXACT, both, greedy, prune, random_orders
from core.worker.explain.views.flip import Goal
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.look.conftest import ask, question

PIECES = 9


def found(run: Run, sample: int = 3, **options: Any) -> Seen:
    return ask(run, "counter_example", sample=sample, **{"orders": 4, **options})


def tiny(seed: int) -> tuple[Goal, Any]:
    """A random network of PIECES features, a sample that it is asked about, and the margin for rows of pieces."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(PIECES, 16), nn.ReLU(), nn.Linear(16, 3)).requires_grad_(False)
    x = torch.randn(PIECES)
    goal = Goal(int(network(x).argmax()))
    return goal, lambda on: goal.margin(network(x * on))


def smallest(does: Any) -> int:
    """By trying all sets, the smallest first; −1: none does it."""
    for size in range(PIECES + 1):
        for chosen in combinations(range(PIECES), size):
            taken = torch.zeros(PIECES, dtype=torch.bool)
            taken[list(chosen)] = True
            if float(does(taken[None])) > 0:
                return size
    return -1


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.slow
def test_the_greedy_search_is_never_below_and_seldom_above_the_smallest_of_all_sets() -> None:
    ratios = {"removed": list[float](), "kept": list[float]()}
    for seed in range(90):
        _goal, margin = tiny(seed)
        for name, does in (("removed", lambda t, m=margin: m(~t)), ("kept", lambda t, m=margin: -m(t))):
            exact, searched = smallest(does), greedy(does, PIECES)
            assert searched.pieces is None or searched.greedy >= exact >= 0
            if exact > 0 and searched.pieces is not None:
                ratios[name].append(searched.greedy / exact)
    for name, of in ratios.items():
        same = np.mean(np.equal(of, 1))
        print(f"{name}: greedy / smallest: mean {np.mean(of):.3f}, worst {max(of):.2f}; {same:.0%} of {len(of)} equal")
        assert len(of) >= 30 and np.mean(of) <= 1.15 and same >= 0.75, name


def test_with_few_pieces_it_is_the_smallest_of_all_sets() -> None:
    for seed in range(15):
        _goal, margin = tiny(seed)
        removed, kept = both(margin, PIECES)
        for one, does in ((removed, lambda t, m=margin: m(~t)), (kept, lambda t, m=margin: -m(t))):
            exact = smallest(does)
            assert (-1 if one.pieces is None else int(one.pieces.sum())) == exact
            assert one.pieces is None or float(does(one.pieces[None])) > 0


def test_nothing_of_what_the_search_finds_can_be_left_out() -> None:
    """On a function where the greedy way picks up a piece that later ones make superfluous."""

    def does(taken: Tensor) -> Tensor:
        decoy = 0.5 * taken[:, 0] * (1 - (taken[:, 1] & taken[:, 2]).float())
        return decoy + 0.4 * taken[:, 1] + 0.4 * taken[:, 2] + 0.5 * (taken[:, 1] & taken[:, 2]) - 0.95

    searched = greedy(does, 4)
    assert searched.way[0] == 0 and searched.pieces is not None
    assert searched.pieces.tolist() == [False, True, True, False] and searched.greedy == 2
    everything = torch.ones(4, dtype=torch.bool)
    assert prune(does, everything).tolist() == [False, True, True, False]


def test_what_cannot_be_reached_is_not_claimed() -> None:
    removed, kept = both(lambda on: -torch.ones(len(on)), 4)
    assert removed.pieces is None and removed.greedy == -1
    assert kept.pieces is not None and not bool(kept.pieces.any()), "nothing is needed to keep the answer"
    many = greedy(lambda taken: -torch.ones(len(taken)), EXACT + 3)
    assert many.pieces is None and len(many.way) == EXACT + 3


def test_all_sets_are_all_and_orders_are_orders() -> None:
    assert len(torch.unique(counter_example.all_sets(5), dim=0)) == 32
    orders = random_orders(6, 9, seed=1)
    assert bool((orders.sort(1).values == torch.arange(6)).all()) and len(torch.unique(orders, dim=0)) > 5


# ── the view ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options", [{}, {"side": 7}, {"pieces": "slic", "segments": 20}, {"baseline": "mean"}], ids=str
)
def test_without_the_pieces_the_answer_turns_and_each_is_needed(options: dict[str, Any], trained: Trained) -> None:
    run = trained("cnn", "digits", steps=60)
    for sample in (3, 4):
        seen = found(run, sample, **options)
        facts, a = seen.facts, seen.arrays
        network = subject_of(question(run, "counter_example")).network
        pieces, x, baseline = a["pieces"], a["x"], a["baseline"]

        def answer(on: np.ndarray, given: Any = (network, pieces, x, baseline)) -> Tensor:
            net, numbers, whole, nothing = given
            with torch.no_grad():
                said: Tensor = net(torch.from_numpy(np.where(on[numbers], whole, nothing))[None])[0]
            return said

        assert int(answer(np.ones_like(a["kept"])).argmax()) == facts.index
        assert facts.found_removed, seen.words
        without = answer(~a["removed"])
        assert int(without.argmax()) == facts.other != facts.index
        np.testing.assert_allclose(without.softmax(-1).numpy(), a["probabilities"][1], atol=1e-5)
        for piece in np.flatnonzero(a["removed"]):
            back = ~a["removed"]
            back[piece] = True
            assert int(answer(back).argmax()) == facts.index, "each of them is needed"
        np.testing.assert_allclose(answer(a["kept"]).softmax(-1).numpy(), a["probabilities"][2], atol=1e-5)
        if not facts.baseline_keeps:
            assert int(answer(a["kept"]).argmax()) == facts.index
            for piece in np.flatnonzero(a["kept"]):
                less = a["kept"].copy()
                less[piece] = False
                assert int(answer(less).argmax()) != facts.index
        shown = np.where(a["removed"][pieces], a["without"], a["original"])
        np.testing.assert_allclose(shown, a["without"], atol=1e-3)
        assert np.abs(a["original"] - subject_of(question(run, "attack", sample=sample)).shown).max() < 0.01


def test_pieces_that_are_like_the_baseline_are_no_candidates(trained: Trained) -> None:
    seen = found(trained("cnn", "digits", steps=60), baseline="black")
    a, facts = seen.arrays, seen.facts
    alike = [bool((a["x"] == a["baseline"])[a["pieces"] == piece].all()) for piece in range(len(a["removed"]))]
    assert facts.same == sum(alike) > 0 and facts.count + facts.same == len(alike)
    assert not a["removed"][alike].any() and not a["kept"][alike].any()
    assert a["random"].shape[1] == facts.count + 1


def test_random_orders_are_counted_from_the_probabilities(trained: Trained) -> None:
    seen = found(trained("transformer", "order", steps=60), orders=30)
    a, facts = seen.arrays, seen.facts
    assert len(facts.classes) == 2
    for row, count in zip(a["random"], a["random/removed"], strict=True):  # of two classes: turned = below one half
        below = np.flatnonzero(row < 0.5)
        assert count == (below[0] if len(below) else -1)
    took = a["random/removed"][a["random/removed"] >= 0]
    assert not facts.found_removed or took.min() >= a["removed"].sum(), "all sets were tried: none smaller does it"
    assert facts.exact == (facts.count <= EXACT)


@pytest.mark.slow
def test_tokens_are_taken_away_and_the_lines_give_the_same(
    trained: Trained, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for preset, data in (("transformer", "order"), ("lstm", "planted"), ("cnn", "digits"), ("mlp", "points")):
        run = trained(preset, data, steps=60)
        seen = found(run, 2)
        at = subject_of(question(run, "counter_example", sample=2))
        np.savez(f"counter_example-step{seen.step}.npz", **seen.arrays)  # as the page's download has it
        names: dict[str, Any] = {"network": at.copied(), "x": at.x}
        exec(seen.code, names)
        np.testing.assert_allclose(names["probabilities"].detach().numpy(), seen.arrays["probabilities"], atol=1e-5)
        assert not any(module._forward_hooks for module in names["network"].modules())
        assert len(seen.facts.tokens) == (len(seen.arrays["removed"]) if at.form.kind == "tokens" else 0)


def test_words_never_promise_more_than_was_tried(trained: Trained) -> None:
    few = found(trained("mlp", "points", steps=60))
    assert few.facts.exact and "All 4 sets of the 2 pieces were tried" in " ".join(few.words)
    many = found(trained("cnn", "digits", steps=60), baseline="blur")
    assert not many.facts.exact and "were tried: none smaller" not in " ".join(many.words)
    if max(many.arrays["removed"].sum(), many.arrays["kept"].sum()) > 1:
        assert "may still be smaller" in " ".join(many.words)


def test_what_cannot_be_is_said(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=60)
    with pytest.raises(SpecError, match="at most 400"):
        found(run, pieces="values", baseline="noise")
    with pytest.raises(SpecError, match="like the baseline"):
        found(run, baseline="sample", baseline_sample=3)
    with pytest.raises(CannotShow, match="one class"):
        found(trained("gru", "adding", 2, **{"data.samples": 100, "model.hidden": 8}))


def test_the_same_question_has_the_same_answer(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=60)
    one, other = (found(run, baseline="noise", seed=5) for _twice in range(2))
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
