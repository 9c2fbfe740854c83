"""What can be said of an experiment, a model or a question without computing: what of it cannot apply to this data.

Asked before anything heavy is loaded; the same sentences on page, in file, link and command.
"""

from __future__ import annotations

from dataclasses import replace

from core.catalog.entries import (
    CLASSES,
    EACH_STEP,
    NUMBER,
    PICTURE,
    SEQUENCE,
    TASKS,
    TOKENS,
    VECTOR,
    WORDS,
    Architecture,
    DataForm,
)
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import PREDICTED, TRUE, Describe, Problem
from core.spec.quoting import quoted, shown
from core.spec.sentences import Sentence, _, join
from core.spec.specs import DataSpec, Experiment, LayerSpec, ModelSpec, assign

LAST_SEED = 2**32 - 1  # that numpy takes


def check_experiment(experiment: Experiment) -> None:
    """SpecError in a sentence at the first setting that cannot apply to this experiment's data."""
    data = data_form(experiment.data)
    name, train = experiment.data.name, experiment.train
    if train.label_noise and data.task != CLASSES:
        raise SpecError(
            "train.label_noise",
            Sentence(
                "label_noise replaces classes, but {name} asks for {tasks}. Set it to 0.",
                name=name,
                tasks=TASKS[data.task],
            ),
        )
    if train.label_smoothing and data.task == NUMBER:
        raise SpecError(
            "train.label_smoothing",
            Sentence(
                "label_smoothing spreads a target over classes, but {name} asks for {tasks}. Set it to 0.",
                name=name,
                tasks=TASKS[data.task],
            ),
        )
    if train.early_stopping and registry.SCHEDULES.get(train.schedule.name).suggest is not None:
        raise SpecError("train.early_stopping", _("early_stopping would cut the range test short. Set it to 0."))
    _check_augmentation(experiment, data)


def asked_steps(experiment: Experiment, steps: int) -> int:
    """How many steps a run was to make, also one that ended early; `steps` of its status, where epochs decided."""
    return steps if experiment.train.epochs else max(steps, experiment.train.steps)


def longer(experiment: Experiment, asked: int, steps: int) -> Experiment:
    """The experiment for a run that has ended and is to be trained on up to `steps`; SpecError where it cannot be.

    asked: the steps of the run's status.
    """
    if registry.SCHEDULES.get(experiment.train.schedule.name).suggest is not None:
        raise SpecError("train.steps", _("A range test is over with its last step. Start a new one with more steps."))
    before = asked_steps(experiment, asked)
    if steps <= before:
        raise SpecError(
            "train.steps",
            Sentence(
                "steps counts from the run's first step: it must be more than the {before} that were asked for; "
                "not {steps}. To train as much again, set it to {twice}.",
                before=before,
                steps=steps,
                twice=2 * before,
            ),
        )
    return assign(experiment, {"train.steps": steps, "train.epochs": 0})


def goes_on(experiment: Experiment, step: int) -> str:
    """How a run that is trained on from `step` goes on, in words: what its schedule does then."""
    train = experiment.train
    schedule = registry.SCHEDULES.get(train.schedule.name)
    then = schedule.factor(train.schedule.options, step, train.steps)
    if train.schedule.name == "constant" and then == 1:
        how = _("the learning rate stays as it is")
    else:
        how = Sentence(
            "the learning rate follows {schedule} as for a run of {steps:,} steps, which at step {step:,} "
            "makes {then:.3g} times the learning rate that is set",
            schedule=schedule.name,
            steps=train.steps,
            step=step + 1,
            then=then,
        )
    return Sentence("Trained on from step {step:,} to step {steps:,}: {how}.", step=step, steps=train.steps, how=how)


def _check_augmentation(experiment: Experiment, data: DataForm) -> None:
    chosen = [(registry.AUGMENTATIONS.get(c.name), c.options) for c in experiment.train.augmentation]
    place, name = "train.augmentation", experiment.data.name
    for entry, options in chosen:
        if data.kind not in entry.takes:
            needs = join((WORDS[kind] for kind in entry.takes), _(" or "))
            message = Sentence(
                "{entry} needs {needs}, but {name} gives {words}. Leave it out.",
                entry=entry.name,
                needs=needs,
                name=name,
                words=WORDS[data.kind],
            )
            raise SpecError(place, Sentence("The augmentation {message}", message=message))
        if data.task not in entry.tasks:
            message = Sentence(
                "{entry} mixes classes, but {name} asks for {tasks}. Leave it out.",
                entry=entry.name,
                name=name,
                tasks=TASKS[data.task],
            )
            raise SpecError(place, Sentence("The augmentation {message}", message=message))
        pixels = getattr(options, "shift_pixels", 0)
        if data.kind == PICTURE and pixels >= min(data.shape[1:]):
            side = min(data.shape[1:])
            message = Sentence(
                "shift_pixels = {pixels} moves pictures of {side} pixels out of sight; it must be below {side}.",
                pixels=pixels,
                side=side,
            )
            raise SpecError("train.shift_pixels", message)
    mixing = [entry.name for entry, _options in chosen if entry.mixes]
    if len(mixing) > 1:
        raise SpecError(
            place,
            Sentence(
                "The augmentations {mixing} both mix samples. Choose one of them.", mixing=join(mixing, _(" and "))
            ),
        )


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def data_form(data: DataSpec) -> DataForm:
    """What the data set gives, from its options alone."""
    form: DataForm = registry.DATASETS.get(data.name).form(data.options)
    return form


