"""Settings that the data cannot use are refused before a run, in one sentence, the same on every way in."""

from __future__ import annotations

import json

import pytest

from core import cli
from core.catalog.applies import check_experiment
from core.spec import registry
from core.spec.options import SpecError
from core.spec.specs import assign, from_link, preset, to_json, to_link
from core.worker.train.training import Training

MISFITS = [
    ("gru", "adding", {"train.label_noise": 0.1}, "train.label_noise", "adding asks for one number a sample"),
    ("gru", "copy", {"train.label_noise": 0.1}, "train.label_noise", "a class at every step"),
    ("gru", "adding", {"train.label_smoothing": 0.1}, "train.label_smoothing", "Set it to 0."),
    ("gru", "planted", {"train.augmentation": "mixup"}, "train.augmentation", "mixup needs a picture"),
    ("mlp", "points", {"train.augmentation": "flip"}, "train.augmentation", "points gives a vector"),
    ("cnn", "digits", {"train.augmentation": "mixup,cutmix"}, "train.augmentation", "Choose one of them."),
    ("cnn", "digits", {"train.augmentation": "shift", "train.shift_pixels": 28}, "train.shift_pixels", "below 28"),
    ("mlp", "digits", {"train.schedule": "range_test", "train.early_stopping": 3}, "train.early_stopping", "cut the"),
]


@pytest.mark.parametrize(("architecture", "data", "changes", "field", "says"), MISFITS)
def test_a_misfit_is_one_sentence_from_the_check_the_trainer_and_the_command_line(
    architecture, data, changes, field, says, capsys, tmp_path, home
):
    made = assign(preset(architecture, data), changes)
    with pytest.raises(SpecError) as caught:
        check_experiment(made)
    sentence = caught.value.message
    assert caught.value.field == field and says in sentence and sentence.endswith(".") and len(sentence) < 200
    with pytest.raises(SpecError) as again:
        Training(made)
    assert again.value.message == sentence

    (tmp_path / "e.json").write_text(json.dumps(to_json(made)))
    flags = [f"{name}={value}" for name, value in changes.items()]
    assert from_link(to_link(made)) == (made, [])  # a link only fills the form, where the same check speaks
    by_file = ["--experiment", str(tmp_path / "e.json")]
    for words in (by_file, ["--preset", architecture, "--data", data, "--set", *flags]):
        assert cli.main(["train", *words]) == 2
        said = capsys.readouterr()
        assert sentence in said.err and said.err.count("\n") == 1 and said.out == ""


@pytest.mark.parametrize("data", registry.DATASETS.names())
def test_defaults_always_apply(data):
    for architecture in registry.ARCHITECTURES.names():
        check_experiment(preset(architecture, data))


def test_smoothing_applies_where_every_step_is_a_class():
    check_experiment(assign(preset("gpt", "characters"), {"train.label_smoothing": 0.1}))
