"""The shape doctor: what cannot work names its layer, and clicks on the mends lead to a model that works."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
import torch

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, SEQUENCE, TOKENS, VECTOR, DataForm
from core.spec import registry
from core.spec.questions import Describe
from core.spec.specs import LayerSpec, ModelSpec, model_from_json, preset
from core.worker.model.build import ModelError, build, check, data_form, describe, walk

DIGITS = data_form(preset("cnn", "digits").data)
NINE_IDS = DataForm(TOKENS, (7,), 3, vocabulary=9)


def layers(*rows):
    """A ModelSpec from (kind, options) rows."""
    listed = [{"kind": k, "name": f"{k}{i}", "options": o} for i, (k, o) in enumerate(rows)]
    return model_from_json({"architecture": "cnn", "layers": listed})


def batch(data: DataForm, size: int) -> torch.Tensor:
    """Random samples without padding."""
    if data.kind == TOKENS:
        return torch.randint(1, data.vocabulary, (size, *data.shape))
    return torch.randn(size, *data.shape)


def mend(model: ModelSpec, data: DataForm, most: int = 12) -> int:
    """Click on the mend until the model works; how often that was. After each click the guilty layer works."""
    for clicks in range(most):
        placed, problem = walk(model, data)
        if problem is None:
            if sum(p.params for p in placed) < 10**7:
                assert build(model, data)(batch(data, 2)).shape[1:] == data.answer().shape
            return clicks
        assert problem.layer in [s.name for s in model.layers] and problem.message and problem.fix
        assert problem.mended, problem
        model = replace(model, layers=problem.mended)
        names = [s.name for s in model.layers]
        assert len(set(names)) == len(names)
        after, following = walk(model, data)
        cured = problem.layer not in names or problem.layer in [p.spec.name for p in after]
        assert cured or (following and following.message != problem.message), (problem, following)
    raise AssertionError(f"{most} clicks did not mend it: {problem}")


@pytest.mark.slow
def test_eighty_builds_never_fail_with_a_traceback_and_each_is_mended_by_clicks():
    """Depth 1–5, pooling 2–5, stride 1–4 on 28×28: many shrink to nothing."""
    drawn, broken = random.Random(0), 0
    for _build in range(80):
        rows = []
        for _stage in range(drawn.randint(1, 5)):
            conv = {"channels": 4, "kernel": drawn.choice((3, 5)), "padding": 0, "stride": drawn.randint(1, 4)}
            pool = {"kernel": drawn.randint(2, 5), "stride": drawn.randint(0, 4)}
            rows += [("conv", conv), ("relu", {}), (drawn.choice(("max_pool", "avg_pool")), pool)]
        rows += [("flatten", {}), ("linear", {"features": 10})][drawn.randint(0, 1) :]
        broken += mend(layers(*rows), DIGITS) > 0
    assert 30 < broken < 80


@pytest.mark.parametrize(
    ("rows", "data", "clicks"),
    [
        ([("conv", {"groups": 3})], DIGITS, 2),
        ([("conv", {"kernel": 31, "padding": 0})], DIGITS, 2),
        ([("conv", {"kernel": 255, "dilation": 64})], DIGITS, 2),
        ([("conv", {"channels": 6}), ("group_norm", {"groups": 4}), ("depthwise_separable", {"kernel": 4})], DIGITS, 3),
        ([("max_pool", {"padding": 9}), ("inverted_bottleneck", {"kernel": 2})], DIGITS, 3),
        ([("max_pool", {"kernel": 29})], DIGITS, 2),
        ([("transformer_block", {"heads": 5})], DIGITS, 2),  # a rows layer and other heads in one click
        ([("rows", {}), ("rnn", {"hidden": 5}), ("read_out", {"take": "both_ends"})], DIGITS, 2),
        ([("patches", {"size": 5}), ("conv", {})], DIGITS, 3),
        ([("residual", {"channels": 4}), ("residual", {"channels": 2})], DIGITS, 2),
        ([("conv", {}), ("flatten", {}), ("conv", {})], DIGITS, 3),
        ([("flatten", {}), ("max_pool", {}), ("linear", {})], DIGITS, 3),
        ([("flatten", {}), ("relu", {}), ("rows", {})], DIGITS, 2),
        ([("linear", {"features": 10})], DIGITS, 1),
        ([("flatten", {}), ("linear", {"features": 7})], DIGITS, 1),
        ([("embedding", {})], DIGITS, 2),
        ([("flatten", {}), ("linear", {"features": 65_536}), ("linear", {"features": 65_536})], DIGITS, 3),
        ([("conv", {"channels": 8192, "kernel": 255, "padding": 127})] * 2, DIGITS, 6),
        ([("flatten", {}), ("linear", {"features": 10})], DataForm(PICTURE, (3, 4000, 4000), 10), 3),
        ([("embedding", {"vocabulary": 3}), ("gru", {})], NINE_IDS, 2),
        ([("gru", {}), ("linear", {"features": 3})], NINE_IDS, 2),
        ([("linear", {})], NINE_IDS, 2),
        ([("rnn", {}), ("linear", {"features": 2})], DataForm(SEQUENCE, (7, 2), 1, task=NUMBER), 1),
        ([("linear", {}), ("relu", {})], DataForm(VECTOR, (2,), 3), 1),
        ([("embedding", {"vocabulary": 9}), ("class_token", {}), ("linear", {})], replace(NINE_IDS, task=EACH_STEP), 2),
        ([("lstm", {}), ("read_out", {}), ("relu", {})], DataForm(SEQUENCE, (7, 2), 4, task=EACH_STEP), 2),
    ],
)
def test_every_kind_of_fault_is_mended_by_a_few_clicks(rows, data, clicks):
    assert 0 < mend(layers(*rows), data) <= clicks


@pytest.mark.parametrize("names", [("forward", "b"), ("a", "class"), ("same", "same"), ("training", "masked")])
def test_a_name_that_cannot_be_an_attribute_is_refused_and_mended(names):
    made = layers(("flatten", {}), ("linear", {"features": 10}))
    model = replace(made, layers=tuple(replace(s, name=n) for n, s in zip(names, made.layers, strict=True)))
    assert walk(model, DIGITS)[1].layer in names
    assert 0 < mend(model, DIGITS) <= 2


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("gpt", NINE_IDS, "asks for one class a sample"),
        ("cnn", DataForm(SEQUENCE, (7, 2), 2, task=EACH_STEP), "needs a picture"),
        ("vit", DataForm(PICTURE, (1, 28, 28), 2, task=EACH_STEP), "asks for a class at every step"),
    ],
)
def test_an_architecture_that_cannot_serve_a_task_says_so(name, data, words):
    with pytest.raises(ModelError, match=words) as caught:
        check(preset(name, "digits").model, data)
    fits = caught.value.problem.fix
    assert "transformer" in fits and name not in fits.split(", ")


@pytest.mark.parametrize(
    ("rows", "shape"),
    [
        ([("lstm", {"hidden": 4096, "layers": 16})], (100_000, 8)),
        ([("rnn", {})], (10**9, 64)),
        ([("transformer_block", {})] * 30, (10**6, 64)),
        ([("conv", {})] * 300, (1, 10**5, 10**5)),
        ([("conv", {"channels": 1})] * 300, (1, 28, 28)),  # nothing is wrong with it but its end
        ([("linear", {"features": 65_536})] * 300, (65_536, 65_536)),
        ([("flatten", {})], (2**31, 2**31, 2**31)),
    ],
)
def test_a_hostile_size_is_refused_within_half_a_second(rows, shape):
    model, data = layers(*rows), preset("cnn", "digits").data
    describe(Describe(preset("cnn", "digits").model, data))  # the imports are not part of the measure
    started = time.process_time()
    assert describe(Describe(model, data, input=shape)).problems
    assert time.process_time() - started < 0.5


@pytest.mark.slow
def test_a_million_layers_are_refused_even_when_they_come_as_a_spec():
    relu = registry.LAYERS.get("relu").options()
    model = replace(layers(("relu", {})), layers=tuple(LayerSpec("relu", relu, f"r{i}") for i in range(1_000_000)))
    started = time.process_time()
    assert "1,000,000 layers" in walk(model, DIGITS)[1].message
    assert time.process_time() - started < 0.5
