"""Losses that are read late lose nothing; and, where there is a GPU, a replayed step is the step itself."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import core.worker.train.training
from core.spec import registry
from core.spec.events import Event
from core.spec.specs import Experiment, assign, preset
from core.worker.train.step import Recorded
from core.worker.train.training import Diverged, Training, load_data

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA begins: what makes cuBLAS add in one order

Taken = tuple[list[Event], dict[str, np.ndarray]]


def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, too, a loss waits until many are read at once."""
    monkeypatch.setattr(core.worker.train.training, "losses_come_late", lambda _spec, _device: True)


def experiment_of(changes: dict[str, object], architecture: str = "cnn", data: str = "digits") -> Experiment:
    return assign(preset(architecture, data), {"train.steps": 24, "train.batch_size": 32, **changes})


def taken(training: Training) -> Taken:
    """All losses, and the weights at the end."""
    events = [e for happened in training for e in happened if isinstance(e, Event) and e.name == "train/loss"]
    return events, {k: v for k, v in training.checkpoint().arrays.items() if k.startswith(("model/", "optimizer/"))}


@pytest.mark.parametrize(
    "changes",
    [
        {"model.dropout": 0.2},
        {"train.optimizer": "sgd", "train.clip_norm": 0.5},
        {"train.optimizer": "muon"},
        {"train.optimizer": "adam", "train.augmentation": "shift,mixup"},
    ],
    ids=str,
)
def test_losses_that_are_read_late_are_the_same_to_the_bit(changes, monkeypatch, small_splits):
    at_once, weights = taken(Training(experiment_of(changes), small_splits))
    late(monkeypatch)
    afterwards, also = taken(Training(experiment_of(changes), small_splits))
    assert [(e.step, e.value) for e in at_once] == [(e.step, e.value) for e in afterwards]
    assert weights.keys() == also.keys() and all(weights[k].tobytes() == also[k].tobytes() for k in weights)


