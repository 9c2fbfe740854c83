"""Concept activation vectors against scikit-learn, Captum, scipy and networks whose only concept is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.concept import TCAV, Classifier, Concept
from scipy import stats
from sklearn.svm import SVC
from torch import Tensor, nn

from core.catalog.views.concepts import Concepts
from core.spec.drawings import encode
from core.worker.data.splits import Splits, pictures
from core.worker.explain.views import concepts
from core.worker.explain.views.concept_pictures import CORNERS, at_random, concepts_of, mixed, pixels, seen
from core.worker.look.subject import CannotShow
from core.worker.model.build import Network
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SIDE, PATCH = 18, 2


def quiet(_fraction: float, _words: str, _part: Any = None) -> None:
    """Nobody waits."""


def noise(n: int = 300) -> Splits:
    """Pictures without anything in them."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 120, (n, SIDE, SIDE)).astype(np.uint8), rng.integers(0, 2, n)
    parts = [(x[i], y[i]) for i in (slice(0, n - 60), slice(n - 60, n - 40), slice(n - 40, n))]
    return pictures(parts, ("reads the corner", "other"))


def reader(corner: int) -> Network:
    """Class 0 reads the brightness of one corner and nothing else; the layer "hidden" knows all four, and the rest."""
    hidden = nn.Linear(SIDE * SIDE, 12)
    weight = torch.zeros(12, 1, SIDE, SIDE)
    for at in range(4):
        top, left = (SIDE - PATCH) * (at // 2), (SIDE - PATCH) * (at % 2)
        weight[at, 0, top : top + PATCH, left : left + PATCH] = 1 / PATCH**2
    weight[4:] = 0.05 * torch.randn(weight[4:].shape, generator=torch.Generator().manual_seed(0))
    head = nn.Linear(12, 2)
    with torch.no_grad():
        hidden.weight.copy_(weight.flatten(1))
        hidden.bias.fill_(4.0)  # every unit is active for every picture
        head.weight.zero_()
        head.weight[0, corner] = 1.0
    return Network(
        [("flat", nn.Flatten(), False), ("hidden", hidden, False), ("relu", nn.ReLU(), False), ("head", head, False)]
    ).eval()


def on(network: Network, splits: Splits, options: Concepts, trials: list[concepts.Trial]) -> concepts.Found:
    """The trials at the layer "hidden", for class 0."""
    slopes = concepts.gradients(network, "hidden", splits.test[0], 0, quiet)
    return concepts.tested(network, "hidden", slopes, trials, options, quiet)


# ── a network that reads exactly one thing ───────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_only_concept_that_is_read_comes_out_and_the_others_do_not() -> None:
    splits, called = noise(), {FOR: 0, "other": 0}
    for seed in range(6):
        corner, options = seed % 4, Concepts("corners", against="random pictures", examples=30, repeats=20, seed=seed)
        random = at_random(splits)
        known = concepts_of("corners", splits, random)
        found = on(reader(corner), splits, options, concepts.trials_of(known, random, options))
        for i, scores in enumerate(found.scores):
            p = min(1.0, 4 * concepts.chance(scores, found.random, seed))
            said = concepts.verdict(scores, found.accuracy[i], p, found.random)
            if i == corner:
                assert said == concepts.FOR and scores.mean() == 1.0 and p < 0.05, (seed, p)
                assert known[i].name == f"patch {CORNERS[corner]}"
            else:
                assert said != concepts.AGAINST or p > 0.001
                called["other"] += said in (concepts.FOR, concepts.AGAINST)
            called[FOR] += i == corner
    assert called[FOR] == 6 and called["other"] <= 2, called  # of 18; 6 families at 5 % give 0.3


FOR = concepts.FOR


def test_against_each_other_the_one_that_is_read_speaks_for_and_the_rest_against() -> None:
    splits = noise()
    options = Concepts("corners", examples=30, repeats=10)
    random = at_random(splits)
    trials = concepts.trials_of(concepts_of("corners", splits, random), random, options)
    found = on(reader(2), splits, options, trials)
    assert trials[-1].name == "all concepts mixed"
    assert found.scores.mean(1).round(1).tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.slow
def test_random_pictures_as_a_concept_are_significant_as_often_as_the_level_says() -> None:
    splits, network = noise(), reader(0)
    random = at_random(splits)
    rounds, level = 30, 0.05
    fresh, fixed = 0, 0
    for seed in range(rounds):
        options = Concepts(examples=20, repeats=20, seed=seed)
        once = random(20, np.random.default_rng(1000 + seed))
        found = on(
            network,
            splits,
            options,
            [
                concepts.Trial("drawn anew", random, random),
                concepts.Trial("the same pictures every time", lambda _n, _rng, kept=once: kept, random),
                concepts.Trial("random", random, random),
            ],
        )
        p = [concepts.chance(one, found.random, seed) for one in found.scores]
        fresh, fixed = fresh + (p[0] < level), fixed + (p[1] < level)
    print("significant of", rounds, "drawn anew", fresh, "fixed", fixed)
    assert fresh <= stats.binom.ppf(0.999, rounds, level), fresh
    assert fixed > stats.binom.ppf(0.999, rounds, level), fixed  # why everything is drawn anew in each repeat


@pytest.mark.slow
def test_a_network_that_cheats_by_a_patch_is_caught(trained: Trained) -> None:
    run = trained("cnn", "shapes", 60, **{"data.samples": 800, "data.patch": 1.0, "model.channels": (8, 16)})
    for at, label in enumerate(("circle", "square", "triangle", "cross")):
        found = ask(run, "concepts", concepts="corners", layer="relu2", target=label, examples=40, repeats=12)
        assert found.facts.verdicts[at] == concepts.FOR, (label, found.words)
        assert found.arrays["scores"][at].mean() == found.arrays["scores"].mean(1).max() > 0.95


# ── parts, against others ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("vit", "digits"), ("lstm", "digits")])
def test_the_two_halves_are_the_network_and_the_gradient_is_that_at_the_layer(
    preset: str, data: str, trained: Trained
) -> None:
    at = subject(trained(preset, data, 8), "concepts")
    x, network = at.splits.test[0][:5], at.copied()
    for address in network.addresses[:-1]:
        whole = concepts.after(network, address, concepts.before(network, address, x))
        assert torch.allclose(whole, network(x), atol=1e-6)
        held: list[Tensor] = []

        def hook(_module: Any, _inputs: Any, output: Tensor, kept: list[Tensor] = held) -> Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[0]

        handle = network.get_submodule(address).register_forward_hook(hook)
        network(x)[:, 3].sum().backward()
        handle.remove()
        assert held[0].grad is not None
        slopes = concepts.gradients(network, address, x, 3, quiet)
        assert torch.allclose(slopes, held[0].grad.flatten(1), atol=1e-6)


def test_the_direction_is_that_of_a_linear_support_vector_machine() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = torch.randn(30, 200, generator=rng) + 0.15, torch.randn(30, 200, generator=rng)
    across, accuracy = concepts.direction(one, other)
    rows = torch.cat([one[:20], other[:20]]).double()
    middle = rows.mean(0)
    scale = (rows - middle).square().sum(1).mean().sqrt()
    machine = SVC(kernel="linear", C=1.0, tol=1e-8).fit(((rows - middle) / scale).numpy(), [1] * 20 + [0] * 20)
    primal = torch.tensor(machine.coef_[0].tolist(), dtype=torch.float64)
    assert float(across.double() @ primal / primal.norm()) == pytest.approx(1.0, abs=1e-5)
    held = ((torch.cat([one[20:], other[20:]]).double() - middle) / scale).numpy()
    assert accuracy == machine.score(held, [1] * 10 + [0] * 10)


def test_a_layer_that_is_dead_has_no_direction() -> None:
    across, accuracy = concepts.direction(torch.ones(12, 5), torch.ones(12, 5))
    assert not across.any() and accuracy == 0.5


class Known(Classifier):
    """For Captum: the direction that is known already."""

    def __init__(self, across: Tensor) -> None:
        self.across = across

    def train_and_eval(self, dataloader: Any, **_more: Any) -> dict[str, Any]:
        """Nothing to learn."""
        return {"accs": len(dataloader)}

    def weights(self) -> Tensor:
        """[2, d]: of the concept, of the random set."""
        return torch.stack([self.across, -self.across])

    def classes(self) -> list[int]:
        """Their ids."""
        return [0, 1]


@pytest.mark.parametrize("layer", ["relu1", "relu2"])
def test_with_the_same_direction_the_score_is_captums(layer: str, trained: Trained, tmp_path: Path) -> None:
    at = subject(trained("cnn", "digits", 40), "concepts")
    rng, network = np.random.default_rng(0), at.copied()
    x = at.splits.test[0][at.splits.test[1] == 4][:20]
    slopes, random = concepts.gradients(network, layer, x, 4, quiet), at_random(at.splits)
    scores = []
    for one in concepts_of("strokes", at.splits, random):
        sets = [draw(30, rng) for draw in (one.draw, random)]
        with torch.no_grad():
            learned, _accuracy = concepts.direction(*(concepts.before(network, layer, x).flatten(1) for x in sets))
        batches = [torch.utils.data.DataLoader(list(one), batch_size=8) for one in sets]  # type: ignore[arg-type]
        known = [Concept(i, name, data) for i, (name, data) in enumerate(zip(("one", "random"), batches, strict=True))]
        anyhow = torch.from_numpy(rng.standard_normal(learned.shape)).to(learned)  # on some CPUs all scores are 0 or 1
        for number, across in enumerate((learned, anyhow)):
            scores.append(float((slopes @ across > 0).float().mean()))
            captums = TCAV(network, [layer], classifier=Known(across), save_path=str(tmp_path / f"{one.name}{number}"))
            told = captums.interpret(x, [known], target=4)["0-1"][layer]["sign_count"][0]
            assert told == pytest.approx(scores[-1])
    assert any(0 < score < 1 for score in scores), scores


@pytest.mark.slow
def test_chance_is_that_of_a_permutation_test() -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.3):
        one, other = rng.random(9) + shift, rng.random(9)
        exact = stats.permutation_test(
            (one, other), lambda a, b, axis: a.mean(axis) - b.mean(axis), n_resamples=np.inf, batch=5000
        )
        assert concepts.chance(one, other, 0) == pytest.approx(exact.pvalue, abs=0.015)
    assert concepts.chance(np.ones(5), np.ones(5), 0) == 1.0


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_drawn_is_what_it_is_called(trained: Trained) -> None:
    splits, rng = subject(trained("cnn", "digits", 8), "concepts").splits, np.random.default_rng(0)
    for name in ("strokes", "shapes", "corners"):
        for one in concepts_of(name, splits, None):
            shown = pixels(splits, one.draw(40, rng))
            assert shown.shape == (40, 1, 28, 28) and (shown.amax((1, 2, 3)) > 0.7).all(), one.name
            lit = (shown[:, 0] > 0.3).float()
            assert ((lit.mean((1, 2)) > 0.004) & (lit.mean((1, 2)) < 0.5)).all(), one.name
            across, down = lit.amax(1).sum(1), lit.amax(2).sum(1)
            if one.name == "horizontal stroke":
                assert (across > 2 * down).all()
            if one.name == "vertical stroke":
                assert (down > 2 * across).all()
            if one.name in ("rising stroke", "falling stroke"):
                grid = torch.arange(28.0)
                slant = torch.stack(
                    [torch.corrcoef(torch.stack([g[1], g[0]]).float())[0, 1] for g in (torch.nonzero(p).T for p in lit)]
                )
                assert len(grid) and ((slant < -0.5) if one.name == "rising stroke" else (slant > 0.5)).all()
        assert not torch.equal(one.draw(3, rng), one.draw(3, rng))


