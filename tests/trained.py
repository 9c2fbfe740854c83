"""Small trained runs without an engine. Each is trained once, however many files and pytest processes ask for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
from safetensors.torch import load_file, save_file

from core.engine import wire
from core.spec import specs
from core.spec.events import Event
from core.spec.questions import Score, Scored
from core.store import Run, Store
from core.worker.explain.scoreboard import score
from core.worker.train.training import Training

Trained = Callable[..., Run]


class TrainedRuns:
    """runs(preset, data, steps, **{"model.width": 8, …}) → a run with snapshots and rows. Look at it, never change it.

    folder: where the runs stand, for all pytest processes of this session.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._store = Store(folder / "runs")

    def __call__(self, preset: str = "cnn", data: str = "digits", steps: int = 20, **changes: Any) -> Run:
        experiment = specs.assign(specs.preset(preset, data), {"train.steps": steps, **changes})
        known = self._folder / specs.content_id(experiment)
        with filelock.FileLock(f"{known}.lock"):  # whoever comes second waits for the run instead of training it again
            if not known.exists():
                known.write_text(train(self._store, experiment).id)
            return self._store.run(known.read_text())


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


def copied(run: Run, store: Store) -> Run:
    """A run of another store's own, with the same rows and snapshots: it may be changed."""
    copy = store.create(run.experiment())
    shutil.copytree(run.path, copy.path, ignore=shutil.ignore_patterns("about.json", "status.json"), dirs_exist_ok=True)
    return copy


def scored_once(folder: Path, question: Score) -> Scored:
    """The scoreboard of a question, made once for all pytest processes of this session."""
    known = folder / f"{specs.content_id(question)}.scored"
    with filelock.FileLock(f"{known}.lock"):
        if not known.exists():
            known.write_bytes(wire.dumps(score.score(question, lambda *_told: None)))
        found: Scored = wire.loads(known.read_bytes())
        return found


class TrainedOnce(Training):
    """A Training whose end is kept in `folder`: the second one with the same experiment loads the weights instead."""

    folder: Path

    def __iter__(self) -> Iterator[Any]:
        known = self.folder / f"{specs.content_id(self.experiment)}.safetensors"
        with filelock.FileLock(f"{known}.lock"):
            if known.exists():
                self.network.load_state_dict(load_file(known))
                self.step = self.experiment.train.steps
                yield ()
                return
            yield from super().__iter__()
            save_file({name: value.contiguous() for name, value in self.network.state_dict().items()}, known)
