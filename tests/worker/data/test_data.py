"""What holds for every data set: parts, shapes, seeds and scales as announced, and a preview."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, TOKENS
from core.engine import wire
from core.spec import registry
from core.spec.questions import Preview
from core.spec.specs import DataSpec, Experiment, assign, preset
from core.worker.data.preview import preview
from core.worker.data.splits import NOT_ASKED, in_turn, pictures, split_by_class
from core.worker.train.training import load_data

QUIET = lambda _fraction, _words: None  # noqa: E731
FILES = ("mnist", "fashion_mnist", "kmnist", "emnist", "cifar10")  # what must be downloaded or be in the folder
EMBEDDED = tuple(name for name in registry.DATASETS.names() if name not in FILES)


def of(name: str, **options: object) -> Experiment:
    """An experiment on this data set; the model does not matter."""
    made = preset("mlp", "digits")
    entry = registry.DATASETS.get(name)
    made = replace(made, data=DataSpec(name, entry.options()))
    return assign(made, {f"data.{k}": v for k, v in options.items()})


def small(name: str, seed: int = 0) -> Experiment:
    """The set on its first example options."""
    return replace(of(name), data=DataSpec(name, registry.DATASETS.get(name).examples[0], seed))


def as_announced(splits, form) -> None:
    """The parts have the entry's form, and targets that fit its task."""
    for x, y in (splits.train, splits.validation, splits.test):
        assert tuple(x.shape[1:]) == form.shape
        assert len(x) == len(y) > 0
        if form.kind == TOKENS:
            assert x.dtype == torch.int64 and int(x.min()) >= 0 and int(x.max()) < form.vocabulary
        else:
            assert x.dtype == torch.float32 and bool(x.isfinite().all())
        if form.task == NUMBER:
            assert y.shape == (len(x),) and y.dtype == torch.float32
        else:
            assert y.shape == ((len(x), form.shape[0]) if form.task == EACH_STEP else (len(x),))
            assert set(y.unique().tolist()) <= {*range(form.classes), *([NOT_ASKED] if form.task == EACH_STEP else [])}
    assert len(splits.shown) == len(splits.test[0]) and len(splits.classes) == form.classes
    assert len(splits.vocabulary) == form.vocabulary
    if form.kind == PICTURE:
        channels, height, width = form.shape
        assert splits.shown.shape[1:] == ((height, width, 3) if channels == 3 else (height, width))
        assert splits.shown.dtype == np.uint8 and len(splits.mean) == len(splits.std) == channels


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_set_is_as_its_entry_says(name, tmp_path):
    entry = registry.DATASETS.get(name)
    for options in (entry.options(), *entry.examples):
        made = of(name)
        as_announced(load_data(replace(made, data=replace(made.data, options=options)), tmp_path), entry.form(options))
    assert not list(tmp_path.iterdir()), "nothing is downloaded"


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_set_is_the_same_for_the_same_seed_and_another_for_another(name):
    first, again, other = (load_data(small(name, seed)) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        for a, b in zip(getattr(first, part), getattr(again, part), strict=True):
            assert torch.equal(a, b)
    assert np.array_equal(first.shown, again.shown)
    one, two = first.train[0], other.train[0]
    assert one.shape != two.shape or not torch.equal(one, two)


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_the_split_is_made_before_the_scale_is_fitted(name):
    splits = load_data(of(name))
    assert abs(float(splits.train[0].mean())) < 1e-4 and abs(float(splits.train[0].std()) - 1) < 1e-3
    assert abs(float(splits.test[0].mean())) > 1e-6  # the test part was scaled by the training part's figures
    back = splits.test[0][:, 0] * splits.std[0] + splits.mean[0]
    np.testing.assert_allclose(255 * back.numpy(), splits.shown, atol=0.01)


def test_each_channel_of_a_colour_picture_has_its_own_scale():
    rng = np.random.default_rng(0)
    one = (rng.random((50, 6, 5, 3)) * [255, 100, 0]).astype(np.uint8)  # the third channel is always 0
    y = np.arange(50) % 2
    splits = pictures([(one[:30], y[:30]), (one[30:40], y[30:40]), (one[40:], y[40:])], ("a", "b"))
    x = splits.train[0]
    assert x.shape == (30, 3, 6, 5) and splits.shown.shape == (10, 6, 5, 3)
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 2, 3)), [1, 1, 0], atol=1e-4)
    np.testing.assert_allclose(splits.mean, one[:30].mean((0, 1, 2)) / 255, atol=1e-6)
    np.testing.assert_allclose(x[4, 1] * splits.std[1] + splits.mean[1], one[4, :, :, 1] / 255, atol=1e-6)


def test_splits_share_no_sample_and_lose_none():
    labels = np.repeat(np.arange(4), [50, 40, 30, 20])
    parts = split_by_class(labels, (0.1, 0.2), 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(140))
    for label in range(4):
        assert (labels[parts[1]] == label).sum() == round((labels == label).sum() * 0.1)
    digits = load_data(of("digits", size=8))
    rows = [{row.numpy().tobytes() for row in x} for x, _y in (digits.train, digits.validation, digits.test)]
    assert not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])


# ── the preview ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_preview_tells_what_is_there_and_crosses_to_the_web_process(name):
    experiment = small(name)
    entry, splits = registry.DATASETS.get(name), load_data(experiment)
    form = entry.form(experiment.data.options)
    asked = preview(Preview(experiment.data), QUIET)
    shape = {"picture": form.shape[1:]}.get(form.kind, form.shape)
    assert asked.samples.shape == (24, *shape) and len(asked.labels) == 24 and asked.kind == form.kind
    for part in ("train", "validation", "test"):
        x, y = getattr(splits, part)
        assert asked.shapes[part] == tuple(x.shape)
        assert sum(asked.counts[part].values()) == int((y != NOT_ASKED).sum())
    assert set(asked.counts["train"]) == set(splits.classes)
    assert (asked.given.low, asked.given.high) == (float(splits.train[0].min()), float(splits.train[0].max()))
    assert (asked.source, asked.licence, asked.task) == (entry.source, entry.licence, form.task)
    if form.task == "classes":
        assert len(set(asked.labels.tolist())) == form.classes, "the first samples show every class"
    if form.kind == PICTURE:
        assert asked.samples.dtype == np.uint8 and 0 <= asked.raw.low < asked.raw.high <= 255
        assert asked.raw.mean == pytest.approx(255 * splits.mean[0], rel=1e-3)
        place = in_turn(splits.train[1].numpy())[3]
        pixels = 255 * (splits.train[0][place, 0] * splits.std[0] + splits.mean[0])
        np.testing.assert_allclose(asked.samples[3], pixels, atol=0.51)
    again = wire.loads(wire.dumps(asked))
    assert again.counts == asked.counts and np.array_equal(again.samples, asked.samples)


def test_a_preview_may_show_less_and_takes_splits_that_are_there():
    experiment = small("digits")
    splits = load_data(experiment)
    splits.notes = ("These are the ones given.",)
    asked = preview(Preview(experiment.data, count=5), QUIET, splits)
    assert len(asked.samples) == 5 and asked.notes == splits.notes
    assert pickle.loads(pickle.dumps(Preview(experiment.data))) == Preview(experiment.data)


def test_the_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    from core.worker.data.digits import digits

    images, targets = digits()
    theirs = load_digits()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(targets, theirs.target)
