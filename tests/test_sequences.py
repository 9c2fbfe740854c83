"""What every sequence model must do: never read padding, never look ahead where each step is answered."""

from __future__ import annotations

import pytest
import torch

from core.catalog.entries import EACH_STEP, NUMBER, SEQUENCE, TOKENS, DataForm
from core.spec import registry
from core.spec.specs import ModelSpec, preset
from core.worker.model.build import build

MODELS = [(e, o) for e in registry.ARCHITECTURES for o in e.examples if TOKENS in e.takes and "classes" in e.tasks]
EVERY_STEP = [e.name for e in registry.ARCHITECTURES if EACH_STEP in e.tasks]


@pytest.mark.parametrize(("entry", "options"), MODELS, ids=lambda v: getattr(v, "name", ""))
def test_padding_is_never_read(entry, options):
    """The same tokens with more or less padding behind them, and whatever padding holds: the same logits."""
    torch.manual_seed(0)
    network = build(ModelSpec(entry.name, options), DataForm(TOKENS, (12,), 3, vocabulary=9)).eval()
    ids = torch.randint(1, 9, (4, 12))
    for row, length in enumerate((12, 7, 3, 1)):
        ids[row, length:] = 0
    logits = network(ids)
    for row, length in enumerate((12, 7, 3, 1)):
        torch.testing.assert_close(network(ids[row : row + 1, :length])[0], logits[row], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        network.embedding.weight[0] = 1e3
    torch.testing.assert_close(network(ids), logits, atol=1e-5, rtol=1e-4)
    assert torch.isfinite(network(torch.zeros_like(ids))).all()


@pytest.mark.parametrize("name", EVERY_STEP)
def test_an_answer_at_every_step_does_not_look_ahead(name):
    torch.manual_seed(0)
    data = DataForm(TOKENS, (9,), 5, vocabulary=6, task=EACH_STEP)
    network = build(preset(name, "digits").model, data).eval()
    ids = torch.randint(1, 6, (3, 9))
    other = ids.clone()
    other[:, 6:] = ids[:, 6:] % 5 + 1
    one, two = network(ids), network(other)
    assert one.shape == (3, 9, 5)
    torch.testing.assert_close(one[:, :6], two[:, :6], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(one[:, 6:], two[:, 6:], atol=1e-3)


@pytest.mark.parametrize("name", [e.name for e in registry.ARCHITECTURES if SEQUENCE in e.takes])
def test_a_number_is_one_output(name):
    network = build(preset(name, "digits").model, DataForm(SEQUENCE, (9, 2), 1, task=NUMBER))
    assert network(torch.randn(3, 9, 2)).shape == (3, 1)
