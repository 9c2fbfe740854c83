"""Other trainers, each on the same module and batches with AdamW at torch's defaults, until `meter.tick()` says True.

Every function imports its package itself; `installed()` tells which can run here.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.bench.loops import Batches, Case, Meter
from core.worker.train.training import cross_entropy

Peer = Callable[[Case, nn.Module, Batches, Meter], None]
FOREVER = 10**6  # epochs


def plain(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """A loop as tutorials write it: torch's AdamW as it comes, nothing set."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=case.lr)
    while True:
        for x, y in data:
            optimizer.zero_grad()
            cross_entropy(module(x), y).backward()
            optimizer.step()
            if meter.tick():
                return


def lightning(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """Lightning without logger, checkpoints and bar."""
    package = importlib.import_module("lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Lit(package.LightningModule):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def training_step(self, batch: Any, _index: int) -> Tensor:
            return cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.net.parameters(), lr=case.lr)

    class Stop(package.Callback):  # type: ignore[name-defined]
        def on_train_batch_end(self, trainer: Any, *_rest: Any) -> None:
            if meter.tick():
                trainer.should_stop = True

    trainer = package.Trainer(
        max_epochs=FOREVER,
        min_epochs=0,
        accelerator="gpu" if data.x.is_cuda else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[Stop()],
    )
    trainer.fit(Lit(), data)


def ignite(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """Ignite's supervised trainer."""
    engine = importlib.import_module("ignite.engine")
    optimizer = torch.optim.AdamW(module.parameters(), lr=case.lr)
    trainer = engine.create_supervised_trainer(module, optimizer, cross_entropy)

    def count(one: Any) -> None:
        if meter.tick():
            one.terminate()

    trainer.add_event_handler(engine.Events.ITERATION_COMPLETED, count)
    trainer.run(data, max_epochs=FOREVER)


class _Done(Exception):
    """Leaves a loop that has no other way out."""


def skorch(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """skorch's NeuralNet, fed with our batches."""
    package = importlib.import_module("skorch")

    class Loss(nn.Module):
        def forward(self, logits: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(logits, y)

    class Given:
        def __init__(self, _dataset: Any, **_options: Any) -> None:
            pass

        def __iter__(self) -> Iterator[Any]:
            return iter(data)

        def __len__(self) -> int:
            return len(data)

    class Stop(package.callbacks.Callback):  # type: ignore[name-defined]
        def on_batch_end(self, _net: Any, training: bool = False, **_rest: Any) -> None:
            if training and meter.tick():
                raise _Done

    class Net(package.NeuralNet):  # type: ignore[name-defined]
        def get_dataset(self, samples: Any, _y: Any = None) -> Any:
            return samples

    net = Net(
        module,
        criterion=Loss,
        optimizer=torch.optim.AdamW,
        lr=case.lr,
        max_epochs=FOREVER,
        verbose=0,
        train_split=None,
        iterator_train=Given,
        callbacks=[("stop", Stop())],
        device=str(data.x.device),
    )
    net.initialize()
    try:
        net.partial_fit(data, None)
    except _Done:
        return


def fastai(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """fastai's Learner with torch's AdamW."""
    core = importlib.import_module("fastai.callback.core")
    learner = importlib.import_module("fastai.learner")
    loaders = importlib.import_module("fastai.data.core").DataLoaders(data, data, device=data.x.device)
    wrapper = importlib.import_module("fastai.optimizer").OptimWrapper

    class Stop(core.Callback):  # type: ignore[name-defined]
        def after_batch(self) -> None:
            if self.training and meter.tick():
                raise core.CancelFitException

    adamw = partial(wrapper, opt=torch.optim.AdamW)
    learn = learner.Learner(loaders, module, loss_func=cross_entropy, opt_func=adamw, lr=case.lr, cbs=[Stop()])
    with learn.no_logging():
        learn.fit(FOREVER)


def accelerate(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """A loop by hand around Accelerate."""
    accelerator = importlib.import_module("accelerate").Accelerator(cpu=not data.x.is_cuda)
    module, optimizer = accelerator.prepare(module, torch.optim.AdamW(module.parameters(), lr=case.lr))
    while True:
        for x, y in data:
            optimizer.zero_grad()
            accelerator.backward(cross_entropy(module(x), y))
            optimizer.step()
            if meter.tick():
                return


def keras(case: Case, module: nn.Module, data: Batches, meter: Meter) -> None:
    """Keras 3 on torch; the module goes in through TorchModuleWrapper."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    package = importlib.import_module("keras")
    net = package.Sequential([package.layers.TorchModuleWrapper(module)])
    net.compile(optimizer=package.optimizers.AdamW(case.lr), loss=lambda y, logits: cross_entropy(logits, y.long()))

    class Stop(package.callbacks.Callback):  # type: ignore[name-defined]
        def on_train_batch_end(self, _batch: int, logs: Any = None) -> None:
            if meter.tick():
                raise _Done

    def forever() -> Iterator[Any]:
        while True:
            yield from data

    try:
        net.fit(forever(), epochs=1, steps_per_epoch=10**7, verbose=0, callbacks=[Stop()])
    except _Done:
        return


PEERS: dict[str, Peer] = {f.__name__: f for f in (lightning, keras, fastai, skorch, ignite, accelerate)}


def installed() -> list[str]:
    """The peers whose packages are here."""
    return [name for name in PEERS if importlib.util.find_spec(name) is not None]
