"""States and gates against torch's fused layers and cells, PCA and η² against slow references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from core.spec.questions import Seen
from core.worker.look.states import correlation, separation
from core.worker.look.subject import Subject
from core.worker.model.cells import GATES
from core.worker.model.modules.recurrent import Recurrent
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SMALL = {"model.hidden": 8, "data.size": 10}
ORDER = {"model.hidden": 8}
RUNS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "rnn": ("rnn", "digits", SMALL, {}),
    "irnn": ("irnn", "digits", SMALL, {}),
    "lstm": ("lstm", "digits", SMALL, {}),
    "gru": ("gru", "order", ORDER, {}),
    "mean": ("gru", "order", {**ORDER, "model.read_out": "mean"}, {}),
    "max": ("lstm", "order", {**ORDER, "model.read_out": "max"}, {}),
    "backward": ("lstm", "order", {**ORDER, "model.bidirectional": True}, {"direction": "backward"}),
    "below": ("lstm", "digits", {**SMALL, "model.layers": 3, "model.bidirectional": True}, {"stack": 2}),
    "each": ("gru", "copy", ORDER, {}),
    "number": ("lstm", "adding", {"model.hidden": 8, "data.length": 12, "data.samples": 200}, {}),
}


def asked(trained: Trained, case: str, sample: int = 5) -> tuple[Seen, Subject]:
    """The view of a case, and what it looks at."""
    preset, data, changes, options = RUNS[case]
    run = trained(preset, data, 6, **changes)
    return ask(run, "states", sample=sample, **options), subject(run, "states", sample=sample, **options)


def kept_by_hook(at: Subject, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(what the layer gets, what it gives, how many steps are real) for one sample."""
    found: list[Any] = []
    handle = at.network.get_submodule(at.layer).register_forward_hook(lambda _m, i, o: found.append((i[0], o)))
    with torch.no_grad():
        at.network(x)
    handle.remove()
    count = x.shape[1] if x.is_floating_point() else int((x != 0).sum())
    return (*found[0], found[0][0].shape[1] if x.is_floating_point() else count)


@pytest.mark.parametrize("case", ["rnn", "irnn", "lstm", "gru", "mean", "max", "each", "number", "backward"])
def test_states_are_those_of_the_layer_itself(trained: Trained, case: str) -> None:
    seen, at = asked(trained, case)
    _given, output, count = kept_by_hook(at, at.x)
    columns = slice(8, 16) if case == "backward" else slice(0, output.shape[2])
    np.testing.assert_allclose(seen.arrays["hidden"], output[0, :count, columns].numpy(), atol=1e-5)
    assert seen.facts.difference < 1e-5
    assert len(seen.facts.steps) == count


def test_of_stacked_layers_the_one_asked_for_is_shown(trained: Trained) -> None:
    seen, at = asked(trained, "below")
    given, _output, _count = kept_by_hook(at, at.x)
    core = at.network.get_submodule(at.layer).core
    x = given
    for stack in (0, 1):  # the second of three, by one fused layer after the other
        layer = nn.LSTM(x.shape[2], 8, batch_first=True, bidirectional=True)
        layer.load_state_dict(
            {name: core.get_parameter(name.replace("_l0", f"_l{stack}")) for name in layer.state_dict()}
        )
        x = layer(x)[0].detach()
    np.testing.assert_allclose(seen.arrays["hidden"], x[0, :, :8].numpy(), atol=1e-5)
    assert seen.facts.stack == 2


