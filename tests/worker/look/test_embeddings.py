"""The points against numpy's SVD, scikit-learn and brute force."""

from __future__ import annotations

import sys
import threading
import types
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from core.catalog.views.embeddings import Embeddings
from core.worker.look import embeddings
from core.worker.look.subject import CannotShow, Subject
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SMALL = {"data.samples": 200, "data.length": 8, "model.hidden": 8}
COPY = {"data.samples": 300, "data.items": 3, "data.gap": 4, "model.width": 8, "model.heads": 2, "model.layers": 1}


def hooked(at: Subject, layer: str, x: torch.Tensor) -> torch.Tensor:
    """What a plain hook sees."""
    kept: list[torch.Tensor] = []
    handle = at.network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        at.network(x)
    handle.remove()
    return kept[0]


def rows_of(at: Subject, samples: np.ndarray) -> np.ndarray:
    """Every value at the subject's layer, [n, feature]."""
    return hooked(at, at.layer, at.splits.test[0][torch.from_numpy(samples)]).flatten(1).double().numpy()


def left_out(rows: np.ndarray, target: np.ndarray) -> float:
    """5-nearest-neighbour accuracy by scikit-learn, one point left out at a time."""
    right = 0
    for i in range(len(rows)):
        rest = np.arange(len(rows)) != i
        right += KNeighborsClassifier(5).fit(rows[rest], target[rest]).predict(rows[i : i + 1])[0] == target[i]
    return right / len(rows)


