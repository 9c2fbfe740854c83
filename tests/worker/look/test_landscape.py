"""The loss landscape against independent losses, sklearn's PCA, a closed form, and its own code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA

from core.catalog.views.landscape import Landscape
from core.spec.questions import Seen
from core.store import Run
from core.worker.look import landscape
from core.worker.look.landscape import affordable, filter_normalised, principal, spread, thinned
from core.worker.look.subject import CannotShow, Subject
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SMALL = {"model.channels": (4, 4)}
QUICK = {"samples": 64, "resolution": 5}


def samples(at: Subject, count: int = 64, part: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    x, y = getattr(at.splits, part)
    chosen = [round(i * (len(x) - 1) / (count - 1)) for i in range(count)]
    return x[chosen], y[chosen]


def loss_of(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return float(F.cross_entropy(network(x).double(), y))


def run_code(seen: Seen, at: Subject, part: str = "train", **more: Any) -> dict[str, Any]:
    x, y = samples(at, seen.facts.samples, part)
    known: dict[str, Any] = {"network": at.copied(), "x": x, "y": y, **more}
    exec(seen.code, known)
    for mine, theirs in zip(known["network"].parameters(), at.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    return known


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("kind", ["line", "plane"])
def test_the_centre_is_the_models_own_loss(trained: Trained, kind: str, part: str) -> None:
    run = trained(**SMALL)
    seen, at = ask(run, "landscape", kind=kind, part=part, **QUICK), subject(run, "landscape")
    x, y = samples(at, 64, part)
    middle = seen.arrays["loss"][..., 2] if kind == "line" else seen.arrays["loss"][2, 2]
    np.testing.assert_allclose(middle, loss_of(at.network, x, y), atol=1e-6)
    right = float((at.network(x).argmax(-1) == y).float().mean())
    middle = seen.arrays["accuracy"][..., 2] if kind == "line" else seen.arrays["accuracy"][2, 2]
    np.testing.assert_allclose(middle, right, atol=1e-9)
    assert seen.facts.centre_loss == pytest.approx(loss_of(at.network, x, y), abs=1e-6)


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("gru", "digits"), ("transformer", "order")])
def test_every_filter_of_a_direction_is_as_long_as_the_models_own(trained: Trained, preset: str, data: str) -> None:
    at = subject(trained(preset, data, 3), "landscape")
    named = list(at.network.named_parameters())
    direction = filter_normalised([p for _name, p in named], torch.Generator().manual_seed(5))
    moved = 0
    for (name, weight), drawn in zip(named, direction, strict=True):
        if weight.dim() == 1:
            assert not drawn.any(), name
            continue
        own, length = weight.flatten(1).double().norm(dim=1), drawn.flatten(1).double().norm(dim=1)
        torch.testing.assert_close(length, own, rtol=1e-5, atol=1e-7)
        moved += 1
    assert moved > 2
    assert any("bias" in name for name, weight in named if weight.dim() == 1)


def test_a_filter_of_zeros_stays() -> None:
    (drawn,) = filter_normalised([torch.zeros(3, 4)], torch.Generator().manual_seed(0))
    assert torch.equal(drawn, torch.zeros(3, 4))


def test_two_seeds_give_two_directions_and_one_seed_one(trained: Trained) -> None:
    run = trained(**SMALL)
    first, again, other = (ask(run, "landscape", seed=s, directions=2, **QUICK).arrays["loss"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first[0], first[1])


def test_the_loss_of_a_linear_regression_is_a_parabola(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    at = subject(trained("rnn", "adding", 3, **{"data.samples": 400, "data.length": 6}), "landscape")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1)).double().requires_grad_(False)
    monkeypatch.setattr(at, "copied", lambda: network)
    x, y = at.splits.train
    monkeypatch.setattr(at.splits, "train", (x.double(), y.double()))
    options = Landscape(samples=64, resolution=11, radius=2.0, directions=2)
    seen = landscape.look(at, options, lambda *_: None)
    assert "accuracy" not in seen.arrays
    for line in seen.arrays["loss"]:
        fit = np.polynomial.Polynomial.fit(seen.arrays["distance"], line, 2)
        np.testing.assert_allclose(fit(seen.arrays["distance"]), line, rtol=1e-6)
        assert fit.convert().coef[2] > 0
    third = np.diff(seen.arrays["loss"], 3, axis=1)
    assert np.abs(third).max() < 1e-5 * seen.arrays["loss"].max()


def weights_at(run: Run, at: Subject, step: int) -> np.ndarray:
    kept = run.weights(step)
    return np.concatenate([kept[name].ravel() for name, _p in at.network.named_parameters()]).astype(np.float64)


@pytest.mark.parametrize("step", [-1, 4])
def test_the_path_is_what_sklearns_pca_says(trained: Trained, step: int) -> None:
    run = trained(**SMALL)
    seen, at = ask(run, "landscape", kind="path", step=step, **QUICK), subject(run, "landscape", step=step)
    steps = run.moments()
    assert seen.arrays["step"].tolist() == steps
    rows = np.stack([weights_at(run, at, s) for s in steps])
    pca = PCA(2, svd_solver="full").fit(rows)
    here = steps.index(at.step)
    assert seen.facts.here == here
    places = pca.transform(rows) - pca.transform(rows[here : here + 1])
    flips = np.sign((places * seen.arrays["place"]).sum(0))
    np.testing.assert_allclose(seen.arrays["place"], places * flips, atol=1e-5 * np.abs(places).max())
    np.testing.assert_array_equal(seen.arrays["place"][here], [0, 0])
    np.testing.assert_allclose(seen.arrays["explained"], pca.explained_variance_ratio_, rtol=1e-4)
    off = np.sqrt((((rows - rows[here]) ** 2).sum(1) - (places**2).sum(1)).clip(0))
    np.testing.assert_allclose(seen.arrays["off_plane"], off, atol=1e-3 * off.max())
    for axis in ("x", "y"):
        column = seen.arrays["place"][:, "xy".index(axis)]
        assert seen.arrays[axis].min() < column.min() and seen.arrays[axis].max() > column.max()


def test_the_losses_of_the_path_are_the_moments_own_and_those_of_their_shadows(trained: Trained) -> None:
    run = trained(**SMALL)
    seen, at = ask(run, "landscape", kind="path", **QUICK), subject(run, "landscape")
    x, y = samples(at)
    steps = seen.arrays["step"].tolist()
    own = [loss_of(at.at(step), x, y) for step in steps]
    np.testing.assert_allclose(seen.arrays["moment_loss"], own, rtol=1e-5, atol=1e-6)
    rows = np.stack([weights_at(run, at, s) for s in steps])
    axes = PCA(2, svd_solver="full").fit(rows).components_
    centre = weights_at(run, at, at.step)
    network = at.copied()  # its buffers are those of the moment shown
    for k, row in enumerate(rows):
        shadow = centre + axes.T @ (axes @ (row - centre))
        torch.nn.utils.vector_to_parameters(torch.from_numpy(shadow).float(), network.parameters())
        assert seen.arrays["drawn_loss"][k] == pytest.approx(loss_of(network, x, y), rel=1e-3, abs=1e-4)
        off = np.linalg.norm(row - shadow)  # the shadow and what is left over make the moment
        assert seen.arrays["off_plane"][k] == pytest.approx(off, rel=1e-3, abs=1e-4)
    assert any("% of the variance" in sentence for sentence in seen.words)


def test_the_grid_of_the_path_is_the_loss_on_that_plane(trained: Trained) -> None:
    run = trained(**SMALL)
    seen, at = ask(run, "landscape", kind="path", **QUICK), subject(run, "landscape")
    moments = [run.weights(step) for step in run.moments()]
    tensors = [{name: torch.from_numpy(value) for name, value in one.items()} for one in moments]
    known = run_code(seen, at, moments=tensors)
    np.testing.assert_allclose(known["places"], seen.arrays["place"], atol=1e-4)
    np.testing.assert_allclose(known["explained"], seen.arrays["explained"], rtol=1e-4)
    np.testing.assert_allclose(known["losses"], seen.arrays["loss"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("preset", "data"), [("cnn", "digits"), ("lstm", "digits"), ("gpt", "characters"), ("rnn", "adding")]
)
def test_the_code_of_a_line_gives_the_line(trained: Trained, preset: str, data: str) -> None:
    run = trained(preset, data, 3)
    seen, at = ask(run, "landscape", samples=16, resolution=5, radius=0.5), subject(run, "landscape")
    known = run_code(seen, at)
    np.testing.assert_allclose(known["losses"], seen.arrays["loss"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(known["distances"], seen.arrays["distance"], atol=1e-12)


def test_the_code_of_a_plane_gives_the_plane(trained: Trained) -> None:
    run = trained(**SMALL)
    seen, at = ask(run, "landscape", kind="plane", part="test", **QUICK), subject(run, "landscape")
    known = run_code(seen, at, "test")
    np.testing.assert_allclose(known["losses"], seen.arrays["loss"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["line", "plane", "path"])
def test_looking_changes_nothing_of_the_shared_network(trained: Trained, kind: str) -> None:
    at = subject(trained(**SMALL), "landscape")
    before = {name: value.clone() for name, value in at.network.state_dict().items()}
    landscape.look(at, Landscape(kind=kind, samples=16, resolution=5), lambda *_: None)
    after = at.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not at.network.training


class _GaveUpError(Exception):
    pass


@pytest.mark.parametrize("kind", ["line", "plane", "path"])
def test_giving_up_ends_it_at_once(trained: Trained, kind: str) -> None:
    calls, forwards = [], []

    def report(fraction: float, words: str, _part: Any = None) -> None:
        calls.append(fraction)
        if len(calls) == 3:
            raise _GaveUpError

    at = subject(trained(**SMALL), "landscape")
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: forwards.append(1))
    try:
        with pytest.raises(_GaveUpError):
            landscape.look(at, Landscape(kind=kind, samples=16, resolution=51, directions=8), report)
    finally:
        handle.remove()
    modules = len(list(at.network.modules()))
    assert len(forwards) < modules * 51 * 4  # of 51 × 51 points, or 8 lines of 51


def test_progress_rises_to_the_end(trained: Trained) -> None:
    told: list[tuple[float, str]] = []
    at = subject(trained(**SMALL), "landscape")
    landscape.look(at, Landscape(kind="path", samples=16, resolution=9), lambda *said: told.append(said))
    fractions = [fraction for fraction, _words in told]
    assert fractions == sorted(fractions) and 0.8 < fractions[-1] <= 1
    assert {f"Row {k} of 9" for k in range(1, 10)} <= {words for _fraction, words in told}


def test_a_run_with_too_few_moments_has_no_path_but_a_line(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(**SMALL)
    first, last = run.moments()[0], run.moments()[-1]
    monkeypatch.setattr(Run, "moments", lambda _self: [first, last])
    with pytest.raises(CannotShow, match="needs three kept moments, and this run has 2"):
        ask(run, "landscape", kind="path", **QUICK)
    assert ask(run, "landscape", **QUICK).arrays["loss"].shape == (3, 5)


def test_a_straight_path_spans_no_plane() -> None:
    direction = torch.randn(4, 3)
    with pytest.raises(CannotShow, match="span no plane"):
        principal([[direction * k] for k in range(5)], [direction * 4])
    with pytest.raises(CannotShow, match="span no plane"):
        principal([[direction]] * 4, [direction])


def test_a_slow_model_gets_fewer_samples_and_a_hopeless_one_a_sentence(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert affordable(256, 441, 1e-4) == 256
    assert affordable(256, 441, 2e-3) == int(120 / 441 / 2e-3)
    with pytest.raises(CannotShow, match="too slow for 441 points"):
        affordable(256, 441, 0.1)
    assert affordable(4, 10, 2.0) == 4  # a part with few samples
    monkeypatch.setattr(landscape.Ground, "pace", lambda _self: 120 / (9 * 9 * 40.5))
    seen = ask(trained(**SMALL), "landscape", kind="plane", samples=64, resolution=9)
    assert seen.facts.samples == 40
    assert any("mean over 40 samples, not 64" in sentence for sentence in seen.words)
    at = subject(trained(**SMALL), "landscape")
    assert seen.arrays["loss"][4, 4] == pytest.approx(loss_of(at.network, *samples(at, 40)), abs=1e-6)


def test_words_tell_what_batch_norm_does_only_where_there_is_one(trained: Trained) -> None:
    assert any("Batch norms" in words for words in ask(trained(**SMALL), "landscape", **QUICK).words)
    seen = ask(trained("mlp", "digits", 3), "landscape", **QUICK)
    assert not any("Batch norms" in words for words in seen.words)
    assert any("another seed" in words for words in seen.words)


def test_an_even_number_of_points_becomes_odd(trained: Trained) -> None:
    seen = ask(trained(**SMALL), "landscape", samples=16, resolution=6, radius=0.3)
    assert seen.arrays["distance"].tolist()[3] == 0 and len(seen.arrays["distance"]) == 7
    assert seen.arrays["distance"][-1] == pytest.approx(0.3)


def test_the_choice_of_samples_and_moments() -> None:
    x, y = spread((torch.arange(1000.0), torch.arange(1000)), 5)
    assert y.tolist() == [0, 250, 500, 749, 999] or y.tolist() == [0, 250, 500, 750, 999]
    assert len(x) == 5
    assert len(spread((torch.arange(10.0), torch.arange(10)), 64)[0]) == 10
    steps = thinned(range(1000), 333)
    assert len(steps) <= 65 and {0, 333, 999} <= set(steps) and steps == sorted(steps)
    assert thinned([0, 1, 5], 5) == [0, 1, 5]


@pytest.mark.parametrize("kind", ["line", "plane", "path"])
def test_losses_that_overflow_are_counted_and_not_hidden(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plain, calls = landscape.Ground.at, []

    def overflowing(self: landscape.Ground, *moves: Any) -> tuple[float, float]:
        calls.append(1)
        return (np.inf if len(calls) % 2 else np.nan, 0.1) if len(calls) in (1, 2, 5, 6) else plain(self, *moves)

    monkeypatch.setattr(landscape.Ground, "at", overflowing)
    seen = ask(trained(**SMALL), "landscape", kind=kind, **QUICK)
    assert seen.facts.losses.broken == 4
    assert np.isfinite(seen.facts.losses.high)
    if kind == "line":
        assert "(3 more are too large to be a number)" in seen.words[0]


def test_a_lower_point_than_the_model_is_named(trained: Trained) -> None:
    seen = ask(trained(**SMALL), "landscape", step=0, resolution=21, samples=64, directions=8)
    k, i = np.unravel_index(seen.arrays["loss"].argmin(), seen.arrays["loss"].shape)
    if i != 10:  # an untrained model is at no minimum
        assert f"direction {k + 1} has {seen.arrays['loss'][k, i]:.3g}" in seen.words[1]
    assert seen.arrays["loss"].min() < seen.facts.centre_loss