@pytest.mark.parametrize("case", ["lstm", "gru"])
def test_gates_are_those_of_the_equations_as_torch_writes_them(trained: Trained, case: str) -> None:
    """One number at a time, from torch's documentation."""
    seen, at = asked(trained, case)
    given, _output, count = kept_by_hook(at, at.x)
    core = at.network.get_submodule(at.layer).core
    wih, whh, bih, bhh = (w.double().numpy() for w in core.parameters())
    x = given[0].double().numpy()
    sigma = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731 (as in the documentation)
    h, c = np.zeros(8), np.zeros(8)
    for t in range(count):
        a, b = wih @ x[t] + bih, whh @ h + bhh
        if case == "lstm":
            i, f, o = (sigma(a[k : k + 8] + b[k : k + 8]) for k in (0, 8, 24))
            g = np.tanh(a[16:24] + b[16:24])
            c = f * c + i * g
            h = o * np.tanh(c)
            found = {"input": i, "forget": f, "candidate": g, "output": o}
            np.testing.assert_allclose(seen.arrays["cell"][t], c, atol=1e-5)
        else:
            r, z = sigma(a[:8] + b[:8]), sigma(a[8:16] + b[8:16])
            n = np.tanh(a[16:] + r * b[16:])
            h = (1 - z) * n + z * h
            found = {"reset": r, "update": z, "new": n}
        assert tuple(found) == GATES[case]
        for name, value in found.items():
            np.testing.assert_allclose(seen.arrays[f"gate/{name}"][t], value, atol=1e-5)
        np.testing.assert_allclose(seen.arrays["hidden"][t], h, atol=1e-5)


@pytest.mark.parametrize("case", ["gru", "mean", "max", "backward", "each"])
def test_the_answer_after_every_step_is_that_to_the_sequence_cut_there(trained: Trained, case: str) -> None:
    """Tokens: the rest is made padding, and the network is asked as it stands."""
    seen, at = asked(trained, case)
    count = len(seen.arrays["hidden"])
    for t in range(1, count + 1):
        cut = at.x.clone()
        cut[:, t:] = 0
        with torch.no_grad():
            given = at.network(cut)
        given = given[0, t - 1] if case == "each" else given[0]
        np.testing.assert_allclose(seen.arrays["answers"][t - 1], given.softmax(-1).numpy(), atol=1e-5)


@pytest.mark.parametrize("case", ["rnn", "lstm", "number", "below"])
def test_the_answer_after_the_last_step_is_the_networks(trained: Trained, case: str) -> None:
    seen, at = asked(trained, case)
    with torch.no_grad():
        given = at.network(at.x)[0]
    expected = given if case == "number" else given.softmax(-1)
    np.testing.assert_allclose(seen.arrays["answers"][-1], expected.numpy(), atol=1e-5)
    if case != "number":  # a picture read by rows: the first rows alone
        with torch.no_grad():
            part = at.network(at.x[:, :, :4])[0].softmax(-1)
        np.testing.assert_allclose(seen.arrays["answers"][3], part.numpy(), atol=1e-5)


def test_from_where_on_the_answer_stays(trained: Trained) -> None:
    for case in ("rnn", "gru", "lstm"):
        seen, _at = asked(trained, case)
        said = seen.arrays["answers"].argmax(-1)
        first = seen.facts.settled
        assert (said[first - 1 :] == said[-1]).all()
        assert first == 1 or said[first - 2] != said[-1]


# ── the test set ─────────────────────────────────────────────────────────────


def all_states(at: Subject, columns: slice) -> tuple[list[np.ndarray], np.ndarray]:
    """Of every test sample alone: the states at its real steps."""
    found = []
    for x in at.splits.test[0]:
        _given, output, count = kept_by_hook(at, x[None])
        found.append(output[0, :count, columns].numpy())
    return found, at.splits.test[1].numpy()


READ = {
    "rnn": lambda s: s[-1],
    "gru": lambda s: s[-1],
    "mean": lambda s: s.mean(0),
    "max": lambda s: s.max(0),
    "backward": lambda s: s[0],
}


@pytest.mark.parametrize("case", READ)
@pytest.mark.slow_for("mean", "max")
def test_separation_is_between_over_total_variance_of_what_is_read(trained: Trained, case: str) -> None:
    seen, at = asked(trained, case)
    columns = slice(8, 16) if case == "backward" else slice(0, seen.arrays["hidden"].shape[1])
    states, labels = all_states(at, columns)
    read = np.stack([READ[case](s.astype(np.float64)) for s in states])
    for unit in range(read.shape[1]):
        values, total = read[:, unit], ((read[:, unit] - read[:, unit].mean()) ** 2).sum()
        between = 0.0
        for label in set(labels.tolist()):
            mine = values[labels == label]
            between += len(mine) * (mine.mean() - values.mean()) ** 2
        expected = between / total if total > 0 else 0.0
        assert seen.arrays["separation"][unit] == pytest.approx(expected, abs=1e-4)
    assert seen.facts.best == np.argsort(-seen.arrays["separation"], kind="stable")[:8].tolist()
    assert seen.facts.tested == len(labels)


