"""Text from a language model: each token is drawn from what the model says after those before it."""

from __future__ import annotations

import torch
from torch import nn

from core.spec.specs import assign, preset
from core.worker.data.splits import Splits
from core.worker.train.generate import UNKNOWN, generate, is_language, sample_text
from core.worker.train.training import Training, load_data


class Next(nn.Module):
    """Says that after token t comes t + 1 of 6, with a logit of 3; keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x[0].tolist())
        return 3.0 * nn.functional.one_hot((x + 1) % 6, 6).float()


ALL = torch.ones(6, dtype=torch.bool)


def test_temperature_zero_takes_the_likeliest_and_the_window_moves():
    network = Next()
    assert generate(network, torch.tensor([2]), 5, 3, ALL, 0.0, 0) == [2, 3, 4, 5, 0, 1]
    assert network.seen == [[2], [2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 0]]
    assert network.training, "the mode is put back"


def test_draws_follow_the_softmax_and_the_seed_decides_them():
    drawn = [generate(Next(), torch.tensor([0]), 1, 4, ALL, 1.0, seed)[1] for seed in range(600)]
    odds = torch.softmax(torch.tensor([0, 3.0, 0, 0, 0, 0]), 0)[1]
    assert abs(drawn.count(1) / 600 - float(odds)) < 0.06
    state = torch.get_rng_state()
    one, again, other = (generate(Next(), torch.tensor([0]), 20, 4, ALL, 1.0, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_not_allowed_is_never_drawn():
    allowed = torch.tensor([False, True, False, True, True, False])
    for temperature in (0.0, 0.5, 5.0):
        assert set(generate(Next(), torch.tensor([1]), 60, 4, allowed, temperature, 0)) <= {1, 3, 4}


def test_only_a_model_of_the_next_token_speaks():
    made = assign(preset("gpt", "characters"), {"data.samples": 100, "data.length": 16, "train.steps": 2})
    training = Training(made)
    for _happened in training:
        pass
    text = sample_text(training.network, training.splits, 0, length=50)
    assert len(text) == 50 and UNKNOWN not in text and "·" not in text
    assert text == sample_text(training.network, training.splits, 0, length=50)
    for data in ("copy", "planted", "digits", "adding"):
        splits: Splits = load_data(preset("gru", data))
        assert not is_language(splits) and sample_text(training.network, splits, 0) == ""
