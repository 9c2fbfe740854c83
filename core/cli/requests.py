"""What look, explain, score and describe ask, checked before anything heavy is loaded: a mistake is told at once."""

from __future__ import annotations

import argparse
from typing import Any

from core.catalog.applies import check_seed, check_target, data_form, described_form, layers_for
from core.catalog.entries import EACH_STEP, DataForm, View
from core.catalog.trials import MOST_SEEDS, trials_of, within
from core.cli.output import Mistake, pair, runs_folder, writable
from core.spec import registry, specs
from core.spec.options import declared
from core.spec.questions import MOST_SPREAD, NEWEST, NO_WEIGHTS, Describe, Explain, Fits, Look, Score
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.spec.specs import Choice, Experiment
from core.store import Run, Store, data_home


def view_asked(asked: argparse.Namespace) -> tuple[View, Look]:
    """The view and the question for it."""
    view: View = registry.VIEWS.get(asked.view)
    changes = _changes(asked)
    if asked.prompt is not None:
        if "prompt" not in declared(view.options):
            raise Mistake(Sentence("--prompt is the start text of the view writing; {view} takes none", view=view.name))
        changes["prompt"] = asked.prompt
    options = specs.options_of(view.options, changes)
    run = _with_weights(asked, "out")
    form, experiment = _form(run)
    if not view.applies(layers_for(experiment.model, form), form):
        raise Mistake(view.needs)
    return view, Look(run.id, view.name, asked.sample, asked.layer, _step(asked), options, data_dir=_data_dir(asked))


def fits_asked(asked: argparse.Namespace) -> Fits:
    """Which methods are right for the run."""
    run = _with_weights(asked, "out", "script")
    return Fits(run.id, _step(asked), data_dir=_data_dir(asked))


def explanation_asked(asked: argparse.Namespace) -> Explain:
    """The question for one method."""
    method = registry.METHODS.get(asked.method)
    choice = Choice(method.name, specs.options_of(method.options, _changes(asked)))
    if asked.seeds != 1:
        within("seeds", asked.seeds, MOST_SPREAD)
    check_seed(asked.seed)
    check_seed(asked.seed + asked.seeds - 1)
    run = _with_weights(asked, "out", "script")
    form, _experiment = _form(run)
    steps = form.shape[0] if form.task == EACH_STEP else 0
    check_target(asked.target, form.task, form.classes, steps)
    return Explain(
        run=run.id,
        methods=(choice,),
        sample=asked.sample,
        target=asked.target,
        layer=asked.layer,
        step=_step(asked),
        seed=asked.seed,
        data_dir=_data_dir(asked),
        spread=(method.name,) if asked.seeds > 1 else (),
        seeds=max(2, asked.seeds),
    )


def score_asked(asked: argparse.Namespace) -> Score:
    """The scoreboard that is wanted."""
    _ends_as_it_should(asked, "out", ".csv")
    if asked.seeds is not None and asked.seeds < 1:
        raise Mistake(
            Sentence("--seeds {seeds} should be at least 1; leave it out for the usual number", seeds=asked.seeds)
        )
    if asked.seeds is not None:
        within("seeds", asked.seeds, MOST_SEEDS)
    data = tuple(asked.data)
    trials_of(data)
    writable(asked.out)
    run = _with_weights(asked) if asked.run is not None else None
    return Score(asked.quick, asked.seeds or 0, data, run=run.id if run else "", data_dir=_data_dir(asked))


def description_asked(asked: argparse.Namespace, made: Experiment) -> Describe:
    """The model, and the shape and classes that it is described for."""
    shape = _shape(asked.input) if asked.input is not None else ()
    if not asked.data and not shape and not made.model.layers:  # a preset alone: what it was made for
        shape = registry.ARCHITECTURES.get(made.model.architecture).example_data.shape
    question = Describe(made.model, made.data, made.train.batch_size, shape, asked.classes or 0)
    described_form(question)
    return question


def _changes(asked: argparse.Namespace) -> dict[str, Any]:
    return dict(pair(one) for group in asked.set for one in group)


def _data_dir(asked: argparse.Namespace) -> str:
    """Where a run that does not say itself has its data, if not where the engine looks."""
    return str(data_home().resolve()) if asked.data_dir else ""


def _step(asked: argparse.Namespace) -> int:
    return NEWEST if asked.step is None else int(asked.step)


def _with_weights(asked: argparse.Namespace, *files: str) -> Run:
    """The run that is asked about, which keeps weights; the files to write have sound names and places."""
    for flag in files:
        _ends_as_it_should(asked, flag, {"out": ".npz", "script": ".py"}[flag])
    run = Store(runs_folder(asked)).run(asked.run)
    run.experiment()
    writable(*(getattr(asked, flag) for flag in files))
    if not run.moments():
        raise Mistake(NO_WEIGHTS)
    return run


def _form(run: Run) -> tuple[DataForm, Experiment]:
    experiment = run.experiment()
    return data_form(experiment.data), experiment


def _ends_as_it_should(asked: argparse.Namespace, flag: str, ending: str) -> None:
    name = getattr(asked, flag)
    if name is not None and not name.endswith(ending):
        raise Mistake(
            Sentence("--{flag} {name} should end with {ending}", flag=flag, name=quoted(name, 200), ending=ending)
        )


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        wanted = _("whole numbers with commas between them, such as 3,32,32")
        raise Mistake(Sentence("--input {text} should be {wanted}", text=quoted(text), wanted=wanted)) from None