@pytest.mark.each_value
@pytest.mark.parametrize("layer", ["pool1", "relu2", "head", pytest.param("conv1", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_places_are_the_principal_components_turned(trained: Trained, layer: str, dimensions: int) -> None:
    run = trained("cnn", "digits", 12)
    at, seen = subject(run, "embeddings", layer=layer), ask(run, "embeddings", layer=layer, dimensions=dimensions)
    rows = rows_of(at, seen.arrays["samples"])
    u, s, _v = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    known, found = (u * s)[:, :dimensions], seen.arrays["components"]
    for axis in range(dimensions):
        sign = np.sign(known[:, axis] @ found[:, axis])
        np.testing.assert_allclose(found[:, axis], sign * known[:, axis], atol=2e-4 * s[0])
    np.testing.assert_allclose(seen.arrays["explained"], (s**2 / (s**2).sum())[:dimensions], rtol=1e-4)
    turn = seen.arrays["turn"]
    np.testing.assert_allclose(turn @ turn.T, np.eye(dimensions), atol=1e-9)
    np.testing.assert_allclose(seen.arrays["points"], found @ turn, atol=1e-9)
    place = int(np.flatnonzero(seen.arrays["samples"] == 0)[0])
    np.testing.assert_array_equal(seen.arrays["marked"], seen.arrays["points"][place : place + 1])


@pytest.mark.parametrize("layer", ["head", pytest.param("conv1", marks=pytest.mark.slow)])
def test_neighbours_name_the_class_as_scikit_learn_says(trained: Trained, layer: str) -> None:
    run = trained("cnn", "digits", 12)
    at, seen = subject(run, "embeddings", layer=layer), ask(run, "embeddings", layer=layer)
    rows, target = rows_of(at, seen.arrays["samples"]), seen.arrays["target"]
    assert seen.facts.separation == pytest.approx(left_out(rows, target), abs=0.003)  # ties may fall elsewhere
    bare = at.splits.test[0].flatten(1).double().numpy()[seen.arrays["samples"]]
    assert seen.facts.input == pytest.approx(left_out(bare, target), abs=0.003)
    assert seen.facts.chance == np.bincount(target).max() / len(target)


@pytest.mark.slow
def test_every_layer_is_what_each_of_them_is(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    seen = ask(run, "embeddings", every_layer=True)
    addresses = subject(run, "embeddings").network.addresses
    assert seen.facts.layers == tuple(name for name in addresses if name != "flatten")  # the same as before it
    for layer, value in list(zip(seen.facts.layers, seen.arrays["separation"], strict=True))[::4]:
        assert ask(run, "embeddings", layer=layer).facts.separation == pytest.approx(value)


def test_what_is_said_of_the_points_is_what_the_network_says(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    at, seen = subject(run, "embeddings"), ask(run, "embeddings")
    with torch.no_grad():
        sure, named = at.network(at.splits.test[0]).softmax(-1).max(-1)
    at_samples = seen.arrays["samples"]
    np.testing.assert_array_equal(seen.arrays["predicted"], named.numpy()[at_samples])
    np.testing.assert_allclose(seen.arrays["confidence"], sure.numpy()[at_samples], atol=1e-5)
    np.testing.assert_array_equal(seen.arrays["target"], at.splits.test[1].numpy()[at_samples])
    np.testing.assert_array_equal(seen.arrays["correct"], seen.arrays["target"] == seen.arrays["predicted"])


def test_the_picture_stands_still_while_the_training_goes_on(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    steps = run.moments()
    places = [ask(run, "embeddings", step=step).arrays["points"] for step in steps[-4:]]
    for before, after in pairwise(places):
        assert np.sum(before * after) > 0.5 * np.linalg.norm(before) * np.linalg.norm(after)


def test_a_turn_undoes_any_rotation_and_reflection() -> None:
    rng = np.random.default_rng(0)
    places = rng.standard_normal((50, 3))
    places -= places.mean(0)
    target = rng.integers(0, 2, 50)
    reference = embeddings.reference_of(target, 2, rng.standard_normal((50, 3)), 3)
    spun = places @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    ours, theirs = (one @ embeddings.turn_of(one, reference) for one in (places, spun))
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.slow
def test_at_most_a_thousand_points_and_another_sample_is_placed_among_them(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "MOST", 90)
    embeddings._known.clear()
    run = trained("cnn", "digits", 12)
    seen = ask(run, "embeddings", sample=1)
    samples = seen.arrays["samples"]
    assert len(samples) == 90 and samples[0] == 0 and samples[-1] == 359 and 1 not in samples
    rows, one = (rows_of(subject(run, "embeddings"), np.array(i)) for i in (samples, [1]))
    _u, _s, v = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    signs = np.sign(np.sum((rows - rows.mean(0)) @ v[:2].T * seen.arrays["components"], axis=0))
    place = (one - rows.mean(0)) @ (v[:2].T * signs) @ seen.arrays["turn"]
    np.testing.assert_allclose(seen.arrays["marked"], place, atol=1e-2)
    other = ask(run, "embeddings", sample=2)
    np.testing.assert_allclose(other.arrays["points"], seen.arrays["points"], atol=1e-8)
    unplaced = ask(run, "embeddings", sample=1, method="t-SNE", perplexity=5.0)
    assert unplaced.arrays["marked"].shape == (0, 2)
    assert any("not among the points" in sentence for sentence in unplaced.words)
    embeddings._known.clear()


@pytest.mark.slow
def test_t_sne_is_scikit_learns_turned(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MOST", 120)
    embeddings._known.clear()
    run = trained("cnn", "digits", 12)
    seen = ask(run, "embeddings", layer="head", method="t-SNE", perplexity=8.0)
    at = subject(run, "embeddings", layer="head")
    rows = torch.from_numpy(rows_of(at, seen.arrays["samples"]))
    start = embeddings.principal(embeddings.products(rows.float(), len(rows)), 50)[0].astype(np.float32)
    known = TSNE(2, perplexity=8.0, init="pca", random_state=0).fit_transform(start)
    known = known - known.mean(0)
    np.testing.assert_allclose(np.linalg.norm(seen.arrays["points"], axis=1), np.linalg.norm(known, axis=1), rtol=1e-3)
    assert "components" not in seen.arrays and any("mean little" in sentence for sentence in seen.words)
    embeddings._known.clear()


def test_waiting_for_a_library_can_be_given_up() -> None:
    told: list[float] = []

    class GivenUp(Exception):
        pass

    def report(done: float) -> None:
        told.append(done)
        if len(told) == 3:
            raise GivenUp

    gate = threading.Event()
    with pytest.raises(GivenUp):
        embeddings._patiently(lambda: gate.wait(20), 1.0, report)
    gate.set()
    assert told == sorted(told)


def test_umap_is_refused_where_it_is_not_installed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(CannotShow, match="not installed"):
        ask(trained("cnn", "digits", 12), "embeddings", method="UMAP")


def test_umap_is_used_where_it_is_installed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    class Umap:
        def __init__(self, n_components: int, **_more: Any) -> None:
            self.axes = n_components

        def fit_transform(self, start: np.ndarray) -> np.ndarray:
            return start[:, : self.axes]

    fake = types.ModuleType("umap")
    fake.UMAP = Umap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", fake)
    monkeypatch.setattr(embeddings.importlib.util, "find_spec", lambda _name: object())
    run = trained("cnn", "digits", 12)
    seen = ask(run, "embeddings", method="UMAP")
    np.testing.assert_allclose(seen.arrays["points"], ask(run, "embeddings").arrays["points"], atol=1e-3)


def test_the_boundary_is_the_networks_answer_over_the_plane(trained: Trained) -> None:
    run = trained("mlp", "points", 12, **{"data.kind": "spirals", "data.samples": 300})
    at, seen = subject(run, "embeddings"), ask(run, "embeddings")
    named, sure = seen.arrays["boundary"], seen.arrays["boundary/confidence"]
    assert named.shape == sure.shape == (len(seen.arrays["boundary/y"]), len(seen.arrays["boundary/x"]))
    for row, column in ((0, 0), (5, 100), (77, 13), (120, 120)):
        place = torch.tensor([[seen.arrays["boundary/x"][column], seen.arrays["boundary/y"][row]]])
        with torch.no_grad():
            probabilities = at.network(place)[0].softmax(-1)
        assert named[row, column] == probabilities.argmax()
        assert sure[row, column] == pytest.approx(float(probabilities.max()), abs=1e-5)
    points = seen.arrays["boundary/points"]
    np.testing.assert_array_equal(points, at.splits.test[0].numpy()[seen.arrays["samples"]])
    assert (points.min(0) > [seen.arrays["boundary/x"][0], seen.arrays["boundary/y"][0]]).all()
    assert "boundary" not in ask(trained("cnn", "digits", 12), "embeddings").arrays


@pytest.mark.parametrize(("steps", "pictures"), [("mean", "every value"), ("last", "mean of each map"), ("first", "")])
def test_padding_is_never_compared(trained: Trained, steps: str, pictures: str) -> None:
    small = {"data.samples": 200, "model.width": 8, "model.heads": 2, "model.layers": 1}
    run = trained("transformer", "reviews", 4, **small)
    at = subject(run, "embeddings", layer="block1")
    options = Embeddings(steps=steps, pictures=pictures or "every value")
    found = embeddings.rows_at(at, "block1", embeddings.pick(at), options, lambda _done: None).rows
    x = at.splits.test[0]
    made = hooked(at, "block1", x)
    ahead = made.shape[1] - x.shape[1]  # a class token
    for i in range(0, len(x), 7):
        real = made[i, : ahead + int((x[i] != 0).sum())]  # padding stands at the end
        assert (x[i] != 0).sum() == (x[i] != 0).nonzero().max() + 1
        wanted = {"mean": real.mean(0), "last": real[-1], "first": real[0]}[steps]
        torch.testing.assert_close(found[i], wanted, atol=1e-4, rtol=1e-4)
    assert embeddings.code(at, options)


def test_every_asked_step_is_a_point(trained: Trained) -> None:
    run = trained("gpt", "copy", 6, **COPY)
    at, seen = subject(run, "embeddings", layer="block1"), ask(run, "embeddings", layer="block1", sample=4)
    x, y = at.splits.test
    samples, steps = seen.arrays["samples"], seen.arrays["steps"]
    np.testing.assert_array_equal(y.numpy()[samples, steps], seen.arrays["target"])
    assert len(samples) == int((y != -100).sum())
    made = hooked(at, "block1", x).numpy()[samples, steps]
    u, s, _v = np.linalg.svd(made - made.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(seen.arrays["components"]), np.abs((u * s)[:, :2]), atol=1e-3)
    assert len(seen.arrays["marked"]) == int((y[4] != -100).sum())
    far = ((made[:, None] - made[None]) ** 2).sum(-1)
    right = 0
    for i in range(len(made)):
        others = np.flatnonzero(samples != samples[i])
        near = others[np.argsort(far[i, others])[:5]]
        right += np.bincount(seen.arrays["target"][near]).argmax() == seen.arrays["target"][i]
    assert seen.facts.separation == pytest.approx(right / len(made), abs=0.02)


def test_a_number_rises_to_the_right(trained: Trained) -> None:
    run = trained("gru", "adding", 6, **SMALL)
    seen, at = ask(run, "embeddings", layer="gru", steps="last"), subject(run, "embeddings", layer="gru")
    assert np.corrcoef(seen.arrays["points"][:, 0], seen.arrays["target"])[0, 1] > 0
    rows = hooked(at, "gru", at.splits.test[0])[:, -1].numpy()
    target, missed = seen.arrays["target"].astype(float), 0.0
    for i in range(len(rows)):
        order = [j for j in np.argsort(((rows - rows[i]) ** 2).sum(1)) if j != i][:5]
        missed += (target[order].mean() - target[i]) ** 2
    assert seen.facts.separation == pytest.approx(1 - missed / len(rows) / target.var(), abs=1e-3)


def test_weights_that_are_not_finite_are_told(trained: Trained) -> None:
    with pytest.raises(CannotShow, match="not finite"):
        embeddings.products(torch.full((9, 3), float("nan")), 9)


def test_rows_that_are_all_the_same_have_one_place() -> None:
    scores, extra, shares = embeddings.principal(embeddings.products(torch.ones(6, 4), 5), 2)
    assert not scores.any() and not extra.any() and not shares.any() and extra.shape == (1, 2)


CODES = [
    ("cnn", "digits", {}, "conv1", {}),
    ("cnn", "digits", {}, "relu2", {"pictures": "mean of each map"}),
    ("gru", "adding", SMALL, "gru", {"steps": "last"}),
    ("gru", "adding", SMALL, "gru", {"steps": "mean"}),
    ("gpt", "copy", COPY, "block1", {}),
]


@pytest.mark.parametrize(("preset", "data", "changes", "layer", "options"), CODES)
def test_the_code_computes_what_is_shown(
    trained: Trained, preset: str, data: str, changes: dict[str, Any], layer: str, options: dict[str, Any]
) -> None:
    run = trained(preset, data, 6, **changes)
    seen, at = ask(run, "embeddings", layer=layer, **options), subject(run, "embeddings", layer=layer)
    space: dict[str, Any] = {"network": at.copied(), "x": at.x}
    exec(seen.code, space)
    rows = space["rows_of"](at.splits.test[0])
    if data == "copy":
        steps = at.splits.test[0].shape[1]
        rows = rows[torch.from_numpy(seen.arrays["samples"] * steps + seen.arrays["steps"])]
    else:
        rows = rows[torch.from_numpy(seen.arrays["samples"])]
    scores, shares = space["pca"](rows)
    np.testing.assert_allclose(shares.numpy(), seen.arrays["explained"], rtol=1e-3)
    for axis in range(2):
        known, found = scores[:, axis].numpy(), seen.arrays["components"][:, axis]
        np.testing.assert_allclose(found, np.sign(known @ found) * known, atol=1e-3 * np.abs(known).max())
    if data == "digits":
        named = space["named_by_neighbours"](rows, torch.from_numpy(seen.arrays["target"])).numpy()
        assert np.mean(named == seen.arrays["target"]) == pytest.approx(seen.facts.separation, abs=0.003)


def test_the_code_for_tokens_leaves_padding_out(trained: Trained) -> None:
    small = {"data.samples": 200, "model.width": 8, "model.heads": 2, "model.layers": 1}
    run = trained("transformer", "reviews", 4, **small)
    at = subject(run, "embeddings", layer="block1")
    for steps in ("mean", "last", "first"):
        options = Embeddings(steps=steps)
        space: dict[str, Any] = {"network": at.copied(), "x": at.x}
        exec(embeddings.code(at, options), space)
        known = embeddings.rows_at(at, "block1", embeddings.pick(at), options, lambda _done: None).rows
        torch.testing.assert_close(space["rows_of"](at.splits.test[0]), known, atol=1e-5, rtol=1e-4)


def test_the_code_for_t_sne_runs(trained: Trained) -> None:
    run = trained("cnn", "digits", 12)
    at = subject(run, "embeddings", layer="head", method="t-SNE", perplexity=5.0)
    space: dict[str, Any] = {"network": at.copied(), "x": at.x}
    exec(embeddings.code(at, Embeddings(method="t-SNE", perplexity=5.0)), space)
    assert space["tsne"](space["rows_of"](at.splits.test[0][:40])).shape == (40, 2)
