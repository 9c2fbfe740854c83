"""Live frames of every kind of data: samples as people see them, and answers as the task has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.catalog.entries import EACH_STEP, NUMBER
from core.engine.live import decode_frame, encode_frame
from core.spec import registry
from core.spec.specs import DataSpec, preset
from core.worker.data.splits import NOT_ASKED
from core.worker.model.build import build, layers_of
from core.worker.train.frames import frame_samples, make_frame, task_of
from core.worker.train.training import load_data

KINDS = [  # model, data, kind, the name of the samples' array
    ("mlp", "shapes", "picture", "pictures"),
    ("mlp", "points", "points", "points"),
    ("gru", "adding", "sequence", "sequences"),
    ("gru", "reviews", "tokens", "tokens"),
    ("transformer", "copy", "tokens", "tokens"),
    ("transformer", "characters", "tokens", "tokens"),
]


def framed(model, data, sample=30):
    """(frame as its watchers get it, splits, logits of its samples)."""
    entry = registry.DATASETS.get(data)
    experiment = replace(preset(model, data), data=DataSpec(data, entry.examples[0]))
    form, splits = entry.form(entry.examples[0]), load_data(experiment)
    network, layers = build(experiment.model, form), layers_of(experiment.model, form)
    frame = decode_frame(encode_frame(make_frame(network, layers, splits, 7, sample, layers[0].name)))
    with torch.no_grad():
        logits = network.eval()(splits.test[0][frame.meta["indices"]])
    return frame, splits, logits


@pytest.mark.parametrize(("model", "data", "kind", "name"), KINDS)
def test_a_frame_shows_every_kind_of_data_and_answer(model, data, kind, name):
    frame, splits, logits = framed(model, data, 20)
    indices, arrays = frame.meta["indices"], frame.arrays
    task = registry.DATASETS.get(data).form(registry.DATASETS.get(data).examples[0]).task
    assert frame.meta["kind"] == kind and frame.meta["task"] == task == task_of(splits)
    assert len(indices) == len(arrays[name]) == 12 and 20 in indices and frame.step == 7
    assert np.array_equal(arrays["targets"], splits.test[1][indices].numpy())
    if task == NUMBER:
        np.testing.assert_allclose(arrays["predicted"], logits[:, 0], rtol=1e-4, atol=1e-6)
        assert arrays["predicted"].dtype == arrays["targets"].dtype == np.float32 and "confidence" not in arrays
        return
    odds = logits.softmax(-1)
    assert arrays["predicted"].tolist() == odds.argmax(-1).tolist()
    asked = arrays["targets"] != NOT_ASKED
    expected = odds.max(-1).values.numpy()
    expected = (expected * asked).sum(1) / asked.sum(1) if task == EACH_STEP else expected
    np.testing.assert_allclose(arrays["confidence"], expected, rtol=1e-4)


def test_a_sequence_shows_its_values_and_which_are_meant():
    frame, splits, _logits = framed("gru", "adding")
    shown = splits.shown[frame.meta["indices"]]
    assert np.array_equal(frame.arrays["sequences"], shown[:, :, 0])
    assert np.array_equal(frame.arrays["marks"], shown[:, :, 1]) and frame.arrays["marks"].sum() == 24


def test_points_lie_within_the_range_that_is_told():
    frame, splits, _logits = framed("mlp", "points")
    low, high = frame.meta["range"]
    assert np.array_equal(frame.arrays["points"], splits.shown[frame.meta["indices"]])
    assert low == splits.shown.min() and high == splits.shown.max()


def test_samples_without_classes_are_the_first_ones():
    experiment = preset("gru", "adding")
    splits = load_data(replace(experiment, data=DataSpec("adding", registry.DATASETS.get("adding").examples[0])))
    assert frame_samples(splits, 3) == list(range(12)) and frame_samples(splits, 50) == [*range(11), 50]
