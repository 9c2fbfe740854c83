"""The gradient through time against torch's own cells under autograd, closed forms and what was measured before."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.spec.drawings import encode
from core.spec.questions import Seen
from core.store import Run
from core.worker.look.subject import CannotShow, Subject
from core.worker.look.through_time import LIMITS, PROBE, VERDICTS, largest_singular, spectral_radius, verdict
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

CELLS = {"RNN_TANH": nn.RNNCell, "RNN_RELU": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
SMALL = {"model.hidden": 12, "data.size": 14}


def torch_cell(core: nn.RNNBase, suffix: str = "_l0") -> nn.RNNCellBase:
    """torch's own cell with the fused layer's weights."""
    more = {"nonlinearity": core.mode[4:].lower()} if core.mode.startswith("RNN") else {}
    width = core.get_parameter(f"weight_ih{suffix}").shape[1]
    cell = CELLS[core.mode](width, core.hidden_size, **more)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({name: core.get_parameter(name + suffix) for name in names})
    return cell


class ByTorch(nn.Module):
    """A layer of one or both directions from torch's cells, one sample, real steps alone; keeps its states."""

    def __init__(self, core: nn.RNNBase) -> None:
        super().__init__()
        self.cells = [torch_cell(core, end) for end in ("_l0", "_l0_reverse")[: 1 + core.bidirectional]]
        self.lstm = core.mode == "LSTM"
        self.states: list[dict[int, Any]] = []

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        count = x.shape[1] if mask is None else int(mask.sum())
        self.states = []
        for backward, cell in enumerate(self.cells):
            state: Any = None
            row = {}
            for t in reversed(range(count)) if backward else range(count):
                state = row[t] = cell(x[:, t], state)
            self.states.append(row)
        sides = [torch.stack([row[t][0] if self.lstm else row[t] for t in range(count)], 1) for row in self.states]
        return F.pad(torch.cat(sides, -1), (0, 0, 0, x.shape[1] - count))


def by_torch(at: Subject, sample: int, backward: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Norms of ∂L/∂h and ∂L/∂c from the end of the reading back, by autograd on torch's cells in float32."""
    network = at.copied()
    layer = ByTorch(network.get_submodule(at.layer).core)
    setattr(network, at.layer, layer)
    x, y = (part[sample : sample + 1] for part in at.splits.test)
    given = network(x)
    loss = F.mse_loss(given[:, 0], y) if at.form.task == "number" else F.cross_entropy(given, y)
    row = layer.states[backward]
    states = [row[t] for t in (sorted(row) if backward else sorted(row, reverse=True))]
    if not layer.lstm:
        return np.array([float(g.norm()) for g in torch.autograd.grad(loss, states)]), None
    hidden, cell = ([state[i] for state in states] for i in (0, 1))
    grads = torch.autograd.grad(loss, [*hidden, *cell])
    norms = np.array([float(g.norm()) for g in grads])
    return norms[: len(hidden)], norms[len(hidden) :]


def close(ours: np.ndarray, expected: np.ndarray) -> None:
    """Within 1e-4, relative; what float32 cannot tell from nothing is left out."""
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7 * expected.max())


RUNS = {
    "tanh": ("rnn", "digits", SMALL),
    "relu": ("rnn", "digits", {**SMALL, "model.nonlinearity": "relu"}),
    "irnn": ("irnn", "digits", SMALL),
    "lstm": ("lstm", "digits", SMALL),
    "gru": ("gru", "digits", SMALL),
    "mean": ("gru", "digits", {**SMALL, "model.read_out": "mean"}),
    "number": ("lstm", "adding", {"model.hidden": 8, "data.length": 12, "data.samples": 200}),
    "padding": ("lstm", "order", {"model.hidden": 8}),
}


