"""One call: right for this network, proved, and in words where there is nothing to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.entries import TOKENS, Method
from core.spec import registry
from core.spec.options import Options, SpecError
from core.spec.questions import Explain, Explained
from core.spec.specs import Choice
from core.worker.explain import attribute, explain, questions
from core.worker.explain.explained_case import Result
from core.worker.look.subject import CannotShow
from tests.entries import put
from tests.trained import Trained
from tests.worker.explain.conftest import case, choice, linear, made


class Constant(nn.Module):
    """Answers the same whatever it gets."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 0).sum(1, keepdim=True) + torch.tensor([[1.0, 2.0, 3.0]])


def entry(**fields: object) -> Method:
    """A method whose heavy half is one of the functions below."""
    return Method(
        name="tried",
        title="Tried",
        attribute="tests.worker.explain.test_attribute:half",
        words="A try.",
        family="gradient",
        **fields,
    )  # type: ignore[arg-type]


def half(case: object, _options: Options) -> Result:
    """Half of what a complete map of a linear network should be."""
    inputs = case.inputs  # type: ignore[attr-defined]
    _value, gradient = case.gradients(inputs)  # type: ignore[attr-defined]
    return Result(0.5 * gradient * inputs, complete=True, baseline=torch.zeros_like(inputs))


def endless(case: object, _options: Options) -> Result:
    """No number at one place."""
    found = case.inputs.clone()  # type: ignore[attr-defined]
    found[0, 0] = float("nan")
    return Result(found)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> object:
    """tried(**fields of Method) → its Choice, with the method in the catalog."""

    def add(**fields: object) -> Choice:
        address = fields.pop("attribute", "tests.worker.explain.test_attribute:half")
        made = Method(name="tried", title="Tried", attribute=str(address), words="A try.", family="gradient", **fields)  # type: ignore[arg-type]
        put(monkeypatch, registry.METHODS, made)
        return Choice("tried", Options())

    return add


def test_a_map_that_misses_half_of_the_difference_does_not_hold(tried) -> None:  # type: ignore[no-untyped-def]
    found = attribute(case(linear(bias=False), torch.randn(1, 6), target="0"), tried())
    assert found.gap == pytest.approx(0.5, abs=1e-5) and found.holds is False
    assert found.delta == pytest.approx(-0.5 * found.facts["expected"], abs=1e-5)


def test_a_map_with_no_number_at_one_place_is_not_shown(tried) -> None:  # type: ignore[no-untyped-def]
    asked = tried(attribute="tests.worker.explain.test_attribute:endless")
    found = attribute(case(linear(), torch.randn(1, 6)), asked)
    assert found.withheld and "not finite" in found.withheld and found.attribution.size == 0


def test_another_form_of_data_is_refused_in_words(tried) -> None:  # type: ignore[no-untyped-def]
    found = attribute(case(linear(), torch.randn(1, 6)), tried(takes=(TOKENS,)))
    assert found.withheld == "Tried is for a row of tokens [step]; this run reads a vector [feature]."


def test_what_would_cost_too_much_is_refused_before_it_is_run(tried) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError, match="about 1,000,000 passes here; at most 20,000"):
        attribute(case(linear(), torch.randn(1, 6)), tried(cost=lambda _o, _s: 1e6))


def test_a_network_that_answers_the_same_to_everything_gets_a_flat_map_and_a_sentence() -> None:
    found = made(case(Constant(), torch.randn(1, 6)), "integrated_gradients")
    assert np.all(found.attribution == 0) and found.gap is None and found.holds is None
    assert any("same everywhere" in sentence for sentence in found.words)
    assert any("nothing to explain" in sentence for sentence in found.words)


@pytest.mark.parametrize("method", [m for m in registry.METHODS], ids=lambda m: m.name)
def test_an_input_of_zeros_takes_no_method_down(method: Method) -> None:
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    found = attribute(case(network, torch.zeros(1, 6)), Choice(method.name, method.examples[0]))
    assert found.withheld or np.isfinite(found.attribution).all()