def ended(training: Training) -> tuple[Diverged, list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    with pytest.raises(Diverged) as caught:
        for happened in training:
            told += [(e.step, str(e.value)) for e in happened if isinstance(e, Event) and e.name == "train/loss"]
    return caught.value, told


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_a_loss_that_is_no_number_is_found_late_and_yet_the_weights_stand_where_they_stood(
    optimizer, monkeypatch, small_splits
):
    """The step, the layer, the rows and the weights are those that a training finds which reads every loss at once."""
    experiment = experiment_of({"train.optimizer": optimizer, "train.steps": 200, "train.clip_norm": 0.0}, "mlp")

    def breaking(training: Training) -> Training:
        """From step 7 on the first layer's weights are too large for float32."""
        step = training._stepping

        def broken() -> None:
            step()
            if training.step == 6:
                with torch.no_grad():
                    training.network.linear1.weight.sign_().mul_(3e38)

        training._stepping = broken
        return training

    at_once = breaking(Training(experiment, small_splits))
    error, told = ended(at_once)
    late(monkeypatch)
    afterwards = breaking(Training(experiment, small_splits))
    afterwards.flush_seconds = 3600.0  # not before the next validation
    same, also = ended(afterwards)
    assert (error.step, error.layer, str(error)) == (same.step, same.layer, str(same)) and error.layer == "linear1"
    assert told == also and told[-1][0] == error.step and not math.isfinite(float(told[-1][1]))
    assert at_once.step == afterwards.step == error.step - 1
    for one, other in zip(at_once.network.parameters(), afterwards.network.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(Diverged):
        afterwards.checkpoint()


def test_a_checkpoint_reads_the_losses_first(monkeypatch, small_splits):
    late(monkeypatch)
    training = Training(experiment_of({"train.steps": 1000}, "mlp"), small_splits)
    training.flush_seconds = 3600.0
    for _happened in training:
        if training.step == 65:  # the weights of a power of two are kept, for which losses are read
            training.network.linear1.weight.data.fill_(math.inf)
        if training.step == 70:
            break
    with pytest.raises(Diverged) as caught:
        training.checkpoint()
    assert caught.value.step == 66 and training.step == 65
    assert [e.step for e in training.flush() if isinstance(e, Event) and e.name == "train/loss"] == [65, 66]


def test_a_range_test_ends_where_it_ends_when_every_loss_is_read(monkeypatch, small_splits):
    changes = {"train.schedule": "range_test", "train.steps": 120, "train.highest": 1e7, "train.optimizer": "sgd"}

    def run() -> tuple[int, list[tuple[int, float]], dict[str, float]]:
        training, told = Training(experiment_of(changes, "mlp"), small_splits), []
        for happened in training:
            told += [e for e in happened if isinstance(e, Event)]
        losses = [(e.step, e.value) for e in told if e.name == "train/loss"]
        return training.step, losses, {e.name: e.value for e in told if e.name.startswith("suggested")}

    at_once = run()
    late(monkeypatch)
    assert run() == at_once and at_once[0] < 120 and at_once[1][-1][0] == at_once[0]


# ── where there is a GPU ─────────────────────────────────────────────────────────────────────────────────────────────

PRESETS = [
    ("mlp", "digits", {"model.dropout": 0.2}),
    ("cnn", "digits", {"model.dropout": 0.2}),
    ("lenet", "digits", {}),
    ("resnet8", "digits", {}),
    ("rnn", "digits", {}),
    ("irnn", "adding", {}),
    ("lstm", "digits", {}),
    ("lstm", "reviews", {"model.bidirectional": True}),
    ("gru", "planted", {}),
    ("transformer", "order", {}),
    ("transformer", "reviews", {"model.dropout": 0.1}),
    ("vit", "digits", {}),
    ("gpt", "characters", {}),
]
IDS = [f"{architecture}-{data}" for architecture, data, _changes in PRESETS]


@pytest.fixture
def exact() -> Iterator[None]:
    """Only kernels that add in one order: two ways to the same number then agree to the bit."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def same(one: Taken, other: Taken) -> bool:
    """To the bit."""
    (losses, weights), (also, ends) = one, other
    told = [(e.step, e.value) for e in losses] == [(e.step, e.value) for e in also]
    return told and all(weights[name].tobytes() == value.tobytes() for name, value in ends.items())


@pytest.mark.gpu
@pytest.mark.parametrize(("architecture", "data", "changes"), PRESETS, ids=IDS)
def test_a_replayed_step_is_the_step_itself(architecture, data, changes, monkeypatch, exact):
    """Losses, dropout included, and the weights after 40 steps."""
    experiment = experiment_of(changes, architecture, data)
    splits = load_data(experiment)
    training = Training(experiment, splits)
    replayed = taken(training)
    assert isinstance(training._passes, Recorded) is not bool(changes.get("model.bidirectional"))
    monkeypatch.setattr(core.worker.train.training, "recordable", lambda _network: False)
    plain = Training(experiment, splits)
    assert not isinstance(plain._passes, Recorded) and same(replayed, taken(plain))


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", [name for name in registry.OPTIMIZERS.names() if name != "rmsprop"])
def test_no_step_waits_for_the_gpu(optimizer, small_splits):
    """torch refuses to wait while `set_sync_debug_mode` says so; a GPU's own words, not ours."""
    changes = {"train.optimizer": optimizer, "train.steps": 100_000, "train.clip_norm": 1.0}
    training = Training(experiment_of(changes), small_splits)
    steps = iter(training)
    while training.step < 70:
        next(steps)
    for budget in (training._gradients, training._validation, training.frames, training._snapshots):
        budget.due_at = math.inf
    training._flush_at = training._next_look = training._next_validation = math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is a prototype, says torch
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _step in range(60):  # longer than an epoch
                next(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS.names())
def test_on_a_gpu_too_the_layer_that_went_first_is_named(optimizer, small_splits):
    experiment = experiment_of({"train.optimizer": optimizer, "train.steps": 5000}, "cnn")
    training = Training(experiment, small_splits)
    with pytest.raises(Diverged) as caught:
        for _happened in training:
            if training.step == 20:
                training.network.conv2.weight.data.fill_(math.inf)
    assert (caught.value.step, caught.value.layer, training.step) == (21, "conv2", 20)


@pytest.mark.gpu
@pytest.mark.parametrize(("architecture", "data", "changes"), PRESETS, ids=IDS)
def test_on_a_gpu_a_resume_goes_on_where_it_was_and_watching_changes_nothing(architecture, data, changes, exact):
    experiment = experiment_of(changes, architecture, data)
    splits = load_data(experiment)
    straight = taken(Training(experiment, splits))
    first, before = Training(experiment, splits), []
    for happened in first:
        before += [e for e in happened if isinstance(e, Event) and e.name == "train/loss"]
        first.watch(first.step, "")
        first.frame()
        first.look_soon()
        first.evaluate("test", 50)
        if first.step == 20:
            break
    checkpoint = first.checkpoint()
    before += [e for e in first.flush() if isinstance(e, Event) and e.name == "train/loss"]
    assert [(e.step, e.value) for e in before] == [(e.step, e.value) for e in straight[0][:20]]
    torch.cuda.manual_seed(5)
    rest, ends = taken(Training(experiment, splits, checkpoint=checkpoint))
    assert same((before + rest, ends), straight)


@pytest.mark.gpu
def test_a_clip_norm_set_by_hand_is_in_the_next_replay(small_splits):
    training = Training(experiment_of({"train.steps": 1000, "train.clip_norm": 0.0}), small_splits)
    for _happened in training:
        if training.step == 30:
            training.set("clip_norm", 0.001)
        if training.step == 40:
            break
    norm = torch.stack([p.grad.norm() for p in training.network.parameters()]).norm()
    assert float(norm) <= 0.00101