@pytest.mark.parametrize("case", RUNS)
def test_it_is_what_autograd_gives_on_torchs_own_cells(trained: Trained, case: str) -> None:
    preset, data, changes = RUNS[case]
    run = trained(preset, data, 4, **changes)
    seen, at = ask(run, "through_time", sample=5), subject(run, "through_time", sample=5)
    hidden, cell = by_torch(at, 5)
    close(seen.arrays["hidden/sample"], hidden)
    rows = []
    for sample in range(PROBE):
        rows.append(by_torch(at, sample))
        mine = seen.arrays["hidden/samples"][sample]
        close(mine[np.isfinite(mine)], rows[-1][0])
    if cell is not None:
        close(seen.arrays["cell/sample"], cell)
    found = [row[1] if row[1] is not None else row[0] for row in rows]
    ratio = np.mean([row[-1] for row in found]) / np.mean([row[0] for row in found])
    assert seen.facts.ratio == pytest.approx(ratio, rel=1e-4)
    assert seen.facts.at_end == (case != "mean")


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("preset", "data"), [("lstm", "digits"), ("gru", "order")])
def test_both_directions(trained: Trained, preset: str, data: str, direction: str) -> None:
    changes = {"model.hidden": 8, "model.bidirectional": True, **({"data.size": 14} if data == "digits" else {})}
    run = trained(preset, data, 4, **changes)
    seen = ask(run, "through_time", sample=5, direction=direction)
    hidden, _cell = by_torch(subject(run, "through_time"), 5, direction == "backward")
    close(seen.arrays["hidden/sample"], hidden)
    assert seen.facts.at_end


