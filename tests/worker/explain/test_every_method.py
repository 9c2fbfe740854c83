"""What holds for every attribution method of the catalog, whatever it computes."""

from __future__ import annotations

import re
import warnings
from typing import Any

import captum
import captum.attr
import numpy as np
import pytest
import torch

from core.catalog.entries import CONTROL, OTHER, READY, WITHHELD, Method
from core.engine.wire import dumps, loads
from core.spec import registry
from core.spec.questions import Fits
from core.spec.specs import Choice
from core.worker.explain import Case, attribute, fits
from core.worker.explain.attribute import fit_of
from core.worker.explain.explained_case import seeded
from tests.trained import Trained
from tests.worker.explain.conftest import of_run

METHODS = list(registry.METHODS)
NETWORKS = (("cnn", "digits"), ("lstm", "digits"), ("transformer", "order"), ("mlp", "points"))
CASES = [(method, i) for method in METHODS for i in range(len(method.examples))]
PLACES = [  # all options on all networks in `make test-all`; else its first options on two networks, the others on one
    pytest.param(
        method,
        i,
        at,
        id=f"{method.name}-{i}-{at}",
        marks=[pytest.mark.slow] if (at - len(method.name) - i) % len(NETWORKS) not in ((0,) if i else (0, 2)) else [],
    )
    for method, i in CASES
    for at in range(len(NETWORKS))
]


def there(method: Method, at: int, trained: Trained) -> Case | None:
    """The case of the network number `at`; None where the method is withheld, in a sentence and whatever is asked."""
    preset, data = NETWORKS[at]
    case = of_run(trained(preset, data, steps=40), 1, seed=3)
    fit = fit_of(method, case)
    if fit.status == WITHHELD:
        assert re.search(r"[.!?)]$", fit.reason), fit.reason
        told = attribute(case, Choice(method.name, method.examples[0]))
        assert told.withheld == fit.reason and told.attribution.size == 0 and case.cost == 0
        return None
    assert fit.status == READY or (fit.status == OTHER and fit.reason)
    return case


@pytest.mark.parametrize(("method", "example", "at"), PLACES)
def test_an_example_gives_a_map_of_the_inputs_shape_twice_the_same_in_plain_values(
    method: Method, example: int, at: int, trained: Trained
) -> None:
    found = []
    for _twice in range(2):
        case = there(method, at, trained)
        if case is None:
            return
        found.append(attribute(case, Choice(method.name, method.examples[example])))
    one, other = found
    assert not one.withheld, one.withheld
    assert one.attribution.shape == tuple(case.form.shape) and one.attribution.dtype == np.float32
    assert np.array_equal(one.attribution, other.attribution), "the seed decides everything"
    assert np.isfinite(one.attribution).all()
    assert method.signed or one.attribution.min() >= 0
    assert all(re.search(r"[.:!?)]$", sentence) for sentence in one.words), one.words
    assert one.holds is None or (one.gap is not None or one.change is not None)
    again = loads(dumps(one))  # nothing heavy rides along
    assert (again.method, again.cost, again.words) == (one.method, one.cost, one.words)


@pytest.mark.parametrize(("method", "example", "at"), PLACES)
def test_the_lines_of_plain_captum_that_a_result_shows_give_this_very_map(
    method: Method, example: int, at: int, trained: Trained
) -> None:
    case, fresh = there(method, at, trained), there(method, at, trained)
    if case is None or fresh is None:
        return
    found = attribute(case, Choice(method.name, method.examples[example]))
    assert found.code
    again = run_lines(found.code, fresh, found)
    scale = max(1e-6, float(np.abs(found.attribution).max()))
    assert np.abs(again - found.attribution).max() <= 2e-4 * scale, found.code


def run_lines(code: str, case: Case, found: Any) -> np.ndarray:
    """What `attribution` is after these lines, given what Explained.code is promised."""
    baseline = torch.from_numpy(found.arrays["baseline"])[None] if "baseline" in found.arrays else None
    names: dict[str, Any] = {
        "captum": captum,
        "torch": torch,
        "np": np,
        "model": case.model,
        "x": case.inputs,
        "baseline": baseline,
        "seed": case.seed,
    }
    with seeded(case.seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells how it is built
        exec(code, names)
    return torch.as_tensor(names["attribution"]).detach().float()[0].numpy()


@pytest.mark.parametrize("method", [m for m in METHODS if m.family != CONTROL], ids=lambda m: m.name)
def test_the_predicted_price_is_about_what_it_costs(method: Method, trained: Trained) -> None:
    for at in range(len(NETWORKS)):
        preset, data = NETWORKS[at]
        case = of_run(trained(preset, data, steps=40), 1)
        if fit_of(method, case).status == WITHHELD:
            continue
        options = method.examples[0]
        found = attribute(case, Choice(method.name, options))
        predicted = method.cost(options, case.size)
        assert predicted > 0
        most = method.most(options, case.size)
        goes_on = hasattr(options, "steps") and hasattr(options, "most")
        assert found.cost <= 1.6 * most + 2 and (most > predicted) == goes_on, (preset, found.cost, most)
        if not hasattr(options, "most"):  # those go on until the gap is small
            assert found.cost / 1.6 - 2 <= predicted <= 1.6 * found.cost + 2, (preset, found.cost, predicted)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_method_says_in_words_what_it_shows(method: Method) -> None:
    assert method.examples and method.words.endswith(".") and method.title


def test_every_method_is_judged_before_it_is_run(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    told = fits(Fits(run.id, runs=str(run.path.parent)))
    assert [one.method for one in told] == registry.METHODS.names()
    assert {one.status for one in told} <= {READY, OTHER, WITHHELD}
    assert all(one.reason for one in told if one.status != READY)
