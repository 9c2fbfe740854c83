"""The fused recurrent layers against their cells' equations, written out."""

from __future__ import annotations

import pytest
import torch

from core.catalog.entries import PICTURE, DataForm
from core.spec.specs import preset
from core.worker.model.build import build
from core.worker.model.modules.recurrent import Gru, Lstm, Rnn
from core.worker.model.modules.shapes import ReadOut


def weights(core, end):
    return [getattr(core, f"{name}_l0{end}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def unrolled(core, kind, x, end=""):
    """Slow and plain: one step after the other, from the papers. `end` names the direction's weights."""
    w, u, b, c = weights(core, end)
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


KINDS = {"tanh": Rnn, "relu": lambda *a, **k: Rnn(*a, nonlinearity="relu", **k), "lstm": Lstm, "gru": Gru}
REAL = torch.arange(9) < torch.tensor([9, 5, 1])[:, None]


@pytest.mark.parametrize("kind", list(KINDS))
def test_both_directions_equal_their_equations_and_the_second_begins_at_the_last_real_step(kind):
    torch.manual_seed(1)
    layer = KINDS[kind](5, 6, bidirectional=True)
    x = torch.randn(3, 9, 5)
    for mask in (None, REAL):
        out = layer(x, mask)
        assert out.shape == (3, 9, 12)
        for row, length in enumerate((9, 9, 9) if mask is None else (9, 5, 1)):
            real = x[row : row + 1, :length]
            forward, backward = unrolled(layer.core, kind, real), unrolled(layer.core, kind, real.flip(1), "_reverse")
            both = torch.cat([forward, backward.flip(1)], 2)[0]
            torch.testing.assert_close(out[row, :length], both, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_both_ends_are_the_last_real_state_of_each_direction(kind):
    torch.manual_seed(1)
    layer = KINDS[kind](5, 6, bidirectional=True)
    x = torch.randn(3, 9, 5)
    read = ReadOut("both_ends")(layer(x, REAL), REAL)
    for row, length in enumerate((9, 5, 1)):
        states = layer.core(x[row : row + 1, :length])[1]
        last = states[0] if kind == "lstm" else states  # [direction, batch, hidden]
        torch.testing.assert_close(read[row], last[:, 0].flatten(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_what_stands_in_the_padding_changes_no_real_state_and_gets_no_gradient(kind, bidirectional):
    layer = KINDS[kind](5, 6, 2, bidirectional)
    x = torch.randn(3, 9, 5, requires_grad=True)
    other = torch.where(REAL[..., None], x, torch.full_like(x, 50.0))
    torch.testing.assert_close(layer(other, REAL)[REAL], layer(x, REAL)[REAL], atol=1e-6, rtol=1e-5)
    layer(x, REAL)[REAL].sum().backward()
    assert float((x.grad * ~REAL[..., None]).abs().max()) == 0.0
    assert torch.isfinite(layer(x, torch.zeros_like(REAL))).all()


def test_an_orthogonal_start_has_singular_values_of_the_gain():
    torch.manual_seed(0)
    core = Rnn(5, 16, 2, True, init="orthogonal", gain=1.5).core
    for name, weight in core.named_parameters():
        if name.startswith("weight_hh"):
            torch.testing.assert_close(torch.linalg.svdvals(weight), torch.full((16,), 1.5))


def test_an_identity_start_keeps_the_state():
    """Le 2015: with the identity, zero biases and no input, a ReLU network's state stays as it is for ever."""
    core = Rnn(2, 4, nonlinearity="relu", init="identity").core
    assert torch.equal(core.weight_hh_l0, torch.eye(4))
    state = torch.rand(1, 3, 4)
    torch.testing.assert_close(core(torch.zeros(3, 50, 2), state)[1], state)


@pytest.mark.parametrize("forget_bias", [1.0, 3.0])
def test_the_two_forget_biases_add_up_to_what_was_asked(forget_bias):
    core = Lstm(3, 4, 2, True, forget_bias).core
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        total = getattr(core, f"bias_ih_{layer}") + getattr(core, f"bias_hh_{layer}")
        assert torch.equal(total[4:8], torch.full((4,), forget_bias))
        assert (total[:4] != forget_bias).all() and (total[8:] != forget_bias).all()


def test_a_higher_forget_bias_lets_the_gradient_live_longer():
    """curriculum.md, 3b: at 50 steps torch's own start leaves 1e-10, 1 leaves 3e-4, 3 leaves 0.38."""
    shares = []
    for forget_bias in (0.0, 1.0, 3.0):
        torch.manual_seed(0)
        layer = Lstm(8, 32, forget_bias=forget_bias)
        x = torch.randn(4, 50, 8, requires_grad=True)
        layer(x)[:, -1].sum().backward()
        shares.append(float(x.grad[:, 0].norm() / x.grad[:, -1].norm()))
    assert shares[0] < 1e-6 < shares[1] < 0.02 < shares[2]
