"""The gradient against torch's own autograd, hooks and counts; and what networks of known illness are called."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.spec import specs
from core.spec.events import FAILED, Event, Snapshot, Status
from core.spec.questions import Seen
from core.spec.specs import Experiment, model_from_json
from core.store import Run, Store
from core.worker.look import gradients
from core.worker.look.subject import Subject
from core.worker.model.build import Network, build, data_form, load_state, state_arrays
from core.worker.train.training import Diverged, Training
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

Rows = list[tuple[str, dict[str, Any]]]
SEEDS = (0, 1, 2)


# ── the numbers ──────────────────────────────────────────────────────────────


def plain_pass(at: Subject, count: int = 64) -> tuple[Network, dict[str, torch.Tensor]]:
    """One pass as training makes it, without the view's code: a network with gradients, and what every module gave."""
    experiment = at.experiment
    network = build(experiment.model, data_form(experiment.data))
    load_state(network, at.run.weights(at.step))
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    given: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: given.__setitem__(name, out))
    x, y = at.splits.train[0][:count], at.splits.train[1][:count]
    answers = network(x)
    if y.is_floating_point():
        loss = F.mse_loss(answers[:, 0], y)
    else:
        loss = F.cross_entropy(answers.reshape(-1, answers.shape[-1]), y.reshape(-1), ignore_index=-100)
    grads = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        parameter.grad = grad
    return network, given


RUNS = [
    ("cnn", "digits"),
    ("resnet8", "digits"),
    ("lstm", "digits"),
    ("transformer", "order"),
    ("rnn", "adding"),
    ("gru", "copy"),
]


@pytest.mark.slow_for("resnet8")
@pytest.mark.parametrize(("preset", "data"), RUNS)
def test_every_layers_norm_is_autograds(trained: Trained, preset: str, data: str) -> None:
    run = trained(preset, data, steps=8)
    seen, at = ask(run, "gradients"), subject(run, "gradients")
    network, _given = plain_pass(at)
    for name, norm in zip(seen.facts.layers, seen.arrays["norms"], strict=True):
        found = [p.grad.double() for p in network.get_submodule(name).parameters() if p.grad is not None]
        expected = math.sqrt(sum(float(gradient.square().sum()) for gradient in found))
        assert norm == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert set(seen.facts.layers) == {n.partition(".")[0] for n, _p in network.named_parameters()}


def test_dropout_is_off_and_every_look_says_the_same(trained: Trained) -> None:
    run = trained("mlp", steps=8, **{"model.dropout": 0.5})
    one, two = ask(run, "gradients"), ask(run, "gradients")
    np.testing.assert_array_equal(one.arrays["norms"], two.arrays["norms"])
    network, _given = plain_pass(subject(run, "gradients"))
    norm = float(torch.cat([p.grad.flatten() for p in network.head.parameters()]).norm())  # type: ignore[union-attr]
    assert one.arrays["norms"][-1] == pytest.approx(norm, rel=1e-5)


def test_the_labels_are_those_that_training_was_given(trained: Trained) -> None:
    run = trained("mlp", steps=8, **{"train.label_noise": 0.5})
    training = Training(run.experiment())
    _x, y = gradients.training_batch(subject(run, "gradients"), 64)
    assert torch.equal(y, training.splits.train[1][:64])
    assert not torch.equal(y, subject(run, "gradients").splits.train[1][:64])


def test_dead_shares_and_histograms_are_counts_of_what_plain_hooks_see(trained: Trained) -> None:
    run = trained("cnn", steps=8)
    seen = ask(run, "gradients", batch=40)
    network, given = plain_pass(subject(run, "gradients"), 40)
    relus = [name for name, module in network.named_modules() if isinstance(module, nn.ReLU)]
    assert seen.facts.relus == relus
    for name, share in zip(relus, seen.arrays["dead"], strict=True):
        maps = given[name].detach().numpy()
        dead = [not maps[:, c].any() for c in range(maps.shape[1])]
        assert share == pytest.approx(np.mean(dead))
    for name in network.addresses:
        edges, counts = seen.arrays[f"histogram/edges/{name}"], seen.arrays[f"histogram/{name}"]
        values = given[name].detach().numpy().ravel()
        assert counts.sum() == values.size
        middle = len(edges) // 2
        assert counts[:middle].sum() == pytest.approx((values < edges[middle]).sum(), abs=values.size * 1e-4)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_saturated_is_where_autograds_slope_is_small(kind: str) -> None:
    x = torch.linspace(-9, 9, 2001, requires_grad=True)
    given = getattr(torch, kind)(x)
    (slope,) = torch.autograd.grad(given.sum(), x)
    expected = float((slope < 0.05 * slope.max()).float().mean())
    assert gradients.saturated_share(given.detach(), kind) == pytest.approx(expected, abs=2e-3)


