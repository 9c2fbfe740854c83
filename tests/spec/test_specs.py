"""Specs: one JSON, one id, one link for what was asked for; a mistake is a sentence, never a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.spec import registry, specs
from core.spec.options import SpecError, declared
from core.spec.specs import Choice, Experiment, LayerSpec, ModelSpec
from tests.entries import put

PAIRS = [(a, d) for a in registry.ARCHITECTURES.names() for d in registry.DATASETS.names()]


@pytest.fixture
def experiment() -> Experiment:
    return specs.preset("cnn", "digits")


def _with_layers(experiment: Experiment) -> Experiment:
    """The same experiment with a model listed by hand, one layer of every kind."""
    kinds = [
        LayerSpec(layer.name, example[0] if isinstance(example, tuple) else example, f"layer{number}")
        for number, layer in enumerate(registry.LAYERS)
        for example in layer.examples[:1]
    ]
    return replace(experiment, model=replace(experiment.model, layers=tuple(kinds)))


# ── JSON and the content id ──────────────────────────────────────────────────


@pytest.mark.parametrize(("architecture", "data"), PAIRS)
def test_an_experiment_comes_back_from_its_json_and_its_link(architecture: str, data: str) -> None:
    asked = specs.preset(architecture, data)
    asked = specs.assign(asked, {"train.lr": 0.0123, "train.batch_size": 17, "data.seed": 5})
    assert specs.experiment_from_json(json.loads(json.dumps(specs.to_json(asked)))) == asked
    again, notices = specs.from_link(specs.to_link(asked))
    assert (again, notices) == (asked, [])
    assert specs.content_id(again) == specs.content_id(asked)


def test_every_example_of_the_catalog_comes_back_from_json_and_link(experiment: Experiment) -> None:
    variants = [
        replace(experiment, model=ModelSpec(entry.name, options))
        for entry in registry.ARCHITECTURES
        for options in entry.examples
    ]
    variants += [
        replace(experiment, data=replace(experiment.data, name=entry.name, options=options))
        for entry in registry.DATASETS
        for options in entry.examples
    ]
    variants += [
        replace(experiment, train=replace(experiment.train, **{field: Choice(entry.name, options)}))
        for field, known in (("optimizer", registry.OPTIMIZERS), ("schedule", registry.SCHEDULES))
        for entry in known
        for options in entry.examples
    ]
    several = [Choice(entry.name, entry.examples[-1]) for entry in registry.AUGMENTATIONS]
    variants += [
        replace(experiment, train=replace(experiment.train, augmentation=chosen))
        for chosen in (tuple(several), *((Choice(e.name, o),) for e in registry.AUGMENTATIONS for o in e.examples))
    ]
    for asked in variants:
        assert specs.experiment_from_json(json.loads(specs.canonical(asked))) == asked
        assert specs.from_link(specs.to_link(asked)) == (asked, [])
        assert isinstance(hash(asked), int)


def test_a_model_listed_by_hand_comes_back(experiment: Experiment) -> None:
    asked = _with_layers(experiment)
    assert specs.experiment_from_json(json.loads(specs.canonical(asked))) == asked
    few = replace(asked, model=replace(asked.model, layers=asked.model.layers[:4]))
    assert specs.from_link(specs.to_link(few)) == (few, [])


def test_equal_experiments_have_one_id_and_others_have_another(experiment: Experiment) -> None:
    one = specs.assign(experiment, {"train.lr": 1})
    other = specs.assign(experiment, {"train.lr": "1.0"})
    assert one == other and hash(one) == hash(other)
    assert specs.content_id(one) == specs.content_id(other) != specs.content_id(experiment)
    assert len(specs.content_id(one)) == 16
    shuffled = dict(reversed(specs.to_json(one).items()))
    assert specs.content_id(specs.experiment_from_json(shuffled)) == specs.content_id(one)
    assert specs.content_id(specs.assign(one, {"train.clip_norm": -0.0})) == specs.content_id(one)


def test_missing_fields_take_their_defaults() -> None:
    made = specs.experiment_from_json({"model": {"architecture": "mlp"}})
    assert (made.model.architecture, made.data.name, made.train.batch_size) == ("mlp", "digits", 64)


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        ([], "experiment", "must be an object"),
        ({"modle": {}}, "experiment.modle", "no field 'modle'; it has data, format, model, train"),
        ({"format": 2}, "format", "format is 2; this LayerLab reads format 1"),
        ({"format": [[]] * 999}, "format", "format is"),
        *[({"format": was}, "format", "reads format 1") for was in (0, "1", True, 1.0, None)],
        *[({"model": {"format": was}}, "model.format", "reads format 1") for was in (2, "1", True, None)],
        (
            {"model": {"layers": [{"kind": "relu", "name": "fi"}, {"kind": "relu", "name": "ﬁ"}]}},
            "model.layers",
            "Two layers are called “fi”",
        ),
        ({"model": {"architecture": "cmn"}}, "model.architecture", "Did you mean “cnn”?"),
        ({"model": {"architecture": ["cnn"]}}, "model.architecture", "must be a word"),
        ({"model": {"options": {"nonsense": 1}}}, "model.options.nonsense", "no field 'nonsense'"),
        ({"model": {"layers": {}}}, "model.layers", f"list of at most {specs.LAYER_LIMIT} layers"),
        ({"model": {"layers": [{}] * (specs.LAYER_LIMIT + 1)}}, "model.layers", "list of at most"),
        ({"model": {"layers": [7]}}, "model.layers[0]", "must be an object"),
        ({"model": {"layers": [{"kind": "relu", "name": "a.b"}]}}, "model.layers[0].name", "letters, digits and _"),
        ({"model": {"layers": [{"kind": "relu", "name": "a"}] * 2}}, "model.layers", "Two layers are called “a”"),
        ({"model": {"layers": [{"kind": "rely", "name": "a"}]}}, "model.layers[0].kind", "Did you mean “relu”?"),
        (
            {"model": {"layers": [{"kind": "linear", "name": "head", "options": {"features": 0}}]}},
            "model.layers[0].options.features",
            "head: features = 0 is out of range",
        ),
        ({"data": {"name": 3}}, "data.name", "must be a word"),
        ({"data": {"seed": -1}}, "data.seed", "seed = -1 is out of range: it must be between 0 and 2,147,483,647"),
        ({"train": {"lr": 0}}, "train.lr", "lr = 0 is out of range: it must be between 1e-07 and 100 per step"),
        ({"train": {"steps": "many"}}, "train.steps", "steps must be a whole number, not 'many'"),
        ({"train": {"optimizer": "sdg"}}, "train.optimizer.name", "Did you mean “sgd”?"),
        (
            {"train": {"optimizer": {"name": "sgd", "options": {"momentum": 2}}}},
            "train.optimizer.options.momentum",
            "momentum = 2 is out of range",
        ),
        ({"train": {"schedule": 5}}, "train.schedule", "must be an object"),
        ({"train": {"augmentation": "flip"}}, "train.augmentation", "must be a list of shift, flip"),
        ({"train": {"augmentation": ["flip", "flop"]}}, "train.augmentation[1].name", "Did you mean “flip”?"),
        ({"train": {"augmentation": ["flip", "flip"]}}, "train.augmentation", "names one augmentation twice"),
        (
            {"train": {"augmentation": [{"name": "shift", "options": {"shift_pixels": 99}}]}},
            "train.augmentation[0].options.shift_pixels",
            "between 1 and 64 pixels",
        ),
        (
            {"train": {"label_noise": 2}},
            "train.label_noise",
            "label_noise = 2 is out of range: it must be between 0 and 1 share",
        ),
        ({"train": {"precision": "half"}}, "train.precision", "must be one of float32, bfloat16, auto"),
        ({"train": {"early_stopping": 41}}, "train.early_stopping", "between 0 and 40 checks"),
    ],
)
def test_a_mistake_in_json_is_a_sentence_that_names_the_field(raw: Any, field: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        specs.experiment_from_json(raw)
    assert caught.value.field == field
    assert words in caught.value.message
    assert len(caught.value.message) < 500


# ── assign ───────────────────────────────────────────────────────────────────


def test_fields_and_options_are_reached_by_their_address(experiment: Experiment) -> None:
    changes = {"train.momentum": "0.8", "train.optimizer": "sgd", "train.lr": "0.5", "train.steps": 9, "data.seed": 3}
    made = specs.assign(experiment, changes)
    assert made.train.optimizer.name == "sgd"
    assert specs.option_values(made.train.optimizer.options)["momentum"] == 0.8
    assert (made.train.lr, made.train.steps, made.data.seed) == (0.5, 9, 3)


def test_every_declared_option_can_be_assigned_its_own_value() -> None:
    for architecture, data in PAIRS:
        asked = specs.preset(architecture, data)
        for part, spec in (("model", asked.model), ("data", asked.data)):
            for name, value in specs.option_values(spec.options).items():
                assert specs.assign(asked, {f"{part}.{name}": value}) == asked


def test_a_train_address_means_one_field() -> None:
    for optimizer in registry.OPTIMIZERS:
        for schedule in registry.SCHEDULES:
            names = [*declared(specs.TrainSpec), "optimizer", "schedule", "augmentation"]
            names += [*declared(optimizer.options), *declared(schedule.options)]
            for augmentation in registry.AUGMENTATIONS:  # any number of them at once
                names += declared(augmentation.options)
            assert len(names) == len(set(names)), f"{optimizer.name} and {schedule.name} share a name"


@pytest.mark.parametrize(
    ("address", "value", "words"),
    [
        ("lr", 1, "'lr' is no address; write data.NAME, model.NAME or train.NAME"),
        ("train.", 1, "is no address"),
        ("engine.slots", 1, "is no address"),
        ("train.momentun", 1, "train has no field 'momentun'; it has optimizer, schedule, augmentation, lr"),
        ("model.nonsense", 1, "cnn has no option 'nonsense'; its options:"),
        ("data.nonsense", 1, "digits has no option 'nonsense'; its options:"),
        ("train.lr", "fast", "lr must be a number, not 'fast'"),
        ("train.optimizer", "sdg", "Did you mean “sgd”?"),
        ("data.seed", "x", "seed must be a whole number"),
        ("x" * 5000, 1, "is no address"),
    ],
)
def test_a_wrong_address_or_value_is_a_sentence(experiment: Experiment, address: str, value: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        specs.assign(experiment, {address: value})
    assert words in caught.value.message
    assert len(caught.value.message) < 500


def test_augmentations_are_a_list_of_names_whose_options_are_fields(experiment: Experiment) -> None:
    made = specs.assign(experiment, {"train.shift_pixels": "3", "train.augmentation": "mixup, shift"})
    assert [choice.name for choice in made.train.augmentation] == ["shift", "mixup"]  # as the catalog orders them
    assert specs.option_values(made.train.augmentation[0].options) == {"shift_pixels": 3}
    assert made == specs.assign(experiment, {"train.augmentation": ["shift", "mixup"], "train.shift_pixels": 3})
    kept = specs.assign(made, {"train.augmentation": ["shift"]})  # one less: the other keeps its options
    assert specs.option_values(kept.train.augmentation[0].options) == {"shift_pixels": 3}
    assert specs.assign(made, {"train.augmentation": "none"}) == experiment
    with pytest.raises(SpecError, match="has no field 'mixup_alpha'"):
        specs.assign(experiment, {"train.mixup_alpha": 1})
    link = specs.to_link(made)
    assert link == {
        "v": "1",
        "model": "cnn",
        "data": "digits",
        "train.augmentation": "shift,mixup",
        "train.shift_pixels": "3",
    }


@pytest.mark.parametrize("value", ["flop", 3, [7], "flip,,", "flip,flip", [["flip"]], "x" * 3000, None])
def test_a_wrong_list_of_augmentations_is_a_sentence(experiment: Experiment, value: Any) -> None:
    with pytest.raises(SpecError) as caught:
        specs.assign(experiment, {"train.augmentation": value})
    assert len(caught.value.message) < 500


# ── links ────────────────────────────────────────────────────────────────────


def test_a_link_holds_only_what_differs_from_the_preset(experiment: Experiment) -> None:
    assert specs.to_link(experiment) == {"v": "1", "model": "cnn", "data": "digits"}
    link = specs.to_link(specs.assign(experiment, {"train.lr": 0.5}))
    assert link == {"v": "1", "model": "cnn", "data": "digits", "train.lr": "0.5"}


def test_a_link_keeps_an_option_that_two_optimizers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    recommended = {"optimizer": "adamw", "beta1": 0.5}
    entry = replace(registry.ARCHITECTURES.get("cnn"), recommended=recommended)
    put(monkeypatch, registry.ARCHITECTURES, entry)
    asked = specs.assign(specs.preset("cnn", "digits"), {"train.optimizer": "adam", "train.beta1": 0.5})
    assert specs.from_link(specs.to_link(asked)) == (asked, [])


def test_a_model_too_large_for_a_link_is_sent_to_a_file(experiment: Experiment) -> None:
    relu = registry.LAYERS.get("relu")
    layers = tuple(LayerSpec("relu", relu.options(), f"relu{i}") for i in range(300))
    with pytest.raises(SpecError, match="save the experiment as a file"):
        specs.to_link(replace(experiment, model=replace(experiment.model, layers=layers)))


def _bomb(depth: int) -> str:
    return "[" * depth + "]" * depth


HOSTILE: list[dict[str, str]] = [
    {"train.lr": "x" * 5000},
    {f"train.{i}": "1" for i in range(500)},
    {"v": "99"},
    {"v": ""},
    {"model": "no_such_model"},
    {"data": "../../etc/passwd"},
    {"model": "", "data": ""},
    {"train.lr": "nan"},
    {"train.lr": "inf"},
    {"train.lr": "-1"},
    {"train.lr": "1e999"},
    {"train.lr": "9" * 4000},
    {"train.steps": "1.5"},
    {"train.steps": "９٣"},
    {"train.steps": "\x00"},
    {"train.optimizer": "__class__"},
    {"train.__class__": "1"},
    {"model.__init__": "1"},
    {"data.options": "{}"},
    {"train.": "1", ".": "1", "model..": "1"},
    {"layers": "not json"},
    {"layers": "{}"},
    {"layers": "null"},
    {"layers": "[null]"},
    {"layers": '[{"kind": "relu"}]'},
    {"layers": '[{"kind": {}, "name": "a", "options": {}}]'},
    {"layers": '[{"kind": "conv", "name": "a", "options": {"channels": NaN}}]'},
    {"layers": '[{"kind": "conv", "name": "a", "options": {"channels": ' + "9" * 3900 + "}}]"},
    {"layers": '[{"kind": "conv", "name": "a", "options": {"channels": ' + _bomb(900) + "}}]"},
    {"layers": '[{"kind": "conv", "name": ' + _bomb(950) + "}]"},
    {"layers": _bomb(2000)},
    {"layers": '[{"kind": "conv", "name": "a", "options": {"self": 1}}]'},
]


@pytest.mark.parametrize("link", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_link_gives_the_defaults_and_a_short_notice(link: dict[str, str], experiment: Experiment) -> None:
    made, notices = specs.from_link(link)
    assert isinstance(made, Experiment)
    assert specs.experiment_from_json(json.loads(specs.canonical(made))) == made
    if link != {"train.steps": "９٣"}:  # digits are digits in every script
        assert made == experiment
        assert notices
    assert all(len(notice) < 600 for notice in notices)


def test_a_link_of_another_version_is_left_aside_as_a_whole(experiment: Experiment) -> None:
    made, notices = specs.from_link({"v": "2", "model": "mlp", "train.lr": "0.5"})
    assert made == experiment
    assert notices == ["v: the link is of version '2'; this LayerLab reads version 1. It was left aside."]


def test_a_layers_name_is_what_a_program_makes_of_it(experiment: Experiment) -> None:
    made = specs.model_from_json({"layers": [{"kind": "relu", "name": "ﬁrst"}]})
    assert made.layers[0].name == "first" and specs.model_from_json(specs.to_json(made)) == made


def test_parameters_of_others_in_the_address_are_left_alone(experiment: Experiment) -> None:
    assert specs.from_link({"run": "abc", "utm_source": "mail", "sample": "3"}) == (experiment, [])


def test_good_parameters_of_a_partly_wrong_link_still_count(experiment: Experiment) -> None:
    made, notices = specs.from_link({"train.lr": "0.5", "train.steps": "none", "model": "mlp"})
    assert (made.model.architecture, made.train.lr) == ("mlp", 0.5)
    assert notices == ["train.steps: steps must be a whole number, not 'none'."]
