"""Flaws of models that would run: the answer in the input, a read-out that comes too early, an answer with a limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from core.catalog.entries import EACH_STEP, PICTURE, SEQUENCE, TOKENS, VECTOR, DataForm, Form, Layer
from core.spec import registry
from core.spec.questions import Describe
from core.spec.specs import ModelSpec, assign, model_from_json, preset
from core.worker.model import flaws
from core.worker.model.build import ModelError, build, check, data_form, describe, stack_of
from core.worker.train.training import Training
from tests.entries import put

TEXT = data_form(preset("gpt", "characters").data)
ROWS = data_form(preset("lstm", "digits").data)
EVERY_STEP = [entry for entry in registry.ARCHITECTURES if EACH_STEP in entry.tasks]


def layers(*rows: tuple[str, dict[str, object]]) -> ModelSpec:
    listed = [{"kind": kind, "name": f"{kind}{i}", "options": options} for i, (kind, options) in enumerate(rows)]
    return model_from_json({"layers": listed})


def of_text(*rows: tuple[str, dict[str, object]]) -> ModelSpec:
    """A model of characters with these layers in its middle."""
    first, last = ("embedding", {"vocabulary": 100, "width": 16}), ("linear", {"features": 100})
    return layers(first, *rows, last)


def problem(model: ModelSpec, data: DataForm = TEXT):  # type: ignore[no-untyped-def]
    try:
        check(model, data)
    except ModelError as error:
        return error.problem
    return None


def reads_later_steps(model: ModelSpec, data: DataForm) -> bool:
    """The slow way: the gradient of every answer of the whole model with respect to every embedded token."""
    small = replace(data, shape=(7,), next_step=False)
    network = build(model, small).double().train()
    with torch.no_grad():
        for weight in network.parameters():  # none at zero, where it would hide what depends on it
            weight.add_(0.1 * torch.randn_like(weight))
    kept: list[torch.Tensor] = []
    network.get_submodule(network.addresses[0]).register_forward_hook(lambda _m, _i, out: kept.append(out))
    out = network(torch.randint(1, data.vocabulary, (2, 7)))
    for step in range(7):
        (grads,) = torch.autograd.grad(out[0, step].square().sum(), kept[0], retain_graph=True)
        if bool((grads[0, step + 1 :].abs() > 1e-12).any()):
            return True
    return False


# ── the answer in the input ──────────────────────────────────────────────────────────────────────────────────────────

AHEAD = {
    "bidirectional lstm": (of_text(("lstm", {"bidirectional": True})), "make lstm1 one-directional"),
    "bidirectional gru": (of_text(("gru", {"bidirectional": True, "layers": 2})), "make gru1 one-directional"),
    "bidirectional rnn": (of_text(("rnn", {"bidirectional": True})), "make rnn1 one-directional"),
    "attention to all": (of_text(("transformer_block", {})), "make transformer_block1 causal"),
    "norm after attention": (of_text(("transformer_block", {"norm_first": False, "heads": 1})), "causal"),
    "only the second of two": (
        of_text(("transformer_block", {"causal": True}), ("lstm", {"bidirectional": True})),
        "make lstm2 one-dir",
    ),
}


@pytest.mark.parametrize(("model", "fix"), list(AHEAD.values()), ids=list(AHEAD))
def test_a_model_that_reads_the_answer_is_refused_and_mended_by_a_click(model: ModelSpec, fix: str) -> None:
    assert reads_later_steps(model, TEXT)
    found = problem(model)
    assert "answer would be in the input" in found.message and fix in found.fix
    mended = replace(model, layers=found.mended)
    assert problem(mended) is None and not reads_later_steps(mended, TEXT)
    assert problem(model, replace(TEXT, next_step=False)) is None  # other questions may be answered from both sides


def test_all_guilty_layers_are_mended_at_once() -> None:
    model = of_text(("lstm", {"bidirectional": True}), ("dropout", {}), ("gru", {"bidirectional": True}))
    found = problem(model)
    assert found.layer == "lstm1" and "lstm1" in found.fix and "gru3" in found.fix
    assert problem(replace(model, layers=found.mended)) is None


@pytest.mark.parametrize("entry", EVERY_STEP, ids=lambda entry: entry.name)
def test_presets_that_answer_every_step_look_back_only(entry) -> None:  # type: ignore[no-untyped-def]
    for options in (entry.options(), *entry.examples):
        model = ModelSpec(entry.name, options)
        assert (problem(model) is not None) == reads_later_steps(model, TEXT)
        assert bool(problem(model)) == getattr(options, "bidirectional", False)


class Same(nn.Module):
    """A convolution over the steps that pads at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


