"""The questions that are asked of small trained runs, answered as a worker answers them."""

from __future__ import annotations

from typing import Any

from core.spec import registry, specs
from core.spec.options import declared
from core.spec.questions import Look, Seen
from core.store import Run
from core.worker.answers import look
from core.worker.look.subject import Subject, subject_of


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