def described_form(question: Describe) -> DataForm:
    """The data set's form with the question's overrides; SpecError for one that no data can have."""
    form = data_form(question.data)
    if question.input:
        kind = {3: PICTURE, 2: SEQUENCE, 1: TOKENS if form.kind == TOKENS else VECTOR}.get(len(question.input))
        if kind is None or min(question.input) < 1:
            raise SpecError("input", _("input must be C,H,W for pictures, or T,F for sequences, all at least 1."))
        form = replace(form, kind=kind, shape=question.input)
    return replace(form, classes=question.classes) if question.classes else form


def unserved(model: ModelSpec, data: DataForm) -> Problem | None:
    """Why the model's architecture cannot make layers for this data; None where it can, or lists its own."""
    if model.layers:  # whose architecture may have no name: nobody asks it
        return None
    entry: Architecture = registry.ARCHITECTURES.get(model.architecture)
    if data.kind in entry.takes and data.task in entry.tasks:
        return None
    fits = [a.name for a in registry.ARCHITECTURES if data.kind in a.takes and data.task in a.tasks]
    fix = Sentence("choose {fits} for this data", fits=fits)
    if data.kind not in entry.takes:
        needs = join((WORDS[kind] for kind in entry.takes), _(" or "))
        message = Sentence(
            "{entry} needs {needs}, but gets {kind} of {sizes}",
            entry=entry.name,
            needs=needs,
            kind=WORDS[data.kind],
            sizes=data.words(),
        )
        return Problem("input", message, fix)
    gives = join((TASKS[task] for task in entry.tasks), _(" or "))
    return Problem(
        "input",
        Sentence(
            "{entry} gives {gives}, but the data asks for {tasks}",
            entry=entry.name,
            gives=gives,
            tasks=TASKS[data.task],
        ),
        fix,
    )


def layers_for(model: ModelSpec, data: DataForm) -> tuple[LayerSpec, ...]:
    """The model's own layers, or those that its architecture makes for data that it can serve (see `unserved`)."""
    made: tuple[LayerSpec, ...] = model.layers or registry.ARCHITECTURES.get(model.architecture).layers(
        model.options, data
    )
    return made


# ── questions about why ──────────────────────────────────────────────────────────────────────────────────────────────


def check_seed(seed: int) -> None:
    """SpecError for a seed that one of the random generators does not take."""
    if not 0 <= seed <= LAST_SEED:
        raise SpecError(
            "seed",
            Sentence(
                "seed = {seed} is out of range: it must be between 0 and {last_seed:,}.",
                seed=shown(seed),
                last_seed=LAST_SEED,
            ),
        )


def check_target(text: str, task: str, classes: int, steps: int) -> None:
    """SpecError where `text` (see core.spec.questions.Explain) can be no target of answers like these.

    steps: of an answer at every step. What hangs on the sample ("true-3" where 3 is the truth) is not known here.
    """
    if task == NUMBER:
        if text not in (PREDICTED, TRUE):
            raise SpecError(
                "target",
                Sentence(
                    "target {text}: this run answers one number, which has no classes to choose from; leave the "
                    "target out.",
                    text=shown(text),
                ),
            )
        return
    which, _at, where = text.partition("@")
    if where and task != EACH_STEP:
        raise SpecError(
            "target",
            Sentence(
                "target {text}: this run answers once, not at every step; leave the @ and what follows it out.",
                text=shown(text),
            ),
        )
    if where and not _below(where, steps):
        raise SpecError(
            "target",
            Sentence(
                "@{where} is no step of the answer: there are 0 to {steps}.", where=quoted(where), steps=steps - 1
            ),
        )
    for part in which.split("-", 1):
        if part not in (PREDICTED, TRUE) and not _below(part, classes):
            raise SpecError(
                "target",
                Sentence(
                    "target {which} is no class: there are 0 to {classes}, a difference such as 0-1, or say "
                    "predicted or true.",
                    which=shown(which),
                    classes=classes - 1,
                ),
            )


def _below(text: str, count: int) -> bool:
    """Is it a whole number from 0 on, below count?"""
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count