def test_the_fused_layers_output_would_show_the_last_step_alone(trained: Trained) -> None:
    """Why it is unrolled: gradients of what the fused layer gives miss the way through its own states."""
    at = subject(trained("rnn", "digits", 4, **SMALL), "through_time")
    kept: list[Tensor] = []
    network = at.copied().requires_grad_(True)
    network.get_submodule(at.layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    loss = F.cross_entropy(network(at.x), at.y)
    norms = torch.autograd.grad(loss, kept[0])[0][0].norm(dim=-1)
    assert norms[-1] > 0
    assert not norms[:-1].any()


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_the_bound_is_never_passed(trained: Trained, gain: float) -> None:
    for case in ("tanh", "relu", "irnn"):
        preset, data, changes = RUNS[case]
        seen = ask(trained(preset, data, 4, **changes), "through_time", gain=gain)
        arrays = seen.arrays
        assert (arrays["hidden"] <= arrays["bound"] * (1 + 1e-9)).all()
        np.testing.assert_allclose(arrays["bound"][0], arrays["hidden"][0])
        np.testing.assert_allclose(arrays["bound"][1:] / arrays["bound"][:-1], seen.facts.singular, rtol=1e-9)
        np.testing.assert_allclose(arrays["radius"][1:] / arrays["radius"][:-1], seen.facts.radius, rtol=1e-9)


def test_singular_value_and_spectral_radius_of_known_matrices() -> None:
    shear = torch.tensor([[0.5, 10.0], [0.0, 0.25]])
    assert spectral_radius(shear) == pytest.approx(0.5)
    assert largest_singular(shear) == pytest.approx(float(np.linalg.norm(shear.numpy(), 2)), rel=1e-6)
    turn = torch.tensor([[0.0, -2.0], [2.0, 0.0]])
    assert spectral_radius(turn) == pytest.approx(2.0)
    assert largest_singular(turn) == pytest.approx(2.0)


def test_the_gates_alone_are_the_gradient_when_nothing_else_hands_on(trained: Trained) -> None:
    """With U = 0 the cell state reaches the next step through the forget gate only."""
    run = with_weights(trained("lstm", "digits", 4, **SMALL), {"lstm.core.weight_hh_l0": 0.0})
    arrays = ask(run, "through_time").arrays
    np.testing.assert_allclose(arrays["gates"], arrays["cell"], rtol=1e-9)
    assert arrays["cell"][-1] < 0.1 * arrays["cell"][0]


def with_weights(run: Run, changes: dict[str, float]) -> Run:
    """A run like this one whose last snapshot has these weights filled with a number."""
    from core.spec.events import Snapshot
    from core.store import Store

    made = Store(run.path.parent).create(run.experiment())
    step = run.moments()[-1]
    weights = dict(run.weights(step))
    for name, value in changes.items():
        weights[name] = np.full_like(weights[name], value)
    made.save_snapshot(Snapshot(step, weights))
    return made


# ── what-ifs ─────────────────────────────────────────────────────────────────


def test_gain_and_forget_bias_change_a_copy_alone(trained: Trained) -> None:
    vanilla, lstm = trained("rnn", "digits", 4, **SMALL), trained("lstm", "digits", 4, **SMALL)
    for run, change in ((vanilla, {"gain": 2.0}), (lstm, {"forget_bias": 4.0})):
        before, what_if, after = (ask(run, "through_time", **c) for c in ({}, change, {}))
        name = "cell" if run is lstm else "hidden"
        np.testing.assert_array_equal(before.arrays[name], after.arrays[name])
        np.testing.assert_allclose(what_if.arrays["learned"], before.arrays[name])
        assert not np.allclose(what_if.arrays[name], before.arrays[name], rtol=0.1)
        assert any("what-if" in word for word in what_if.words)
        assert not before.facts.what_if
        assert "learned" not in before.arrays
    assert ask(vanilla, "through_time", gain=2.0).facts.radius == pytest.approx(
        2 * ask(vanilla, "through_time").facts.radius
    )


def test_a_slider_that_does_not_act_here_says_so(trained: Trained) -> None:
    seen = ask(trained("gru", "digits", 4, **SMALL), "through_time", gain=2.0, forget_bias=1.0)
    assert sum("this one" in word for word in seen.words) == 2
    assert not seen.facts.what_if


def at_forty(trained: Trained, preset: str, **options: Any) -> list[Seen]:
    """Untrained, 32 units, 40 steps, five draws."""
    run = trained(preset, "digits", 1, **{"model.hidden": 32, "data.size": 40})
    return [ask(run, "through_time", untrained=True, seed=seed, **options) for seed in range(5)]


def median(seen: list[Seen]) -> float:
    """Of the ratios."""
    return statistics.median(one.facts.ratio for one in seen)


@pytest.mark.slow
@pytest.mark.slow
def test_untrained_over_forty_steps_an_lstm_vanishes_like_the_rest(trained: Trained) -> None:
    """Measured before on random input: vanilla 3e-9, GRU 1e-8, LSTM 1.5e-8, with forget bias 1: 8e-4, with 3: 1.6."""
    for preset in ("rnn", "lstm", "gru"):
        seen = at_forty(trained, preset)
        assert seen[0].facts.steps == 40
        assert median(seen) < 1e-5
        assert {one.facts.verdict for one in seen} == {"vanishing"}
    one, three = (at_forty(trained, "lstm", forget_bias=bias) for bias in (1.0, 3.0))
    assert 1e-5 < median(one) < 1e-2
    assert median(three) > 0.1
    assert {seen.facts.verdict for seen in three} == {"healthy"}
    assert three[0].words[1].startswith("Healthy:")


def test_an_untrained_network_has_the_weights_of_its_seed(trained: Trained) -> None:
    run = trained("lstm", "digits", 4, **SMALL)
    a, b, again = (ask(run, "through_time", untrained=True, seed=seed).arrays["cell"] for seed in (1, 2, 1))
    np.testing.assert_array_equal(a, again)
    assert not np.allclose(a, b, rtol=1e-3)


def test_the_verdicts_limits() -> None:
    assert list(LIMITS) == sorted(LIMITS)
    for ratio, word in [(0.0, 0), (9e-5, 0), (1e-4, 1), (9e-3, 1), (0.02, 2), (1.0, 2), (99, 2), (101, 3), (1001, 4)]:
        assert verdict(ratio) == VERDICTS[word]


def test_a_state_without_end_is_told_in_words(trained: Trained) -> None:
    run = trained("irnn", "adding", 2, **{"model.hidden": 8, "data.length": 1000, "data.samples": 60})
    with pytest.raises(CannotShow, match="smaller gain"):
        ask(run, "through_time", gain=3.0)


# ── the rest of what is asked ────────────────────────────────────────────────


def test_of_every_step_the_last_answer_counts(trained: Trained) -> None:
    run = trained("gru", "copy", 3, **{"model.hidden": 8})
    seen, at = ask(run, "through_time", sample=2), subject(run, "through_time", sample=2)
    network = at.copied()
    layer = ByTorch(network.get_submodule(at.layer).core)
    setattr(network, at.layer, layer)
    given = network(at.x)
    last = int((at.y[0] != -100).nonzero().max())
    loss = F.cross_entropy(given[:, last], at.y[:, last])
    row = layer.states[0]
    norms = [float(g.norm()) for g in torch.autograd.grad(loss, [row[t] for t in range(last, -1, -1)])]
    close(seen.arrays["hidden/sample"], np.array(norms))
    assert seen.facts.at_end


@pytest.mark.parametrize("stack", [1, 2])
def test_stacked_layers(trained: Trained, stack: int) -> None:
    run = trained("gru", "digits", 4, **{**SMALL, "model.layers": 2})
    seen = ask(run, "through_time", stack=stack)
    at = subject(run, "through_time")
    assert seen.facts.at_end == (stack == 1), "every state of the lower one is read by the upper one"
    core = at.network.get_submodule(at.layer).core
    cells = [torch_cell(core, f"_l{i}").double() for i in (0, 1)]
    network = at.copied().double()
    x = at.x.double().transpose(1, 2).flatten(2)
    rows: list[list[Tensor]] = [[], []]
    below = above = None
    for t in range(x.shape[1]):
        below = cells[0](x[:, t], below)
        above = cells[1](below, above)
        rows[0].append(below)
        rows[1].append(above)
    given = above
    for name in network.addresses[network.addresses.index("read_out") + 1 :]:
        given = network.get_submodule(name)(given)
    grads = torch.autograd.grad(F.cross_entropy(given, at.y), rows[2 - stack])
    close(seen.arrays["hidden/sample"], np.array([float(g.norm()) for g in grads])[::-1])
    asked = ask(run, "through_time", stack=9)
    assert "2 stacked layers" in asked.words[0]


@pytest.mark.parametrize("case", [*RUNS, "both", "each", "stacked"])
def test_the_code_computes_the_samples_curve(trained: Trained, case: str) -> None:
    more = {
        "both": ("gru", "order", {"model.hidden": 8, "model.bidirectional": True}),
        "each": ("gru", "copy", {"model.hidden": 8}),
        "stacked": ("lstm", "digits", {**SMALL, "model.layers": 2}),
    }
    preset, data, changes = {**RUNS, **more}[case]
    run = trained(preset, data, 3 if case == "each" else 4, **changes)
    options = {"direction": "backward"} if case == "both" else {"stack": 2} if case == "stacked" else {}
    seen, at = ask(run, "through_time", sample=3, **options), subject(run, "through_time", sample=3)
    names: dict[str, Any] = {"network": at.network, "x": at.x, "print": lambda *_words: None}
    exec(seen.code, names)
    for name, norms in names["norms"].items():
        np.testing.assert_allclose(norms, seen.arrays[f"{name}/sample"], rtol=1e-6)


def test_a_network_without_a_state_is_told_what_has_one(trained: Trained) -> None:
    for view in ("through_time", "states"):
        with pytest.raises(CannotShow, match="rnn, irnn, lstm and gru"):
            ask(trained(steps=2), view)


def test_it_tells_how_far_it_is_and_can_be_given_up(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.worker.answers import look
    from core.worker.look import _recurrent
    from tests.worker.look.conftest import question

    monkeypatch.setattr(_recurrent, "EVERY", 0.0)
    heard: list[float] = []

    def report(fraction: float, _words: str, _part: object = None) -> None:
        heard.append(fraction)
        if len(heard) > 10:
            raise InterruptedError

    for view in ("through_time", "states"):
        heard.clear()
        with pytest.raises(InterruptedError):
            look(question(trained("lstm", "digits", 4, **SMALL), view), report)
        assert heard == sorted(heard)
        assert heard[-1] <= 1


def test_no_row_of_a_run_is_touched(trained: Trained) -> None:
    run = trained("lstm", "digits", 4, **SMALL)
    before = {p.name: p.stat().st_mtime_ns for p in run.path.iterdir()}
    ask(run, "through_time", forget_bias=1.0)
    assert {p.name: p.stat().st_mtime_ns for p in run.path.iterdir()} == before


def test_a_drawing_is_taken_for_what_the_network_says_it_is(trained: Trained) -> None:
    run = trained("lstm", "digits", 4, **SMALL)
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 13:16] = 255
    seen, at = ask(run, "through_time", drawing=encode(picture)), subject(run, "through_time", drawing=encode(picture))
    network = at.copied()
    layer = ByTorch(network.get_submodule(at.layer).core)
    setattr(network, at.layer, layer)
    given = network(at.x)
    row = layer.states[0]
    states = [row[t][1] for t in sorted(row, reverse=True)]
    grads = torch.autograd.grad(F.cross_entropy(given, given.argmax(-1)), states)
    close(seen.arrays["cell/sample"], np.array([float(g.norm()) for g in grads]))