@pytest.mark.parametrize("case", ["rnn", "gru"])
def test_the_path_is_that_of_a_pca_of_all_steps(trained: Trained, case: str) -> None:
    seen, at = asked(trained, case)
    states, labels = all_states(at, slice(0, seen.arrays["hidden"].shape[1]))
    reference = PCA(2).fit(np.concatenate(states[:256]).astype(np.float64))
    expected = reference.transform(seen.arrays["hidden"])
    sign = np.sign((expected * seen.arrays["trajectory"]).sum(0))
    np.testing.assert_allclose(seen.arrays["trajectory"], expected * sign, atol=1e-3)
    ends = reference.transform(np.stack([s[-1] for s in states[:256]])) * sign
    np.testing.assert_allclose(seen.arrays["ends"], ends, atol=1e-3)
    np.testing.assert_array_equal(seen.arrays["ends/target"], labels[:256])
    np.testing.assert_allclose(seen.facts.explained, reference.explained_variance_ratio_, atol=1e-4)


def test_a_single_unit_has_a_path_on_a_line(trained: Trained) -> None:
    run = trained("rnn", "digits", 2, **{"model.hidden": 1, "data.size": 10})
    seen = ask(run, "states")
    assert not seen.arrays["trajectory"][:, 1].any()
    assert seen.arrays["trajectory"][:, 0].any()


def test_separation_of_known_states() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    states = torch.tensor([[0.0, 0.0, 5.0, 0.0], [0.0, 1.0, 5.0, 1.0], [1.0, 0.0, 5.0, 2.0], [1.0, 1.0, 5.0, 3.0]])
    np.testing.assert_allclose(separation(states, labels), [1.0, 0.0, 0.0, 0.8], atol=1e-6)
    numbers = torch.tensor([0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(correlation(states, numbers), [0.8, 0.2, 0.0, 1.0], atol=1e-6)


def test_units_are_ordered_by_what_they_tell(trained: Trained) -> None:
    run = trained("rnn", "digits", 6, **SMALL)
    assert ask(run, "states").facts.order == list(range(8))
    told = ask(run, "states", by_separation=True)
    values = told.arrays["separation"][told.facts.order]
    assert (np.diff(values) <= 0).all()


# ── the rest ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", RUNS)
def test_the_code_computes_what_is_shown(trained: Trained, case: str) -> None:
    seen, at = asked(trained, case)
    names: dict[str, Any] = {"network": at.network, "x": at.x, "print": lambda *_words: None}
    exec(seen.code, names)
    assert set(names["states"]) == {n for n in seen.arrays if n in ("hidden", "cell") or n.startswith("gate/")}
    for name, value in names["states"].items():
        np.testing.assert_allclose(value.numpy(), seen.arrays[name], atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(names["answer"].numpy(), at.network(at.x).numpy(), atol=1e-4)


@pytest.mark.parametrize("case", RUNS)
def test_sentences_hold_no_leftovers(trained: Trained, case: str) -> None:
    seen, _at = asked(trained, case)
    for sentence in seen.words:
        assert sentence.endswith(".")
        assert "nan" not in sentence.split()


def test_padding_is_not_shown(trained: Trained) -> None:
    seen, at = asked(trained, "gru")
    assert at.x.shape[1] > len(seen.arrays["hidden"]) == int((at.x != 0).sum())
    assert all(len(seen.arrays[f"gate/{name}"]) == len(seen.arrays["hidden"]) for name in GATES["gru"])
    assert isinstance(at.network.get_submodule(at.layer), Recurrent)