def test_on_training_pictures_a_concept_only_brightens(trained: Trained) -> None:
    splits = subject(trained("cnn", "digits", 8), "concepts").splits
    random = at_random(splits)
    for one in concepts_of("strokes", splits, random):
        under, over = random(20, np.random.default_rng(5)), one.draw(20, np.random.default_rng(5))
        assert (over >= under - 1e-5).all() and (over > under + 0.1).flatten(1).any(1).sum() >= 15
        assert seen(splits, over).dtype == np.uint8 and seen(splits, over).shape == (20, 28, 28)


def test_a_class_is_a_concept_of_its_training_samples(trained: Trained) -> None:
    splits, rng = subject(trained("cnn", "digits", 8), "concepts").splits, np.random.default_rng(0)
    x, y = splits.train
    for k, one in enumerate(concepts_of("classes", splits, None)):
        drawn = one.draw(5, rng)
        assert all(int(y[(x == picture).flatten(1).all(1).nonzero()[0, 0]]) == k for picture in drawn)
    both = mixed([lambda n, _rng, k=k: torch.full((n, 1), float(k)) for k in range(3)])(10, rng)
    assert sorted(np.unique(both.numpy(), return_counts=True)[1].tolist()) == [3, 3, 4]


def test_a_drawing_is_one_more_concept(trained: Trained) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[8:20, 12:15] = 255
    found = ask(trained("cnn", "digits", 8), "concepts", drawing=encode(picture), examples=12, repeats=3)
    assert found.facts.concepts[-1] == "your drawing" and len(found.arrays["scores"]) == 7
    shown = found.arrays["pictures"][-1].astype(int)
    assert not np.array_equal(shown[0], shown[1])


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_words_say_what_the_arrays_say(trained: Trained) -> None:
    run = trained("cnn", "digits", 40)
    found = ask(run, "concepts", layer="relu2", target="1", examples=24, repeats=6)
    arrays, facts = found.arrays, found.facts
    said = " ".join(found.words)
    for i, name in enumerate(facts.concepts):
        p = concepts.chance(arrays["scores"][i], arrays["random"], 0)
        assert arrays["p"][i] == p and arrays["p_corrected"][i] == min(1, 6 * p)
        told = concepts.verdict(arrays["scores"][i], arrays["accuracy"][i], arrays["p_corrected"][i], arrays["random"])
        assert told == facts.verdicts[i]
        assert (f"“{name}” speaks {told}" in said) == (told in (concepts.FOR, concepts.AGAINST))
    assert facts.label == "1" and "test samples of “1”" in said
    assert np.array_equal(
        ask(run, "concepts", layer="relu2", target="1", examples=24, repeats=6).arrays["scores"], arrays["scores"]
    )