def test_dead_units_are_features_of_vectors_and_sequences_and_maps_of_pictures() -> None:
    vectors = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert gradients.dead_share(vectors) == 0.5
    assert gradients.dead_share(vectors[:, None].expand(2, 5, 2)) == 0.5
    assert gradients.dead_share(vectors[:, :, None, None].expand(2, 2, 4, 4)) == 0.5


def test_round_numbers_are_the_next_above() -> None:
    assert [gradients.round_up(v) for v in (0.0, 0.03, 1.0, 1.1, 4.2, 51.0)] == pytest.approx([1, 0.05, 1, 2, 5, 100])


def test_the_history_is_what_the_rows_say(trained: Trained) -> None:
    run = trained("cnn", steps=20)
    seen = ask(run, "gradients", step=8)
    steps = seen.arrays["history/steps"].tolist()
    rows = {(e.name, e.step): e.value for e in run.events()}
    assert steps == sorted({s for n, s in rows if n.startswith("grad_norm/")})
    for kind in ("grad_norm", "update_ratio"):
        table = seen.arrays[f"history/{kind}"]
        for i, layer in enumerate(seen.facts.layers):
            assert table[i].tolist() == [rows[f"{kind}/{layer}", step] for step in steps]
    ratios = [
        np.median([v for (n, s), v in rows.items() if s == step and n.startswith("update_ratio")])
        for step in steps
        if step <= 8
    ]
    (verdict,) = seen.facts.verdicts
    assert verdict["numbers"]["size"] == pytest.approx(np.median(ratios))


@pytest.mark.parametrize(("preset", "data"), RUNS)
def test_the_lines_of_pytorch_compute_what_is_shown(trained: Trained, preset: str, data: str) -> None:
    run = trained(preset, data, steps=8)
    seen, at = ask(run, "gradients"), subject(run, "gradients")
    x, y = at.splits.train[0][:64], at.splits.train[1][:64]
    names: dict[str, Any] = {"network": at.copied(), "x": x, "y": y, "print": lambda *_: None}
    exec(seen.code, names)
    assert list(names["norms"]) == seen.facts.layers
    np.testing.assert_allclose(list(names["norms"].values()), seen.arrays["norms"], rtol=1e-4, atol=1e-9)
    shown = dict(zip(seen.facts.relus, seen.arrays["dead"].tolist(), strict=True))
    assert names["dead"] == {name: pytest.approx(shown[name]) for name in names["dead"]}


# ── through time ─────────────────────────────────────────────────────────────


def by_hand(at: Subject, count: int) -> float:
    """‖∂L/∂c₁‖ ÷ ‖∂L/∂c_T‖ of an LSTM with torch's own LSTMCell."""
    core = at.network.get_submodule("lstm").core
    cell = nn.LSTMCell(core.input_size, core.hidden_size)
    cell.load_state_dict({n.removesuffix("_l0"): v for n, v in core.state_dict().items()})
    x, y = at.splits.train[0][:count], at.splits.train[1][:count]
    rows = x.transpose(1, 2).flatten(2)
    h = c = torch.zeros(count, core.hidden_size)
    states = []
    for t in range(rows.shape[1]):
        h, c = cell(rows[:, t], (h, c))
        states.append(c)
    loss = F.cross_entropy(at.network.head(h), y)  # type: ignore[operator]
    first, last = torch.autograd.grad(loss, [states[0], states[-1]])
    return float(first.norm() / last.norm())


def test_the_ratio_through_time_is_that_of_torchs_cell(trained: Trained) -> None:
    run = trained("lstm", steps=8)
    seen = ask(run, "gradients")
    assert seen.facts.through_time["lstm"] == pytest.approx(by_hand(subject(run, "gradients"), 64), rel=1e-3)


