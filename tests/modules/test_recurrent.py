"""The fused recurrent layers against their cells' equations, written out."""

from __future__ import annotations

import pytest
import torch

from core.build import build
from core.catalog.entries import PICTURE, DataForm
from core.modules.recurrent import Gru, Lstm, Rnn
from core.specs import preset


def weights(core):
    return core.weight_ih_l0, core.weight_hh_l0, core.bias_ih_l0, core.bias_hh_l0


def unrolled(core, kind, x):
    """Slow and plain: one step after the other, from the papers."""
    w, u, b, c = weights(core)
    h, cell, out = torch.zeros(x.shape[0], core.hidden_size), torch.zeros(x.shape[0], core.hidden_size), []
    for t in range(x.shape[1]):
        a, r = x[:, t] @ w.T + b, h @ u.T + c
        if kind == "tanh":
            h = torch.tanh(a + r)
        elif kind == "relu":
            h = torch.relu(a + r)
        elif kind == "lstm":
            i, f, g, o = (a + r).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
        else:
            (ar, az, an), (rr, rz, rn) = a.chunk(3, 1), r.chunk(3, 1)
            reset, update = torch.sigmoid(ar + rr), torch.sigmoid(az + rz)
            h = (1 - update) * torch.tanh(an + reset * rn) + update * h
        out.append(h)
    return torch.stack(out, 1)


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
def test_a_recurrent_layer_equals_its_equations(kind):
    torch.manual_seed(1)
    arguments = {"input_size": 5, "hidden_size": 6, "num_layers": 1}
    layer = {"lstm": Lstm, "gru": Gru}.get(kind, Rnn)(
        **arguments, **({"nonlinearity": kind} if kind in ("tanh", "relu") else {})
    )
    x = torch.randn(3, 9, 5)
    torch.testing.assert_close(layer(x), unrolled(layer.core, kind, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_a_recurrent_layer_has_h_times_i_plus_h_plus_2_parameters_per_gate(name, gates):
    network = build(preset(name, "digits").model, DataForm(PICTURE, (1, 28, 28)))
    counted = sum(p.numel() for p in network.get_submodule(name).parameters())
    assert counted == gates * 64 * (28 + 64 + 2)