@pytest.mark.slow
def test_what_cannot_be_known_is_said(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("cnn", "digits", 40)
    few = ask(run, "concepts", examples=12, repeats=3, target="nonsense")
    assert "no class nonsense" in few.words[0]
    assert few.facts.least == pytest.approx(6 * 2 / 455)  # 3 of 3 + 12 scores
    monkeypatch.setattr(concepts, "LEVEL", 0.02)
    assert any("nothing can be significant" in one for one in ask(run, "concepts", examples=12, repeats=3).words)
    monkeypatch.undo()
    last = ask(run, "concepts", layer="pool2", examples=12, repeats=4)
    assert any("is linear" in one for one in last.words) and set(np.unique(last.arrays["scores"])) <= {0.0, 1.0}
    assert not any("is linear" in one for one in ask(run, "concepts", layer="relu1", examples=12, repeats=3).words)


def test_a_layer_that_is_too_wide_and_a_class_without_samples_are_refused(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("cnn", "digits", 8)
    monkeypatch.setattr(concepts, "MOST", 1000)
    with pytest.raises(CannotShow, match="Choose a layer with at most 1,000"):
        ask(run, "concepts", layer="conv1", examples=12, repeats=3)
    monkeypatch.undo()
    at = subject(run, "concepts")
    monkeypatch.setitem(at.splits.__dict__, "test", (at.splits.test[0], torch.zeros_like(at.splits.test[1])))
    with pytest.raises(CannotShow, match="No test sample is “5”"):
        ask(run, "concepts", target="5", examples=12, repeats=3)


def test_the_lines_of_pytorch_give_a_score(trained: Trained) -> None:
    run = trained("cnn", "digits", 40)
    at, rng = subject(run, "concepts", layer="relu2"), np.random.default_rng(0)
    found = ask(run, "concepts", layer="relu2", target="4", examples=12, repeats=3)
    sets = [draw(30, rng) for draw in (concepts_of("strokes", at.splits, None)[1].draw, at_random(at.splits))]
    x = at.splits.test[0][at.splits.test[1] == 4]
    names: dict[str, Any] = {"torch": torch, "network": at.copied(), "concept": sets[0], "random": sets[1], "x": x}
    exec(found.code, names)
    network = at.copied()
    rows = [concepts.before(network, "relu2", one).flatten(1) for one in sets]
    padded = [torch.cat([one, one[:15]]) for one in rows]  # the last third is held back: give it again
    across, _accuracy = concepts.direction(*padded)
    slopes = concepts.gradients(network, "relu2", x, 4, quiet) @ across
    assert float(names["score"]) == pytest.approx(float((slopes > 0).float().mean()), abs=1e-6)
