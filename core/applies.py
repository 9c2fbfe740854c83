"""What of a training's settings the data can use: asked before a run, the same on page, in file, link and command."""

from __future__ import annotations

from core import registry
from core.catalog.entries import CLASSES, NUMBER, PICTURE, TASKS, WORDS, DataForm
from core.options import SpecError
from core.specs import Experiment


def check_experiment(experiment: Experiment) -> None:
    """SpecError in a sentence at the first setting that cannot apply to this experiment's data."""
    data: DataForm = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
    name, train = experiment.data.name, experiment.train
    if train.label_noise and data.task != CLASSES:
        raise SpecError(
            "train.label_noise",
            f"label_noise replaces classes, but {name} asks for {TASKS[data.task]}. Set it to 0.",
        )
    if train.label_smoothing and data.task == NUMBER:
        raise SpecError(
            "train.label_smoothing",
            f"label_smoothing spreads a target over classes, but {name} asks for {TASKS[data.task]}. Set it to 0.",
        )
    if train.early_stopping and registry.SCHEDULES.get(train.schedule.name).suggest is not None:
        raise SpecError(
            "train.early_stopping", "early_stopping would cut the range test short. Set it to 0."
        )
    _check_augmentation(experiment, data)


def _check_augmentation(experiment: Experiment, data: DataForm) -> None:
    chosen = [(registry.AUGMENTATIONS.get(c.name), c.options) for c in experiment.train.augmentation]
    place, name = "train.augmentation", experiment.data.name
    for entry, options in chosen:
        if data.kind not in entry.takes:
            needs = " or ".join(WORDS[kind] for kind in entry.takes)
            message = f"{entry.name} needs {needs}, but {name} gives {WORDS[data.kind]}. Leave it out."
            raise SpecError(place, f"The augmentation {message}")
        if data.task not in entry.tasks:
            message = f"{entry.name} mixes classes, but {name} asks for {TASKS[data.task]}. Leave it out."
            raise SpecError(place, f"The augmentation {message}")
        pixels = getattr(options, "shift_pixels", 0)
        if data.kind == PICTURE and pixels >= min(data.shape[1:]):
            side = min(data.shape[1:])
            message = f"shift_pixels = {pixels} moves pictures of {side} pixels out of sight; it must be below {side}."
            raise SpecError("train.shift_pixels", message)
    mixing = [entry.name for entry, _options in chosen if entry.mixes]
    if len(mixing) > 1:
        raise SpecError(place, f"The augmentations {' and '.join(mixing)} both mix samples. Choose one of them.")