def test_padding_and_answers_at_every_step_do_not_hide_the_last_state(trained: Trained) -> None:
    """Alone in a batch, cut to its real length, a row has the ratio it has with its padding."""
    run = trained("lstm", "order", steps=8)
    at = subject(run, "gradients")
    x, y = at.splits.train[0][:1], at.splits.train[1][:1]
    short = x[:, : int((x != 0).sum())]
    network = gradients.as_in_training(at.copied())
    quiet = lambda *_: None  # noqa: E731
    ratios = [gradients.through_time(network, (one, y), F.cross_entropy, quiet)["lstm"] for one in (x, short)]
    assert short.shape[1] < x.shape[1] or x.shape == short.shape
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-4)
    assert 0 < ratios[0] < math.inf
    copied = ask(trained("gru", "copy", steps=8), "gradients").facts.through_time["gru"]
    assert 0 < copied < 1


@pytest.mark.slow_for("1", "2")
@pytest.mark.parametrize("seed", SEEDS)
def test_an_lstm_over_40_steps_is_healthy_only_with_a_forget_bias(trained: Trained, seed: int) -> None:
    at_start = {"train.seed": seed, "data.length": 40}
    plain = ask(trained("lstm", "adding", steps=1, **at_start), "gradients", step=0)
    assert 1e-9 < plain.facts.through_time["lstm"] < 1e-6  # about 1e-8
    assert states(plain) == ["vanishing_in_time"]
    kept = ask(trained("lstm", "adding", steps=1, **at_start, **{"model.forget_bias": 3}), "gradients", step=0)
    assert kept.facts.through_time["lstm"] > 0.1
    assert states(kept) == ["unjudged"]  # nothing is wrong, and nothing is learned yet


# ── what networks are called ─────────────────────────────────────────────────


def states(seen: Seen) -> list[str]:
    return [verdict["state"] for verdict in seen.facts.verdicts]


def ill(seen: Seen) -> set[str]:
    return set(states(seen)) - {"healthy", "unjudged"}


def made(rows: Rows, size: int = 28, **train: Any) -> Experiment:
    """An experiment on digits with these layers."""
    layers = [{"kind": kind, "name": f"{kind}{i}", "options": options} for i, (kind, options) in enumerate(rows)]
    fields = {"data.size": size, "train.schedule": "constant", **{f"train.{k}": v for k, v in train.items()}}
    experiment = specs.assign(specs.preset("mlp", "digits"), fields)
    return replace(experiment, model=model_from_json({"architecture": "mlp", "layers": layers}))


def sigmoid_net(depth: int) -> Rows:
    hidden: Rows = [("linear", {"features": 64}), ("sigmoid", {})]
    return [("flatten", {}), *hidden * (depth - 1), ("linear", {"features": 10})]