# ── the question ─────────────────────────────────────────────────────────────────────────────────────────────────────


def asked(run: object, *methods: str, **fields: object) -> Explain:
    return Explain(run=run.id, methods=tuple(map(choice, methods)), runs=str(run.path.parent), **fields)  # type: ignore[attr-defined, arg-type]


def test_each_method_is_sent_as_a_part_when_it_is_ready_and_the_fractions_rise(trained: Trained) -> None:
    told: list[tuple[float, Explained | None]] = []
    question = asked(trained("cnn", "digits", steps=40), "saliency", "random", "integrated_gradients", sample=11)
    found = explain(question, lambda fraction, _words, part=None: told.append((fraction, part)))
    assert [part for _fraction, part in told if part is not None] == list(found)
    assert [one.method for one in found] == ["saliency", "random", "integrated_gradients"]
    fractions = [fraction for fraction, _part in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert found[0].about.predicted and found[0].about.kind == "picture"


def test_the_same_question_is_answered_from_memory_and_another_seed_is_another(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = trained("cnn", "digits", steps=40), []
    monkeypatch.setattr(questions, "attribute", lambda *given: calls.append(1) or attribute(*given))
    for seed in (901, 901, 902):
        explain(asked(run, "random", seed=seed), lambda _fraction, _words, _part=None: None)
    assert len(calls) == 2


def test_one_methods_mistake_leaves_the_others_alone(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    wrong = choice("integrated_gradients", baseline="sample", baseline_sample=999_999)
    question = Explain(run=run.id, methods=(wrong, choice("saliency")), runs=str(run.path.parent))
    one, other = explain(question, lambda _fraction, _words, _part=None: None)
    assert "the test set has 0 to" in one.withheld and not other.withheld


def test_one_methods_failure_is_said_on_its_card_and_is_tried_again(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("cnn", "digits", steps=40)

    def broken(case: object, which: Choice, step: int) -> Explained:
        if which.name == "saliency":
            raise RuntimeError("boom\nmore")
        return attribute(case, which, step)  # type: ignore[arg-type]

    monkeypatch.setattr(questions, "attribute", broken)
    question = asked(run, "saliency", "input_x_gradient", seed=77)
    one, other = explain(question, lambda _fraction, _words, _part=None: None)
    assert one.withheld == "Saliency failed here (RuntimeError: boom). Please report it." and not other.withheld
    monkeypatch.undo()
    one, _other = explain(question, lambda _fraction, _words, _part=None: None)
    assert not one.withheld


def test_words_about_how_it_was_asked_are_not_kept_for_the_next_who_asks(trained: Trained) -> None:
    run = trained("cnn", "digits", steps=40)
    far, last = (
        explain(asked(run, "saliency", sample=sample), lambda _fraction, _words, _part=None: None)[0]
        for sample in (99_999, 359)
    )
    assert "There is no sample 99999" in " ".join(far.words) and far.sample == last.sample == 359
    assert "99999" not in " ".join(last.words)


def test_a_run_without_kept_weights_says_so(trained: Trained, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from core.store import Store

    empty = Store(tmp_path).create(trained("cnn", "digits", steps=40).experiment())
    with pytest.raises(CannotShow, match="keeps no weights yet"):
        explain(asked(empty, "saliency"), lambda _fraction, _words, _part=None: None)


def test_data_of_a_single_class_is_explained_too() -> None:
    found = made(case(linear(classes=1), torch.randn(1, 6), classes=1), "integrated_gradients")
    assert found.holds and found.target == "“0”"


def test_a_difference_that_is_rounding_beside_the_answers_is_none_and_is_not_chased_with_points() -> None:
    network = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3))
    with torch.no_grad():
        network[2].bias.fill_(1e14)  # beside which float32 tells differences of 1e7 and more
    found = made(case(network, torch.randn(1, 6), target="0"), "integrated_gradients")
    assert found.gap is None and found.holds is None and found.facts["points"] == 33
    assert "nothing to explain" in " ".join(found.words) and "converge" not in " ".join(found.words)