class Shifted(Same):
    """The same, padded in front only: no step sees a later one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(16, 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (0, 0, 2, 0)))


class Mean(nn.Module):
    """The mean of all steps, given to every step; through a weight that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gate * x.mean(1, keepdim=True)


class OverTime(nn.Module):
    """A batch norm whose mean and variance are those of all steps: while training, each step reads all."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class Last(nn.Module):
    """Every step, and the very last one besides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x[:, -1:]


@pytest.mark.parametrize(
    ("module", "ahead"),
    [
        (Same, True),
        (Shifted, False),
        (Mean, True),
        (OverTime, True),
        (Last, True),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_kind_of_layer_that_nobody_knows_is_judged_by_what_it_does(
    monkeypatch: pytest.MonkeyPatch, module: type[nn.Module], ahead: bool
) -> None:
    entry = Layer("new", "new", f"tests.worker.model.test_flaws:{module.__name__}", (SEQUENCE,))
    put(monkeypatch, registry.LAYERS, entry)
    flaws.looks_ahead.cache_clear()
    monkeypatch.setattr(flaws, "NARROWEST", 16)
    try:
        model = of_text(("new", {}))
        found = problem(model)
        assert (found is not None) == ahead == reads_later_steps(model, TEXT)
        if found:
            assert found.layer == "new1" and found.fix == "remove new1"
            assert problem(replace(model, layers=found.mended)) is None
    finally:
        flaws.looks_ahead.cache_clear()


def test_every_layer_is_judged_as_its_gradient_has_it() -> None:
    """Of each kind of layer, with each of its examples: does a gradient come back from an earlier step's output?"""
    tried = 0
    for entry in registry.LAYERS:
        for options, form in entry.examples:
            if form.kind != SEQUENCE or entry.gives not in ("same", SEQUENCE):
                continue
            torch.manual_seed(0)
            module = registry.load(entry.module)(**entry.arguments(options, form)).double().train()
            x = torch.randn(2, *form.shape, dtype=torch.float64, requires_grad=True)
            out = module(x, None) if entry.masked else module(x)
            out = out * torch.randn(out.shape[2], dtype=torch.float64)  # a layer norm's plain sum is always zero
            steps, more = form.shape[0], out.shape[1] - form.shape[0]
            ahead = False
            for step in range(steps):
                (grads,) = torch.autograd.grad(out[:, step + more].sum(), x, retain_graph=True, materialize_grads=True)
                ahead = ahead or bool((grads[:, step + 1 :].abs() > 1e-14).any())
            assert flaws.looks_ahead(entry.name, options, form) == ahead, (entry.name, options)
            tried += 1
    assert tried >= 12


def test_a_training_of_such_a_model_does_not_begin() -> None:
    experiment = assign(preset("lstm", "characters"), {"model.bidirectional": True, "data.samples": 50})
    with pytest.raises(ModelError, match="make lstm one-directional"):
        Training(experiment)


def test_trying_layers_draws_no_random_number_of_others() -> None:
    flaws.looks_ahead.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    flaws.looks_ahead("lstm", registry.LAYERS.get("lstm").options(hidden=5), Form(SEQUENCE, (9, 6)))
    assert torch.equal(torch.rand(4), expected)


# ── a read-out that comes too early ──────────────────────────────────────────────────────────────────────────────────


def of_rows(*rows: tuple[str, dict[str, object]]) -> ModelSpec:
    return layers(("rows", {}), *rows, ("linear", {"features": 10}))


EARLY = {
    "bidirectional, last": ([("lstm", {"bidirectional": True}), ("read_out", {})], "half", "both ends"),
    "bidirectional, first": ([("gru", {"bidirectional": True}), ("read_out", {"take": "first"})], "half", "both ends"),
    "two stacked": ([("gru", {"bidirectional": True, "layers": 2}), ("read_out", {})], "half", "both ends"),
    "dropout between": ([("rnn", {"bidirectional": True}), ("dropout", {}), ("read_out", {})], "half", "both ends"),
    "a linear layer between": ([("lstm", {"bidirectional": True}), ("linear", {}), ("read_out", {})], "half", "mean"),
    "one way, first": ([("lstm", {}), ("read_out", {"take": "first"})], "all features", "last step"),
    "one way, both ends": ([("lstm", {}), ("read_out", {"take": "both_ends"})], "half", "last step"),
    "causal, class token": (
        [
            ("linear", {"features": 8}),
            ("class_token", {}),
            ("transformer_block", {"causal": True}),
            ("read_out", {"take": "first"}),
        ],
        "all features",
        "last step",
    ),
}


@pytest.mark.parametrize(("rows", "part", "fix"), list(EARLY.values()), ids=list(EARLY))
def test_a_read_out_of_what_has_read_one_step_is_told_with_a_mend(rows, part: str, fix: str) -> None:  # type: ignore[no-untyped-def]
    model = of_rows(*rows)
    found = describe(Describe(model, preset("lstm", "digits").data))
    assert not found.problems
    (remark,) = found.remarks
    assert remark.layer.startswith("read_out") and part in remark.message and fix in remark.fix
    again = describe(Describe(replace(model, layers=remark.mended), preset("lstm", "digits").data))
    assert again.problems == again.remarks == ()


def test_the_end_that_is_put_after_a_bidirectional_layer_reads_it_right() -> None:
    model = layers(("rows", {}), ("gru", {"bidirectional": True}))
    found = describe(Describe(model, preset("lstm", "digits").data)).problems[0]
    again = describe(Describe(replace(model, layers=found.mended), preset("lstm", "digits").data))
    assert again.problems == again.remarks == ()


@pytest.mark.slow_for("resnet110", "resnet56", "resnet44", "resnet32", "resnet20", "plain20")
@pytest.mark.parametrize("entry", list(registry.ARCHITECTURES), ids=lambda entry: entry.name)
def test_no_preset_has_such_a_flaw(entry) -> None:  # type: ignore[no-untyped-def]
    for options in (entry.options(), *entry.examples):
        placed = check(ModelSpec(entry.name, options), entry.example_data)
        assert flaws.remarks(stack_of(placed), entry.example_data) == ()


# ── an answer with a limit ───────────────────────────────────────────────────────────────────────────────────────────

LIMITED = {
    "relu": "a logit can never be below 0",
    "sigmoid": "a logit can never be below 0 or above 1",
    "tanh": "a logit can never be below -1 or above 1",
    "gelu": "a logit can never be below -0.17",
    "silu": "a logit can never be below -0.28",
    "dropout": "a logit is set to zero at random",
}


@pytest.mark.parametrize("kind", [entry.name for entry in registry.LAYERS if {VECTOR, SEQUENCE} <= set(entry.takes)])
def test_a_layer_after_the_one_that_answers_is_told_if_it_limits_the_answer(kind: str) -> None:
    model = layers(("flatten", {}), ("linear", {"features": 10}), (kind, {"features": 10} if kind == "linear" else {}))
    found = describe(Describe(model, preset("mlp", "digits").data))
    if kind not in LIMITED:
        assert kind in ("linear", "layer_norm", "leaky_relu", "flatten")
        assert found.remarks == ()
        return
    (remark,) = found.remarks
    assert remark.layer == f"{kind}2" and LIMITED[kind] in remark.message
    assert [one.kind for one in remark.mended] == ["flatten", "linear"]


def test_a_limit_before_a_read_out_or_a_pooling_is_one_all_the_same() -> None:
    model = layers(("rows", {}), ("gru", {}), ("linear", {"features": 10}), ("relu", {}), ("read_out", {}))
    assert flaws.limited_answer(stack_of(check(model, ROWS)), ROWS).layer == "relu3"
    picture = DataForm(PICTURE, (1, 28, 28), 10)
    model = layers(("conv", {"channels": 10}), ("relu", {}), ("global_pool", {}))
    assert flaws.limited_answer(stack_of(check(model, picture)), picture).layer == "relu1"


def test_a_number_has_its_own_words() -> None:
    data = data_form(preset("lstm", "adding").data)
    model = layers(("gru", {}), ("read_out", {}), ("linear", {"features": 1}), ("sigmoid", {}))
    assert "the answer can never be below 0 or above 1" in flaws.remarks(stack_of(check(model, data)), data)[0].message


@pytest.mark.parametrize("name", registry.DATASETS.names())
def test_the_data_says_itself_whether_the_next_step_is_asked(name: str) -> None:
    entry = registry.DATASETS.get(name)
    if entry.files and name != "characters":
        assert not entry.form(entry.options()).next_step
        return
    options = entry.examples[0]
    splits = registry.load(entry.load)(options, 0, None, lambda _fraction, _words: None)
    form, (x, y) = entry.form(options), splits.train
    told = False
    if form.kind == TOKENS and y.dim() == 2:
        asked = y[:, :-1] >= 0
        told = bool((y[:, :-1] == x[:, 1:])[asked].all()) if bool(asked.any()) else False
    assert form.next_step == told
