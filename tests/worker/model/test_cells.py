"""Cells unrolled by hand against torch's fused layers, torch's own cells and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.worker.model.cells import GATES, Cell, Unrolled, cell_of, lowest, real_steps, unroll
from core.worker.model.modules.recurrent import Recurrent

CASES = {
    "tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
}
SHAPES = [(1, False), (2, False), (1, True), (3, True)]


def made(case: str, layers: int = 1, both: bool = False, seed: int = 0) -> nn.RNNBase:
    """A fused layer of 5 units on 3 features."""
    torch.manual_seed(seed)
    kind, more = CASES[case]
    return kind(3, 5, layers, batch_first=True, bidirectional=both, **more)


@pytest.mark.parametrize(("layers", "both"), SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_states_are_those_of_the_fused_layer(case: str, layers: int, both: bool) -> None:
    core, x = made(case, layers, both), torch.randn(4, 9, 3)
    unrolled = Unrolled(core)
    expected, last = core(x)
    torch.testing.assert_close(unrolled(x), expected, atol=1e-6, rtol=0)
    hidden, cell = last if case == "lstm" else (last, None)
    for stack in range(layers):
        for backward in (False, True)[: 1 + both]:
            moment = unrolled.moments[stack, backward][0 if backward else -1]
            place = stack * (1 + both) + backward
            torch.testing.assert_close(moment.hidden, hidden[place], atol=1e-6, rtol=0)
            if cell is not None:
                torch.testing.assert_close(moment.cell, cell[place], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("layers", "both"), SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_padding_leaves_real_steps_as_they_are(case: str, layers: int, both: bool) -> None:
    core, x = made(case, layers, both), torch.randn(4, 9, 3)
    mask = torch.arange(9) < torch.tensor([9, 4, 1, 6])[:, None]
    mask[0, 2] = False  # a hole is no end
    real = real_steps(mask)
    assert real.sum(1).tolist() == [9, 4, 1, 6]
    torch.testing.assert_close(Unrolled(core)(x, mask)[real], Recurrent(core)(x, mask)[real], atol=1e-6, rtol=0)
    for row, count in enumerate([9, 4, 1, 6]):
        torch.testing.assert_close(
            Unrolled(core)(x, mask)[row, :count], core(x[row : row + 1, :count])[0][0], atol=1e-6, rtol=0
        )


@pytest.mark.parametrize(("case", "kind"), [("lstm", nn.LSTMCell), ("gru", nn.GRUCell), ("tanh", nn.RNNCell)])
def test_one_step_is_that_of_torchs_own_cell(case: str, kind: type[nn.RNNCellBase]) -> None:
    core, x = made(case), torch.randn(4, 3)
    own = kind(3, 5)
    own.load_state_dict({name.removesuffix("_l0"): weight for name, weight in core.state_dict().items()})
    cell = cell_of(core)
    moment = cell.step(x, cell.start(4))
    moment = cell.step(x * 2, moment)
    state = own(x * 2, own(x))
    hidden = state[0] if case == "lstm" else state
    torch.testing.assert_close(moment.hidden, hidden, atol=1e-6, rtol=0)
    if case == "lstm":
        torch.testing.assert_close(moment.cell, state[1], atol=1e-6, rtol=0)


def test_the_gates_bear_the_names_of_torchs_rows() -> None:
    """A large bias at one gate's rows opens that gate and no other."""
    for case in ("lstm", "gru"):
        for i, name in enumerate(GATES[case]):
            core = made(case)
            with torch.no_grad():
                core.bias_ih_l0[5 * i : 5 * (i + 1)] = 50.0
            gates = unroll(cell_of(core), torch.randn(2, 1, 3))[0].gates
            assert list(gates) == list(GATES[case])
            assert [other for other, value in gates.items() if bool((value > 0.999).all())] == [name]


def test_a_layer_without_biases_has_none() -> None:
    torch.manual_seed(0)
    core, x = nn.GRU(3, 5, batch_first=True, bias=False), torch.randn(2, 4, 3)
    torch.testing.assert_close(Unrolled(core)(x), core(x)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_lowest_layers_are_a_layer_of_their_own(case: str, both: bool) -> None:
    core, x = made(case, 3, both), torch.randn(2, 6, 3)
    unrolled = Unrolled(core)
    unrolled(x)
    for count in (1, 2, 3):
        rows = [unrolled.moments[count - 1, backward] for backward in (False, True)[: 1 + both]]
        ours = torch.cat([torch.stack([m.hidden for m in row], 1) for row in rows], -1)
        torch.testing.assert_close(lowest(core, count)(x)[0], ours, atol=1e-6, rtol=0)


def linear(gain: float, units: int = 8) -> Cell:
    """h = gain · Q h + x with Q orthogonal."""
    torch.manual_seed(1)
    turn = torch.linalg.qr(torch.randn(units, units, dtype=torch.float64))[0]
    zero = torch.zeros(units, dtype=torch.float64)
    return Cell("rnn", torch.eye(units, dtype=torch.float64), turn * gain, zero, zero, lambda v: v)


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_the_gradient_of_a_linear_net_is_exactly_a_power_of_its_gain(gain: float) -> None:
    x = torch.randn(3, 60, 8, dtype=torch.float64)
    moments = unroll(linear(gain), x)
    weights = torch.randn(8, dtype=torch.float64)
    grads = torch.autograd.grad((moments[-1].hidden @ weights).sum(), [m.hidden for m in moments])
    norms: Tensor = torch.stack([g.norm(dim=-1) for g in grads]).flip(0)  # [k, sample]
    powers = gain ** torch.arange(60, dtype=torch.float64)[:, None] * weights.norm()
    torch.testing.assert_close(norms, powers.expand(60, 3), rtol=1e-6, atol=0)