def residual_net(depth: int) -> Rows:
    """A convolution, blocks of two, and a head: ReLU nets with a shortcut around every two layers."""
    blocks: Rows = [("residual", {"channels": 16})] * ((depth - 2) // 2)
    return [("conv", {"channels": 16}), ("max_pool", {}), *blocks, ("global_pool", {}), ("linear", {"features": 10})]


def normed_net(depth: int, side: int) -> Rows:
    """An MLP of 64 units with batch norm, written as convolutions over a picture of one pixel."""

    def block(kernel: int) -> Rows:
        return [("conv", {"channels": 64, "kernel": kernel, "padding": 0}), ("batch_norm", {}), ("relu", {})]

    return [*block(side), *block(1) * (depth - 2), ("flatten", {}), ("linear", {"features": 10})]


@pytest.fixture
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """run_of(experiment) → a trained run, also where its training fails."""
    store = Store(tmp_path_factory.mktemp("ill"))
    yield lambda experiment: carried(store, experiment)


def carried(store: Store, experiment: Experiment) -> Run:
    """What a worker keeps of a run, its failure included."""
    run = store.create(experiment)
    rows, training = run.log(), Training(experiment)
    try:
        for happened in training:
            rows.append([one for one in happened if isinstance(one, Event)])
            for one in happened:
                if isinstance(one, Snapshot):
                    run.save_snapshot(one)
    except Diverged as error:
        run.set_status(Status(FAILED, training.step, training.steps, str(error), error.layer))
    rows.close()
    return run


@pytest.mark.slow_for("1", "2")
@pytest.mark.parametrize("seed", SEEDS)
def test_20_sigmoid_layers_vanish(run_of: Any, seed: int) -> None:
    run = run_of(made(sigmoid_net(20), size=8, steps=30, seed=seed))
    for step in (0, 30):
        seen = ask(run, "gradients", step=step)
        assert states(seen) == ["vanishing"]
        assert seen.facts.ratio < 1e-8
        assert "linear1" in seen.words[0] and "residual" in seen.words[0]


@pytest.mark.slow
@pytest.mark.slow_for("1", "2")
@pytest.mark.parametrize("seed", SEEDS)
def test_20_residual_relu_layers_are_not_ill(run_of: Any, seed: int) -> None:
    run = run_of(made(residual_net(20), size=8, steps=12, seed=seed))
    for step in (0, 12):  # after 12 steps the running statistics of its norms lag behind, which is no fault of the flow
        assert ill(ask(run, "gradients", step=step)) <= {"norms_lag"}


@pytest.mark.slow_for("1", "2")
@pytest.mark.parametrize("seed", SEEDS)
def test_30_relu_layers_with_batch_norm_and_no_shortcut_explode(run_of: Any, seed: int) -> None:
    run = run_of(made(normed_net(30, 8), size=8, steps=1, seed=seed))
    seen = ask(run, "gradients", step=0)
    assert states(seen) == ["exploding"]
    assert 100 < seen.facts.ratio < 600  # 240, the median of five seeds of the same net (Yang 2019: 1.21²⁹ = 252)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thousand_times_the_learning_rate_names_the_first_layer_to_overflow(run_of: Any, seed: int) -> None:
    rows: Rows = [("flatten", {}), *[("linear", {"features": 64}), ("gelu", {})] * 3, ("linear", {"features": 10})]
    run = run_of(made(rows, size=8, steps=60, seed=seed, optimizer="sgd", lr=100.0))
    status = run.status()
    assert status.state == FAILED and status.layer
    for step in (0, -1):
        seen = ask(run, "gradients", step=step)
        (verdict,) = seen.facts.verdicts
        assert verdict["state"] == "diverged"
        assert (verdict["numbers"]["layer"], verdict["numbers"]["step"]) == (status.layer, status.step + 1)
        assert status.layer in seen.words[-1]
    calm = run_of(made(rows, size=8, steps=20, seed=seed, optimizer="sgd", lr=0.1))
    assert not ill(ask(calm, "gradients"))


@pytest.mark.parametrize("seed", SEEDS)
def test_large_negative_biases_are_dead(run_of: Any, seed: int) -> None:
    hidden: Rows = [("linear", {"features": 32}), ("relu", {})]
    experiment = made([("flatten", {}), *hidden * 2, ("linear", {"features": 10})], size=8, steps=1, seed=seed)
    run = run_of(experiment)
    network = build(experiment.model, data_form(experiment.data), seed)
    with torch.no_grad():
        network.get_submodule("linear1").bias.fill_(-100.0)
    run.save_snapshot(Snapshot(1, state_arrays(network)))
    seen = ask(run, "gradients", step=1)
    assert states(seen) == ["dead"]
    assert seen.facts.verdicts[0]["numbers"] == {"layer": "relu2", "share": 1.0}
    assert states(ask(run, "gradients", step=0)) == ["unjudged"]


@pytest.mark.parametrize(("lr", "state"), [(1e-7, "lr_too_small"), (3.0, "lr_too_large"), (0.003, "healthy")])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_learning_rate_is_judged_by_the_steps_and_the_loss(run_of: Any, lr: float, state: str, seed: int) -> None:
    rows: Rows = [("flatten", {}), ("linear", {"features": 64}), ("relu", {}), ("linear", {"features": 10})]
    run = run_of(made(rows, size=8, steps=60, seed=seed, lr=lr))
    assert states(ask(run, "gradients"))[0] == state


@pytest.mark.parametrize("preset", ["mlp", "cnn", "lenet", "irnn", "vit"])
@pytest.mark.slow_for("vit", "irnn")
def test_presets_are_never_called_ill(trained: Trained, preset: str) -> None:
    run = trained(preset, steps=40)
    for step in (0, 40):
        assert not ill(ask(run, "gradients", step=step))


def test_a_moment_whose_weights_are_not_finite_is_answered(trained: Trained, run_of: Any) -> None:
    experiment = made([("flatten", {}), ("linear", {"features": 10})], size=8, steps=1)
    run = run_of(experiment)
    network = build(experiment.model, data_form(experiment.data))
    with torch.no_grad():
        network.get_submodule("linear1").weight.fill_(math.inf)
    run.save_snapshot(Snapshot(1, state_arrays(network)))
    (verdict,) = ask(run, "gradients", step=1).facts.verdicts
    assert (verdict["state"], verdict["numbers"]["layer"]) == ("diverged", "linear1")
