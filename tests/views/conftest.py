"""Small trained runs without an engine, and the questions that are asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import registry, specs
from core.events import Event
from core.options import declared
from core.questions import Look, Seen
from core.store import Run, Store
from core.subject import Subject, subject_of
from core.training import Training
from core.worker import look

Trained = Callable[..., Run]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """trained(preset, data, steps, **{"model.width": 8, …}) → a run with snapshots and rows. Each is trained once."""
    store = Store(tmp_path_factory.mktemp("runs"))
    made: dict[Any, Run] = {}

    def run(preset: str = "cnn", data: str = "digits", steps: int = 20, **changes: Any) -> Run:
        key = (preset, data, steps, *sorted(changes.items()))
        if key not in made:
            experiment = specs.assign(specs.preset(preset, data), {"train.steps": steps, **changes})
            made[key] = train(store, experiment)
        return made[key]

    yield run


def train(store: Store, experiment: specs.Experiment) -> Run:
    """Train in this process and keep what a worker would keep: rows and snapshots."""
    run = store.create(experiment)
    rows = run.log()
    training = Training(experiment)
    for happened in training:
        rows.append([one for one in happened if isinstance(one, Event)])
        for one in happened:
            if not isinstance(one, Event):
                run.save_snapshot(one)
    rows.close()
    return run


def question(run: Run, view: str, **fields: Any) -> Look:
    """A Look whose options are given by name among the fields."""
    cls = registry.VIEWS.get(view).options
    known = {name for name in fields if name in declared(cls)}
    options = specs.options_of(cls, {name: fields.pop(name) for name in known})
    return Look(run.id, view, options=options, runs=str(run.path.parent), **fields)


def ask(run: Run, view: str, **fields: Any) -> Seen:
    """The view, as a worker answers."""
    return look(question(run, view, **fields), lambda _fraction, _words, _part=None: None)


def subject(run: Run, view: str, **fields: Any) -> Subject:
    """What the view would look at."""
    return subject_of(question(run, view, **fields))
