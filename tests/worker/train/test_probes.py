"""The gradient through time of a training, against torch's own cells unrolled, and without a trace on the training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.spec import specs
from core.spec.events import Event
from core.worker.data.splits import NOT_ASKED
from core.worker.train.probes import ThroughTime, last_asked, ratio
from core.worker.train.training import Training


def test_the_ratio_is_that_of_an_unrolled_torch_cell() -> None:
    training = Training(specs.assign(specs.preset("lstm", "digits"), {"train.steps": 1}))
    network, (x, y) = training.network, training.splits.train
    ((name, found),) = ThroughTime(network, (x, y), "classes").look()
    core = network.get_submodule(name).core
    cell = nn.LSTMCell(core.input_size, core.hidden_size)
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, part).data = getattr(core, f"{part}_l0").data
    rows, h, states = x[:4].flatten(1, 2), torch.zeros(4, core.hidden_size), []  # one picture row a step
    c = torch.zeros_like(h)
    for t in range(rows.shape[1]):
        h, c = cell(rows[:, t], (h, c))
        states.append(c)
    grads = torch.autograd.grad(nn.functional.cross_entropy(network.head(h), y[:4]), states)
    norms = [grad.norm(dim=1) for grad in (grads[0], grads[-1])]
    assert found == pytest.approx(float((norms[0] / norms[1]).mean()), rel=1e-3)


def test_samples_that_end_earlier_count_from_their_own_end() -> None:
    grads = torch.zeros(4, 2, 1)
    grads[:, 0, 0] = torch.tensor([1.0, 2.0, 4.0, 8.0])
    grads[:2, 1, 0] = torch.tensor([1.0, 2.0])  # padded after two steps
    assert ratio(grads) == pytest.approx((1 / 8 + 1 / 2) / 2)
    assert ratio(torch.zeros(4, 2, 1)) == 0.0


def test_of_an_answer_at_every_step_the_last_one_counts() -> None:
    y = torch.tensor([[1, 2, NOT_ASKED], [NOT_ASKED, 3, 4]])
    assert last_asked(y).tolist() == [[NOT_ASKED, 2, NOT_ASKED], [NOT_ASKED, NOT_ASKED, 4]]


@pytest.mark.parametrize(("preset", "data"), [("rnn", "order"), ("gru", "adding"), ("lstm", "copy")])
@pytest.mark.slow_for("gru")
def test_a_watched_training_records_it_and_stays_the_same_to_the_bit(preset: str, data: str) -> None:
    experiment = specs.assign(specs.preset(preset, data), {"train.steps": 6})
    ends = []
    for watched in (False, True):
        training = Training(experiment)
        if watched:
            training.watch(0, "")
        names = {event.name for happened in training for event in happened if isinstance(event, Event)}
        assert any(name.startswith("through_time/") for name in names) is watched
        ends.append([p.detach().clone() for p in training.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_a_network_without_memory_has_nothing_to_look_at() -> None:
    training = Training(specs.assign(specs.preset("mlp", "digits"), {"train.steps": 1}))
    assert not ThroughTime(training.network, training.splits.train, "classes")
