"""One function for each question that is asked of a worker."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from core.catalog.entries import View
from core.engine.live import encode_frame
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import (
    Answer,
    Describe,
    Doctor,
    Explain,
    Fits,
    Look,
    Preview,
    Question,
    Refresh,
    Reproduce,
    Score,
    Scored,
    Seen,
    Sound,
)
from core.spec.specs import DataSpec, Experiment, preset
from core.store import Store, data_home
from core.store.scores import keep_scores, making_scores
from core.worker.data.preview import fault, preview
from core.worker.data.splits import Splits
from core.worker.look.subject import subject_of
from core.worker.model.build import build, data_form, describe, layers_of, load_state
from core.worker.train.frames import make_frame
from core.worker.train.training import load_data

Send = Callable[..., None]


def prepare() -> None:
    """For a process that will answer questions and has nothing to do yet: what the first explanation would wait for.

    Not imported with this module: the first run of a server that has just begun would wait for it, too.
    """
    import captum.attr  # noqa: F401


def answer(question: Question, send: Send) -> Answer:
    """Answer one question; `send(fraction, words, part=None)` hears of progress."""
    if isinstance(question, Describe):
        return describe(question)
    if isinstance(question, Refresh):
        _refresh(question)
        return None
    if isinstance(question, Preview | Sound):
        return preview(question, send) if isinstance(question, Preview) else fault(question)
    if isinstance(question, Look):
        return look(question, send)
    if isinstance(question, Explain | Reproduce | Fits | Score):
        return why(question, send)
    if isinstance(question, Doctor):
        return _doctor()
    raise SpecError("question", f"{type(question).__name__} is no question that a worker knows.")


def look(question: Look, send: Send) -> Seen:
    """One view of a run, by the view's heavy half."""
    torch.set_num_threads(1)
    view: View = registry.VIEWS.get(question.view)
    options = question.options if isinstance(question.options, view.options) else view.options()
    subject = subject_of(question)
    seen: Seen = registry.load(view.look)(subject, options, send)
    return replace(seen, facts={**subject.answer(), **seen.facts}) if view.of_sample else seen


def why(question: Explain | Reproduce | Fits | Score, send: Send) -> Answer:
    """Why a run's network answers as it does, a program that says so again, which methods could say so, how well."""
    from core.worker import explain as room  # Captum takes a second to import: only those who ask wait for it

    torch.set_num_threads(1)
    if isinstance(question, Score):
        return score(question, send)
    if isinstance(question, Reproduce):
        return room.reproduction(question.asked, send)
    return room.explain(question, send) if isinstance(question, Explain) else room.fits(question)


def score(question: Score, send: Send) -> Scored:
    """The scoreboard; one of everything is kept for the page."""
    from core.worker.explain.scoreboard.score import score as scored

    torch.set_num_threads(1)
    if question.data or question.methods or question.run:
        return scored(question, send)
    with making_scores():
        made = scored(question, send)
        keep_scores(made)
    return made


def _refresh(question: Refresh) -> None:
    run = Store(question.runs).run(question.run)
    experiment, step = run.experiment(), run.newest()
    if step is None:
        return
    torch.set_num_threads(1)
    network = build(experiment.model, data_form(experiment.data)).eval()
    load_state(network, run.weights(step))
    folder = run.about().get("data_dir") or str(data_home())  # where the run itself has its data from
    layers, splits = layers_of(experiment.model, data_form(experiment.data)), _splits(experiment.data, folder)
    frame = make_frame(network, layers, splits, step, question.sample, question.layer)
    run.write_frame(encode_frame(frame))


@lru_cache(maxsize=2)
def _splits(data: DataSpec, folder: str) -> Splits:
    sample = preset("cnn", data.name)
    return load_data(Experiment(data, sample.model, sample.train), Path(folder))


def _doctor() -> dict[str, Any]:
    devices = [{"name": "cpu", "detail": f"{torch.get_num_threads()} threads, {platform.machine()}"}]
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        devices.append({"name": f"cuda:{i}", "detail": f"{about.name}, {about.total_memory / 2**30:.0f} GiB"})
    import torchvision  # only who asks waits for it

    versions = {"python": sys.version.split()[0], "torch": str(torch.__version__)}
    versions["torchvision"] = torchvision.__version__
    return {"devices": devices, "versions": versions}
