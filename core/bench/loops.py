"""The loops that are compared: written by hand, a run as the engine carries it, and our trainer on foreign modules."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from core.bench.turns import Clock, Stopwatch, advance
from core.catalog.entries import CLASSES, EACH_STEP, DataForm
from core.engine.wire import hear, say
from core.spec import registry
from core.spec.events import Command
from core.spec.specs import Experiment, ModelSpec, assign, preset
from core.store import Store
from core.worker.data.splits import Splits
from core.worker.model.build import Network, build, data_form
from core.worker.session import RunSession, keep_freed_memory
from core.worker.train.training import Training, make_optimizer

EAGER_SECONDS = 4.0  # in which a run that begins looks more often than its budgets allow, to be seen to begin
ENDLESS = {"train.steps": 1_000_000, "train.epochs": 0}


# ── our trainer beside a loop written by hand ────────────────────────────────────────────────────────────────────────


def experiment_of(case: str) -> Experiment:
    """What is trained: the preset as it stands, on digits, endlessly."""
    return assign(preset(case, "digits"), ENDLESS)


def network_of(experiment: Experiment, device: torch.device) -> Network:
    """The network that a run of the experiment begins with."""
    network = build(experiment.model, data_form(experiment.data), experiment.train.seed).to(device)
    if any(isinstance(module, nn.Conv2d) for module in network.modules()):
        network = network.to(memory_format=torch.channels_last)
    return network.train()


def bare(network: Network, experiment: Experiment, splits: Splits) -> Iterator[None]:
    """The shortest loop that trains the same: same module, optimizer, clipping and batches; no schedule, no rows."""
    spec = experiment.train
    optimizer, parameters = make_optimizer(spec, network), list(network.parameters())
    (x_all, y_all), size = splits.train, spec.batch_size
    shuffle = torch.Generator().manual_seed(spec.seed)
    while True:
        order = torch.randperm(len(x_all), generator=shuffle).to(x_all.device)
        for start in range(0, len(x_all) - size + 1, size):
            index = order[start : start + size]
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(network(x_all.index_select(0, index)), y_all.index_select(0, index))
            loss.backward()
            if spec.clip_norm:
                torch.nn.utils.clip_grad_norm_(parameters, spec.clip_norm, foreach=True)
            optimizer.step()
            yield


class Session:
    """A run as its worker carries it: rows, snapshots and checkpoints into a store, commands and reports by a pipe."""

    def __init__(self, store: Store, experiment: Experiment, *, watched: bool) -> None:
        run = store.create(experiment, threads=1)
        self._ours, theirs = multiprocessing.Pipe()
        self._watch = Stopwatch()
        session = RunSession(run, theirs, self._watch)
        session.begin()
        self._steps = session.go()
        if watched:
            say(self._ours, Command("watch", {"sample": 0, "layer": ""}))
        while self._watch() < EAGER_SECONDS:
            advance(self._steps, 1)
        self._watch.stop()

    def __call__(self, steps: int) -> None:
        """Make so many steps."""
        self._watch.go()
        advance(self._steps, steps)
        self._watch.stop()
        while self._ours.poll():
            hear(self._ours)


# ── our trainer as a peer ────────────────────────────────────────────────────────────────────────────────────────────


class Case(Protocol):
    """What a peer is told of a case."""

    lr: float


class Meter(Protocol):
    """Counts steps."""

    def tick(self) -> bool:
        """One step was made; True: stop."""


Batch = tuple[Tensor, Tensor]


class _Fed(Training):
    """The trainer on somebody else's module and batches."""

    def __init__(self, module: nn.Module, batches: Iterable[Any], lr: float, clock: Clock) -> None:
        self._module, self._source = module, _endless(batches)
        first = next(self._source)
        experiment = assign(
            preset("mlp", "digits"),
            {
                **ENDLESS,
                "train.optimizer": "adamw",
                "train.lr": lr,
                "train.weight_decay": 0.01,  # torch's default
                "train.batch_size": len(first[0]),
            },
        )
        splits = Splits(first, first, first, np.zeros((0, 0, 0), np.uint8), ())
        super().__init__(experiment, splits, device=str(first[0].device), clock=clock)
        self.task = EACH_STEP if first[1].dim() > 1 else CLASSES

    def _made(self) -> Network:
        return cast(Network, self._module)

    def _given(self) -> Batch:
        return next(self._source)


def _endless(batches: Iterable[Any]) -> Iterator[Batch]:
    while True:
        yield from batches


def peer(case: Case, module: nn.Module, data: Iterable[Any], meter: Meter, clock: Clock = time.perf_counter) -> None:
    """Our trainer's own loop on `module` and batches (x, y) of `data`, until `meter.tick()` says True.

    `clock` gives the seconds by which its instruments keep to their budgets; it stands still in the turns of others.
    """
    keep_freed_memory()  # as every run's worker does
    steps = iter(_Fed(module, data, case.lr, clock))
    next(steps)  # the weights before the first step
    for _happened in steps:
        if meter.tick():
            return


# ── what peers train ─────────────────────────────────────────────────────────────────────────────────────────────────


class PeerCase:
    """A module and synthetic data, the same for every peer: speed does not depend on the pictures."""

    batch_size = 128
    samples = 4096

    def __init__(self, name: str, model: ModelSpec, form: DataForm, lr: float = 1e-3) -> None:
        self.name, self.lr = name, lr
        self._model, self._form = model, form

    def module(self) -> nn.Module:
        """A fresh module, contiguous, in training mode."""
        return build(self._model, self._form).train()

    def batches(self, device: torch.device) -> Batches:
        """The data, resident on the device."""
        drawn = torch.Generator().manual_seed(0)
        x = torch.randn((self.samples, *self._form.shape), generator=drawn)
        y = torch.randint(0, self._form.classes, (self.samples,), generator=drawn)
        return Batches(x.to(device), y.to(device), self.batch_size)


class Batches:
    """Resident tensors: one permutation an epoch, one index a batch."""

    def __init__(self, x: Tensor, y: Tensor, size: int) -> None:
        self.x, self.y, self.size = x, y, size

    def __len__(self) -> int:
        return len(self.x) // self.size

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.x)).to(self.x.device)
        for i in range(len(self)):
            index = order[i * self.size : (i + 1) * self.size]
            yield self.x[index], self.y[index]


def peer_case(name: str) -> PeerCase:
    """mlp 784-64-10; cnn28, 56,554 parameters: three times conv, norm, relu, pool; resnet20 on [3, 32, 32]."""
    made = preset("resnet20" if name == "resnet20" else name.removesuffix("28"), "digits")
    if name == "cnn28":
        made = assign(made, {"model.channels": "32,64,64", "model.head": "global_pool"})
        return PeerCase(name, made.model, data_form(made.data))
    if name == "resnet20":
        return PeerCase(name, made.model, registry.ARCHITECTURES.get(name).example_data)
    return PeerCase(name, made.model, data_form(made.data))
