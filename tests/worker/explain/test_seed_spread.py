"""Several seeds of a method that draws at random: the mean, what differs, and who draws at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.catalog.entries import Method
from core.spec.options import SpecError
from core.spec.questions import Explain, Explained
from core.spec.specs import Choice
from core.store import Run
from core.worker.explain import attribute, explain, seed_spread
from tests.trained import Trained
from tests.worker.explain.conftest import choice, of_run
from tests.worker.explain.test_every_method import METHODS


def quiet(_fraction: float, _words: str, _part: Any = None) -> None:
    return None


@pytest.fixture
def run(trained: Trained) -> Run:
    return trained("cnn", "digits", steps=40)


def over(run: Run, asked: Choice, seeds: int = 5, **given: Any) -> Explained:
    question = Explain(
        run=run.id, methods=(asked,), sample=1, spread=(asked.name,), seeds=seeds, runs=str(run.path.parent), **given
    )
    return explain(question, quiet)[0]


@pytest.mark.each_value
@pytest.mark.parametrize("example", [0, 1])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_is_said_to_draw_if_and_only_if_another_seed_is_another_map(
    method: Method, example: int, run: Run
) -> None:
    options = method.examples[min(example, len(method.examples) - 1)]
    one, other = (attribute(of_run(run, 1, seed=seed), Choice(method.name, options)) for seed in (3, 4))
    if not one.withheld:
        assert one.draws == (not np.array_equal(one.attribution, other.attribution)), one.facts


def test_the_mean_and_the_deviation_are_those_of_the_seeds_one_by_one(run: Run) -> None:
    asked = choice("smooth_grad", samples=4)
    found = over(run, asked, 4, seed=7)
    each = np.stack([attribute(of_run(run, 1, seed=7 + i), asked).attribution for i in range(4)])
    np.testing.assert_allclose(found.attribution, each.mean(0), atol=1e-6 * np.abs(each).max())
    np.testing.assert_allclose(found.arrays["deviation"], each.std(0, ddof=1), atol=1e-5 * np.abs(each).max())
    told = found.over
    assert told is not None and told.seeds == [7, 8, 9, 10] and found.cost == pytest.approx(16)
    tops = [set(np.argsort(-np.abs(one.ravel()))[:78].tolist()) for one in each]
    shared = [len(tops[i] & tops[j]) / 78 for i in range(4) for j in range(i)]
    assert told.overlap == pytest.approx(np.mean(shared))
    matrix = np.corrcoef(each.reshape(4, -1))
    assert told.correlation == pytest.approx(matrix[np.triu_indices(4, 1)].mean(), abs=1e-6)
    assert any("mean over 4 seeds" in sentence for sentence in found.words)


def test_few_draws_have_a_large_spread_which_is_said_and_many_a_small_one(run: Run) -> None:
    few, many = (over(run, choice("lime", samples=samples), 3) for samples in (32, 2000))
    assert any("The spread is large" in sentence for sentence in few.words)
    assert few.over.overlap < many.over.overlap
    assert few.over.deviation > many.over.deviation


def test_the_sum_of_a_complete_method_is_checked_on_the_mean(run: Run) -> None:
    found = over(run, choice("shapley_sampling", samples=2), 3)
    assert found.holds and found.attribution.sum() == pytest.approx(found.facts["expected"], rel=1e-3)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients"])
def test_what_draws_nothing_is_made_once_and_says_so(method: str, run: Run) -> None:
    found = over(run, choice(method))
    assert found.over is None and "same with every seed" in found.words[-1]


def test_one_method_over_seeds_leaves_the_others_at_one(run: Run) -> None:
    asked = (choice("smooth_grad", samples=2), choice("var_grad", samples=2))
    question = Explain(run=run.id, methods=asked, sample=1, spread=("var_grad",), seeds=2, runs=str(run.path.parent))
    one, other = explain(question, quiet)
    assert one.over is None and len(other.over.seeds) == 2


def test_a_number_of_seeds_that_cannot_be_is_refused(run: Run) -> None:
    with pytest.raises(SpecError, match="between 2 and 50"):
        over(run, choice("smooth_grad"), 51)


def test_the_overlap_counts_the_top_tenth_by_size() -> None:
    values = np.zeros(40)
    values[:4] = (4, -3, 2, -1)
    assert seed_spread.overlap(values, -values) == 1.0 and seed_spread.overlap(values, np.roll(values, 2)) == 0.5
    assert seed_spread.correlation(values, -values) == pytest.approx(-1.0)
