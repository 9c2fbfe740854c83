"""Training: to the bit the same whether paused, resumed, watched or not; and what it tells is what happened."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.spec.events import Event, Snapshot
from core.spec.options import SpecError
from core.spec.specs import Experiment, assign, preset
from core.store import Store
from core.worker.model.build import build, data_form
from core.worker.model.modules import precision
from core.worker.train.budget import Budget
from core.worker.train.frames import frame_samples, make_frame, quantise
from core.worker.train.training import Diverged, Training, load_data

FAMILIES = [
    ("mlp", "digits", {"model.dropout": 0.2}),
    ("cnn", "digits", {"model.dropout": 0.2, "model.channels": "4,8", "train.optimizer": "sgd"}),
    ("resnet8", "digits", {"model.width": 4}),
    ("rnn", "digits", {"model.hidden": 16}),
    ("lstm", "order", {"model.hidden": 16, "train.clip_norm": 0.5}),
    ("gru", "digits", {"model.hidden": 16, "train.optimizer": "adam"}),
    ("transformer", "order", {"model.width": 16, "model.dropout": 0.1}),
    ("vit", "digits", {"model.width": 16, "model.layers": 1, "model.patch": 7, "model.dropout": 0.1}),
]


def made(architecture: str, data: str, changes: dict[str, object], steps: int) -> Experiment:
    return assign(preset(architecture, data), {**changes, "train.steps": steps, "train.batch_size": 32})


def weights(training: Training) -> dict[str, np.ndarray]:
    """Everything that decides what comes next."""
    checkpoint = training.checkpoint()
    return {k: v for k, v in checkpoint.arrays.items() if k.startswith(("model/", "optimizer/", "rng/torch", "data/"))}


def run_to(training: Training, step: int) -> list[Event]:
    """Train until `step` steps are done; the events on the way."""
    events: list[Event] = []
    if training.step >= step:
        return events
    for happened in training:
        events += [e for e in happened if isinstance(e, Event)]
        if training.step >= step:
            break
    return events


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes(), f"{name} differs"


@pytest.mark.slow_for("resnet8", "gru", "vit", "rnn")
@pytest.mark.parametrize("half", [15, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("architecture", "data", "changes"), FAMILIES, ids=[f"{a}-{d}" for a, d, _ in FAMILIES])
def test_all_steps_equal_half_and_pause_and_resume_and_half_to_the_bit(
    architecture, data, changes, half, tmp_path, home
):
    experiment = made(architecture, data, changes, 2 * half)
    splits = load_data(experiment)
    straight = Training(experiment, splits)
    run_to(straight, 2 * half)

    first = Training(experiment, splits)
    run_to(first, half)
    run = Store(tmp_path).create(experiment)
    run.save_checkpoint(first.checkpoint())
    torch.manual_seed(12345)  # the resuming process has another random state
    torch.rand(7)
    second = Training(experiment, splits, checkpoint=run.load_checkpoint())
    assert second.step == half
    run_to(second, 2 * half)
    assert_same(weights(straight), weights(second))


ALL_ON = {
    "train.label_smoothing": 0.1,
    "train.label_noise": 0.2,
    "train.precision": "bfloat16",
    "train.weight_decay": 0.01,
    "train.clip_norm": 1.0,
    "train.initialisation": "orthogonal",
    "train.init_gain": 1.2,
    "train.early_stopping": 40,
    "train.augmentation": "shift,flip,crop,mixup",
    "train.schedule": "step",
    "train.warm_up": 0.2,
}
OPTIONS = [
    ("cnn", "digits", {"model.dropout": 0.2, "model.channels": "4,8", "train.optimizer": "muon", **ALL_ON}),
    (
        "lenet",
        "digits",
        {
            "train.optimizer": "rmsprop",
            "train.momentum": 0.5,
            "train.lr": 0.001,
            "train.centered": "on",
            **ALL_ON,
            "train.augmentation": "crop,cutmix",
            "train.schedule": "one_cycle",
        },
    ),
    ("lstm", "digits", {"model.hidden": 16, "train.optimizer": "muon", **ALL_ON, "train.augmentation": "shift,mixup"}),
    ("vit", "digits", {"model.width": 16, "model.layers": 1, "model.patch": 7, "model.dropout": 0.1, **ALL_ON}),
    (
        "gru",
        "adding",
        {
            "model.hidden": 8,
            "data.length": 6,
            "data.samples": 500,
            "train.early_stopping": 40,
            "train.precision": "bfloat16",
            "train.optimizer": "rmsprop",
            "train.lr": 0.001,
        },
    ),
    (
        "gpt",
        "copy",
        {
            "model.width": 16,
            "model.layers": 1,
            "model.dropout": 0.1,
            "data.samples": 500,
            "data.gap": 3,
            "data.items": 3,
            "train.label_smoothing": 0.1,
            "train.optimizer": "muon",
        },
    ),
]


@pytest.mark.slow_for("lenet", "vit")
@pytest.mark.parametrize("steps", [20, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("architecture", "data", "changes"), OPTIONS, ids=[f"{a}-{d}" for a, d, _ in OPTIONS])
def test_every_option_goes_on_to_the_bit_also_when_it_is_watched(architecture, data, changes, steps, tmp_path, home):
    experiment = made(architecture, data, changes, steps)
    splits = load_data(experiment)
    straight = Training(experiment, splits)
    run_to(straight, steps)
    ends = weights(straight)

    first = Training(experiment, splits)
    run_to(first, steps // 2 + 3)
    run = Store(tmp_path).create(experiment)
    run.save_checkpoint(first.checkpoint())
    torch.manual_seed(12345)
    torch.rand(7)
    second = Training(experiment, splits, checkpoint=run.load_checkpoint())
    for happened in second:
        if second.step % 7 == 0:
            second.watch(second.step, "")
            second.frame()
            second.look_soon()
            second.checkpoint()
        assert isinstance(happened, tuple)
    assert second.step == steps
    assert_same(ends, weights(second))


def test_label_noise_is_in_the_training_labels_alone_and_leaves_the_given_data_as_it_was(small_splits):
    before = small_splits.train[1].clone()
    experiment = made("mlp", "digits", {"train.label_noise": 0.25}, 1)
    noisy, again = (Training(experiment, small_splits).splits for _ in range(2))
    wrong = noisy.train[1] != small_splits.train[1]
    assert int(wrong.sum()) == round(0.25 * len(before)) and torch.equal(noisy.train[1], again.train[1])
    assert torch.equal(small_splits.train[1], before)
    for part in ("validation", "test"):
        assert torch.equal(getattr(noisy, part)[1], getattr(small_splits, part)[1])
    other = Training(assign(experiment, {"train.seed": 1}), small_splits).splits
    assert not torch.equal(noisy.train[1], other.train[1])


def test_augmentation_varies_what_the_network_learns_from_and_nothing_else(small_splits):
    plain = Training(made("mlp", "digits", {}, 5), small_splits)
    varied = Training(made("mlp", "digits", {"train.augmentation": "shift"}, 5), small_splits)
    assert [e.value for e in plain.evaluate("test")] == [e.value for e in varied.evaluate("test")]
    before = small_splits.train[0].clone()
    given, changed = batches_of(plain, 2)[0], batches_of(varied, 2)[0]
    assert given.shape == changed.shape and not torch.equal(given, changed)
    assert torch.equal(small_splits.train[0], before)
    for one, other in zip(given[:, 0], changed[:, 0], strict=True):  # the same samples, moved by two pixels at most
        moves = [torch.roll(one, (a, b), (0, 1))[4:-4, 4:-4] for a in range(-2, 3) for b in range(-2, 3)]
        assert any(torch.equal(move, other[4:-4, 4:-4]) for move in moves)


@pytest.mark.slow
def test_bfloat16_computes_products_so_and_keeps_weights_and_loss_in_float32(small_splits):
    experiment = made("cnn", "digits", {"train.precision": "bfloat16", "model.channels": "4"}, 60)
    training, kinds = Training(experiment, small_splits), set()
    handle = training.network.conv1.register_forward_hook(
        lambda module, _given, out: kinds.add((module.training, out.dtype))
    )
    events = run_to(training, 60)
    handle.remove()
    assert kinds == {(True, torch.bfloat16), (False, torch.float32)}
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in training.network.parameters())
    plain = run_to(Training(made("cnn", "digits", {"model.channels": "4"}, 60), small_splits), 60)
    one, other = ([e.value for e in told if e.name == "train/loss"] for told in (events, plain))
    assert one != other and one == pytest.approx(other, abs=0.35)


@pytest.mark.parametrize(
    ("architecture", "data", "gains"),
    [
        ("cnn", "digits", True),
        ("lstm", "digits", True),
        ("mlp", "digits", False),
        ("rnn", "digits", False),
        ("transformer", "order", False),
        ("vit", "digits", False),
        ("gpt", "copy", False),
    ],
)
def test_auto_takes_bfloat16_where_it_has_been_faster_and_a_resume_keeps_what_was_taken(
    architecture, data, gains, monkeypatch, small_splits
):
    experiment = made(architecture, data, {"train.precision": "auto"}, 1)
    splits = small_splits if data == "digits" else load_data(experiment)
    for able in (True, False):
        monkeypatch.setattr("core.worker.model.modules.precision._has_bfloat16", lambda _device, able=able: able)
        training = Training(experiment, splits)
        assert training.precision == ("bfloat16" if gains and able else "float32")
    monkeypatch.setattr("core.worker.model.modules.precision._has_bfloat16", lambda _device: True)
    assert Training(experiment, splits, checkpoint=training.checkpoint()).precision == "float32"


@pytest.mark.parametrize(("channels", "taken"), [("16,32", "float32"), ("64,128,256", "bfloat16")])
def test_on_a_gpu_auto_takes_bfloat16_for_wide_convolutions(channels, taken, monkeypatch):
    monkeypatch.setattr("core.worker.model.modules.precision._has_bfloat16", lambda _device: True)
    experiment = assign(preset("cnn", "digits"), {"model.channels": channels})
    network = build(experiment.model, data_form(experiment.data), 0)
    assert precision.chosen("auto", network, torch.device("cuda")) == taken


def test_a_start_of_its_own_leaves_the_order_of_the_batches(small_splits):
    plain = Training(made("mlp", "digits", {}, 3), small_splits)
    he = Training(made("mlp", "digits", {"train.initialisation": "he", "train.init_gain": 0.5}, 3), small_splits)
    assert not torch.equal(plain.network.head.weight, he.network.head.weight)
    for one, other in zip(batches_of(plain, 3), batches_of(he, 3), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow_for("resnet8", "vit", "gru", "rnn")
@pytest.mark.parametrize("steps", [8, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("architecture", "data", "changes"), FAMILIES, ids=[f"{a}-{d}" for a, d, _ in FAMILIES])
def test_watched_equals_unwatched_to_the_bit(architecture, data, changes, steps):
    experiment = made(architecture, data, changes, steps)
    splits = load_data(experiment)
    alone = Training(experiment, splits)
    run_to(alone, steps)
    weights_alone = weights(alone)
    watched = Training(experiment, splits)  # made now: both draw from torch's one generator
    layers = itertools.cycle(watched.network.addresses)
    for number, _happened in enumerate(watched):
        watched.watch(number, next(layers))
        watched.frame()
        watched.look_soon()
        watched.evaluate("test", 50)
        watched.checkpoint()
    assert_same(weights_alone, weights(watched))


def batches_of(training: Training, steps: int) -> list[torch.Tensor]:
    """What the network is given in the next `steps` steps."""
    given: list[torch.Tensor] = []
    handle = training.network.register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0].clone()) if module.training else None
    )
    run_to(training, training.step + steps)
    handle.remove()
    return given


def test_a_checkpoint_taken_in_mid_epoch_goes_on_with_the_same_batches(small_splits):
    experiment = made("mlp", "digits", {}, 100)
    one = Training(experiment, small_splits)
    run_to(one, 7)
    other = Training(experiment, small_splits, checkpoint=one.checkpoint())
    for mine, theirs in zip(batches_of(one, 60), batches_of(other, 60), strict=True):  # beyond the end of the epoch
        assert torch.equal(mine, theirs)


def test_every_epoch_sees_every_sample_at_most_once_and_in_another_order(small_splits):
    training, per_epoch = Training(made("mlp", "digits", {}, 200), small_splits), len(small_splits.train[0]) // 32
    there = Counter(row.numpy().tobytes() for row in small_splits.train[0])
    given = [row.numpy().tobytes() for x in batches_of(training, 3 * per_epoch) for row in x]
    epochs = [given[i * per_epoch * 32 : (i + 1) * per_epoch * 32] for i in range(3)]
    for epoch in epochs:
        assert len(epoch) == per_epoch * 32 and not Counter(epoch) - there
    assert epochs[0] != epochs[1] != epochs[2]


def test_epochs_decide_the_steps_when_they_are_given(small_splits):
    training = Training(assign(preset("mlp", "digits"), {"train.epochs": 2, "train.batch_size": 100}), small_splits)
    assert training.steps == 2 * (len(small_splits.train[0]) // 100)


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_losses_are_those_of_a_bare_loop(small_splits):
    experiment = made("cnn", "digits", {"train.optimizer": "sgd", "train.schedule": "cosine"}, 20)
    events = run_to(Training(experiment, small_splits), 20)
    told = [e.value for e in events if e.name == "train/loss"]

    network = build(experiment.model, data_form(experiment.data), 0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=experiment.train.lr, momentum=0.9, fused=True)
    shuffle, (x, y), bare = torch.Generator().manual_seed(0), small_splits.train, []
    order = torch.randperm(len(x), generator=shuffle)
    for step in range(20):
        index = order[step * 32 : step * 32 + 32]
        optimizer.param_groups[0]["lr"] = experiment.train.lr * 0.5 * (1 + math.cos(math.pi * step / 20))
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x[index]), y[index])
        loss.backward()
        optimizer.step()
        bare.append(loss.item())
    assert told == bare


def test_norms_ratios_and_accuracy_are_those_of_autograd(small_splits):
    experiment = made("cnn", "digits", {"model.channels": "4", "train.clip_norm": 0.0}, 3)
    training = Training(experiment, small_splits)
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    (x,) = batches_of(Training(experiment, small_splits), 1)
    y = small_splits.train[1][[int((small_splits.train[0] == row).flatten(1).all(1).nonzero()[0]) for row in x]]
    events = {e.name: e.value for e in run_to(training, 1) if e.step == 1}

    network = build(experiment.model, data_form(experiment.data), 0)
    network.load_state_dict(before)
    logits = network.train()(x)
    functional.cross_entropy(logits, y).backward()
    after = training.network.state_dict()
    for layer in ("conv1", "norm1", "head"):
        named = [(n, p) for n, p in network.named_parameters() if n.startswith(layer + ".")]
        norm = math.sqrt(sum(float(p.grad.square().sum()) for _n, p in named))
        assert events[f"grad_norm/{layer}"] == pytest.approx(norm, rel=1e-4)
        moved = math.sqrt(sum(float((after[n] - before[n]).square().sum()) for n, _p in named))
        size = math.sqrt(sum(float(before[n].square().sum()) for n, _p in named))
        assert events[f"update_ratio/{layer}"] == pytest.approx(moved / size, rel=1e-3)
    right = (logits.argmax(1) == y).float().mean()
    assert events["train/accuracy"] == pytest.approx(float(right))


def test_every_run_however_short_has_a_validation_curve_and_snapshots(small_splits):
    experiment = made("mlp", "digits", {}, 60)
    points, kept = [], []
    for happened in Training(experiment, small_splits):
        points += [e.step for e in happened if isinstance(e, Event) and e.name == "val/accuracy"]
        kept += [s.step for s in happened if isinstance(s, Snapshot)]
    assert len(points) >= 12 and points == sorted(set(points)) and points[-1] == 60
    assert kept[0] == 0 and kept[-1] == 60 and len(kept) >= 3


def test_early_stopping_without_validation_samples_is_refused_in_words(small_splits):
    empty = replace(small_splits, validation=tuple(part[:0] for part in small_splits.validation))
    with pytest.raises(SpecError, match=r"too small to have validation samples.*set early_stopping to 0"):
        Training(made("mlp", "digits", {"train.early_stopping": 3}, 5), empty)
    assert run_to(Training(made("mlp", "digits", {}, 5), empty), 5)


def test_no_evaluation_takes_more_samples_at_once_than_two_batches(small_splits):
    training, sizes = Training(made("mlp", "digits", {}, 3), small_splits), []
    training.network.register_forward_pre_hook(lambda _module, given: sizes.append(len(given[0])))
    training.evaluate("test")
    assert max(sizes) == 64 and sum(sizes) == len(small_splits.test[0])


def test_evaluation_is_of_all_samples_in_evaluation_mode(small_splits):
    training = Training(made("resnet8", "digits", {"model.width": 4}, 20), small_splits)
    run_to(training, 20)
    loss, accuracy = (e.value for e in training.evaluate("test"))
    network = training.network.eval()
    with torch.no_grad():
        logits = network(small_splits.test[0])
    assert loss == pytest.approx(float(functional.cross_entropy(logits, small_splits.test[1])), rel=1e-4)
    assert accuracy == pytest.approx(float((logits.argmax(1) == small_splits.test[1]).float().mean()))


# ── steering ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_by_hand_takes_effect_at_the_next_step_and_is_marked(small_splits):
    training = Training(made("mlp", "digits", {"train.schedule": "constant"}, 10), small_splits)
    run_to(training, 4)
    training.set("lr", "0.5")
    training.set("weight_decay", 0.25)
    training.set("clip_norm", 2)
    events = run_to(training, 10)
    marks = {e.name: (e.step, e.value) for e in events if e.name.startswith("set/")}
    assert marks == {"set/lr": (5, 0.5), "set/weight_decay": (5, 0.25), "set/clip_norm": (5, 2.0)}
    assert training.optimizer.param_groups[0]["lr"] == 0.5
    assert training.optimizer.param_groups[0]["weight_decay"] == 0.25
    again = Training(training.experiment, small_splits, checkpoint=training.checkpoint())
    assert again.values == {"lr": 0.5, "weight_decay": 0.25, "clip_norm": 2.0}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lr", "much", "number"),
        ("lr", -1, "between"),
        ("lr", float("nan"), "between"),
        ("seed", 3, "cannot be changed"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_words(small_splits, name, value, says):
    training = Training(made("mlp", "digits", {}, 10), small_splits)
    with pytest.raises(SpecError, match=says):
        training.set(name, value)
    assert training.values["lr"] == training.experiment.train.lr


def test_clipping_bounds_the_gradient(small_splits):
    training = Training(made("mlp", "digits", {"train.clip_norm": 0.01}, 3), small_splits)
    run_to(training, 2)
    total = math.sqrt(sum(float(p.grad.square().sum()) for p in training.network.parameters()))
    assert total <= 0.0101


# ── when it goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_loss_that_is_no_number_stops_the_run_with_step_layer_and_a_mend(small_splits):
    experiment = made("mlp", "digits", {"train.optimizer": "sgd", "train.lr": 100.0, "model.hidden": "64,64"}, 300)
    training, events = Training(experiment, small_splits), []
    with pytest.raises(Diverged) as caught:
        for happened in training:
            events += [e for e in happened if isinstance(e, Event)]
    last = [e for e in events if e.name == "train/loss"][-1]
    assert not math.isfinite(last.value) and last.step == caught.value.step
    assert all(math.isfinite(e.value) for e in events if e.name == "train/loss" and e.step < last.step)
    assert caught.value.layer in training.network.addresses
    assert str(last.step) in str(caught.value) and "smaller learning rate" in str(caught.value)


def test_the_first_layer_that_overflows_is_named(small_splits):
    training = Training(made("mlp", "digits", {"model.hidden": "8,8,8"}, 10), small_splits)
    with torch.no_grad():
        training.network.linear2.weight.fill_(float("inf"))
    with pytest.raises(Diverged) as caught:
        run_to(training, 5)
    assert caught.value.layer == "linear2" and caught.value.step == 1


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("architecture", "data", "layer", "view", "shape"),
    [
        ("cnn", "digits", "conv1", "feature_maps", (16, 28, 28)),
        ("cnn", "digits", "head", "vector", (10,)),
        ("lstm", "digits", "lstm", "states", (28, 64)),
        ("transformer", "order", "block2", "attention", (4, 16, 16)),
        ("vit", "digits", "block1", "attention", (4, 50, 50)),
        ("cnn", "digits", "no such layer", "feature_maps", (16, 28, 28)),
    ],
)
def test_a_frame_shows_the_chosen_sample_at_the_chosen_layer(architecture, data, layer, view, shape):
    experiment = preset(architecture, data)
    training = Training(experiment, load_data(experiment))
    training.watch(33, layer)
    frame = training.frame()
    assert frame.meta["view"] == view and frame.arrays["view"].shape == shape
    assert frame.meta["sample"] == 33 and 33 in frame.meta["indices"] and len(frame.meta["indices"]) == 12
    assert training.network.training, "the mode is put back"
    with torch.no_grad():
        odds = training.network.eval()(training.splits.test[0][frame.meta["indices"]]).softmax(1)
    assert frame.arrays["predicted"].tolist() == odds.argmax(1).tolist()
    np.testing.assert_allclose(frame.arrays["confidence"], odds.max(1).values, rtol=1e-4)
    assert frame.arrays["targets"].tolist() == training.splits.test[1][frame.meta["indices"]].tolist()


def test_a_frames_maps_are_the_layers_output(small_splits):
    training = Training(preset("cnn", "digits"), small_splits)
    kept = {}
    training.network.relu1.register_forward_hook(lambda _m, _i, out: kept.update(out=out.detach()))
    frame = make_frame(training.network, training.layers, small_splits, 0, 5, "relu1")
    expected = kept["out"][frame.meta["indices"].index(5)]
    levels = frame.arrays["view"].astype(float) / 255 * (frame.meta["high"] - frame.meta["low"]) + frame.meta["low"]
    half_a_level = (frame.meta["high"] - frame.meta["low"]) / 510 + 1e-6
    np.testing.assert_allclose(levels, expected, atol=half_a_level)


def test_twelve_pictures_show_every_class_and_the_chosen_sample(small_splits):
    indices = frame_samples(small_splits, 200)
    assert len(set(indices)) == 12 and 200 in indices
    assert len({int(small_splits.test[1][i]) for i in frame_samples(small_splits, 0)}) == 10


def test_non_finite_values_do_not_break_a_picture():
    levels, low, high = quantise(torch.tensor([float("nan"), float("inf"), 2.0, -2.0]))
    assert levels.tolist() == [128, 128, 255, 0] and (low, high) == (-2.0, 2.0)
    assert quantise(torch.zeros(3))[0].tolist() == [0, 0, 0]


def test_a_budget_keeps_its_share():
    budget, now, spent = Budget(0.02), 0.0, 0.0
    for _ in range(20_000):
        now += 0.005
        if budget.due(now):
            now += 0.01
            spent += 0.01
            budget.charge(0.01, now)
    assert 0.01 < spent / now <= 0.021
    assert budget.spent == pytest.approx(spent)


def test_a_smaller_training_set_than_a_batch_still_trains(small_splits):
    few = replace(small_splits, train=(small_splits.train[0][:20], small_splits.train[1][:20]))
    training = Training(made("mlp", "digits", {}, 5), few)
    assert len([e for e in run_to(training, 5) if e.name == "train/loss"]) == 5
