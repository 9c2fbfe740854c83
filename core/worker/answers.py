"""One function for each question that is asked of a worker."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch

from core.catalog.entries import View
from core.engine.live import encode_frame
from core.spec import registry
from core.spec.options import SpecError
from core.spec.question_base import Question
from core.spec.questions import (
    DataPreview,
    Describe,
    Description,
    Doctor,
    Explain,
    Explained,
    Fits,
    Look,
    MethodFit,
    Preview,
    Refresh,
    Reproduce,
    Reproduction,
    Score,
    Scored,
    Seen,
    Sound,
    StartText,
)
from core.spec.sentences import Sentence
from core.spec.specs import DataSpec, Experiment, preset
from core.store import Store, data_home
from core.store.scores import keep_scores, making_scores
from core.worker.data import preview as data_sets
from core.worker.data.splits import DataError, Splits
from core.worker.look.subject import subject_of
from core.worker.model import build as models
from core.worker.train.frames import make_frame
from core.worker.train.training import load_data

Send = Callable[..., None]
A = TypeVar("A")
THREADS = torch.get_num_threads()  # what torch would take; a question takes one


def prepare() -> None:
    """For a process that will answer questions and has nothing to do yet: what the first explanation would wait for.

    Not imported with this module: the first run of a server that has just begun would wait for it, too.
    """
    import captum.attr  # noqa: F401


def answer(question: Question[A], send: Send) -> A:
    """Answer one question by the function that its class names; `send(fraction, words, part=None)` tells how far it is.

    SpecError where it is no question; whatever else the function raises.
    """
    if not isinstance(question, Question):
        raise SpecError(
            "question", Sentence("{name} is no question that a worker knows.", name=type(question).__name__)
        )
    torch.set_num_threads(1)  # the cores are for the runs that train
    made: A = registry.load(question.handler)(question, send)
    return made


def describe(question: Describe, _send: Send) -> Description:
    """See Describe."""
    return models.describe(question)


def preview(question: Preview, send: Send) -> DataPreview:
    """See Preview."""
    return data_sets.preview(question, send)


def sound(question: Sound, _send: Send) -> str:
    """See Sound."""
    return data_sets.fault(question)


def start_text(question: StartText, _send: Send) -> str:
    """See StartText."""
    from core.worker.train.generate import start_of

    try:
        start_of(_splits(question.data, question.folder or str(data_home())), question.text)
    except DataError as error:
        return str(error)
    return ""


def look(question: Look, send: Send) -> Seen[Any]:
    """One view of a run, by the view's heavy half."""
    view: View = registry.VIEWS.get(question.view)
    options = question.options if isinstance(question.options, view.options) else view.options()
    subject = subject_of(question)
    seen: Seen[Any] = registry.load(view.look)(subject, options, send)
    return seen


# Captum takes a second to import: only those who ask why wait for it.


def explain(question: Explain, send: Send) -> tuple[Explained, ...]:
    """See Explain."""
    from core.worker.explain.questions import explain

    return explain(question, send)


def reproduce(question: Reproduce, send: Send) -> Reproduction:
    """See Reproduce."""
    from core.worker.explain.script import reproduction

    return reproduction(question.asked, send)


def fits(question: Fits, _send: Send) -> tuple[MethodFit, ...]:
    """See Fits."""
    from core.worker.explain.questions import fits

    return fits(question)


def score(question: Score, send: Send) -> Scored:
    """The scoreboard; one of everything is kept for the page."""
    from core.worker.explain.scoreboard.score import score

    if question.data or question.methods or question.run:
        return score(question, send)
    with making_scores():
        made = score(question, send)
        keep_scores(made)
    return made


def refresh(question: Refresh, _send: Send) -> None:
    """See Refresh."""
    run = Store(question.runs).run(question.run)
    experiment, step = run.experiment(), run.newest()
    if step is None:
        return
    form = models.data_form(experiment.data)
    network = models.build(experiment.model, form).eval()
    models.load_state(network, run.weights(step))
    folder = (
        run.about().get("data_dir") or question.data_dir or str(data_home())
    )  # where the run itself has its data from
    layers, splits = models.layers_of(experiment.model, form), _splits(experiment.data, folder)
    frame = make_frame(network, layers, splits, step, question.sample, question.layer)
    run.write_frame(encode_frame(frame))


@lru_cache(maxsize=2)
def _splits(data: DataSpec, folder: str) -> Splits:
    sample = preset("cnn", data.name)
    return load_data(Experiment(data, sample.model, sample.train), Path(folder))


def doctor(_question: Doctor, _send: Send) -> dict[str, Any]:
    """See Doctor."""
    devices = [
        {"name": "cpu", "detail": Sentence("{threads} threads, {machine}", threads=THREADS, machine=platform.machine())}
    ]
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        devices.append({"name": f"cuda:{i}", "detail": f"{about.name}, {about.total_memory / 2**30:.0f} GiB"})
    import torchvision  # only who asks waits for it

    versions = {"python": sys.version.split()[0], "torch": str(torch.__version__)}
    versions["torchvision"] = torchvision.__version__
    return {"devices": devices, "versions": versions}
