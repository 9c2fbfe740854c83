"""Experiment → what happens while it is trained. It knows no watcher, no file and no process.

    training = Training(experiment)
    for happened in training:          # one item a step: a tuple of Events and Snapshots, mostly empty
        …                              # pause by not going on; stop by leaving the loop
    training.checkpoint()              # at any moment between two steps

Looking costs time, so every instrument has a budget: its share of the training time (see Budget).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog import loss_floor
from core.catalog.applies import check_experiment
from core.catalog.entries import NUMBER
from core.spec import registry
from core.spec.events import Event, Frame, Snapshot
from core.spec.options import SpecError, coerce, declared
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Choice, Experiment, TrainSpec
from core.store import Checkpoint, data_home
from core.worker.data.splits import Report, Splits
from core.worker.model.build import Network, build, data_form, layers_of, load_state, state_arrays
from core.worker.model.modules import initialisation, precision
from core.worker.model.trace import first_non_finite, looking
from core.worker.train import checkpointing
from core.worker.train.augment import augment_of, replace_labels
from core.worker.train.budget import Budget, Movement, memory_in_use
from core.worker.train.frames import make_frame
from core.worker.train.losses import Losses
from core.worker.train.objective import Tally, answered, loss_of, verdict
from core.worker.train.objective import cross_entropy as cross_entropy
from core.worker.train.probes import ThroughTime
from core.worker.train.step import Recorded, Work, passes, recordable, step_of
from core.worker.train.stopping import Best, EarlyStopping, judge_of

Happened = tuple[Event | Snapshot, ...]

EARLY = frozenset((1, 2, 4, 8, 16, 32, 64))  # steps whose weights are kept whatever it costs: most happens there
EVALUATED = 1024  # samples at once, at most
VALIDATION_SAMPLES = 192  # of the validation set, for the curve while training; the whole set is used at the end
CURVE_POINTS, LOOKS = 12, 24  # validation points and readings of the gradients that every run has, however short
FLUSH_SECONDS = 0.25  # how often losses are handed over, and …
WATCHED_FLUSH_SECONDS = 0.05  # … while somebody watches
GLANCE_SECONDS = 0.4  # what a watcher finds stands this long: of a new run, the answers of a network that knows nothing


class Diverged(Exception):
    """The loss stopped being a finite number; the text says where, and what to try."""

    def __init__(self, step: int, layer: str, words: str) -> None:
        super().__init__(words)
        self.step, self.layer = step, layer


def load_data(experiment: Experiment, folder: Path | None = None, report: Report | None = None) -> Splits:
    """The experiment's data, split; `report(fraction, words)` hears of downloads. DataError in words."""
    entry = registry.DATASETS.get(experiment.data.name)
    load = registry.load(entry.load)
    quiet: Report = lambda _fraction, _words: None  # noqa: E731
    splits: Splits = load(experiment.data.options, experiment.data.seed, folder or data_home(), report or quiet)
    return splits


class Training:
    """One run of one experiment. Iterate it; between two items it can be steered, looked at and checkpointed."""

    def __init__(
        self,
        experiment: Experiment,
        splits: Splits | None = None,
        *,
        device: str = "",
        folder: Path | None = None,
        checkpoint: Checkpoint | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock` gives seconds; the budgets of the instruments and the readings of speed go by it."""
        check_experiment(experiment)
        self.experiment, spec = experiment, experiment.train
        self.clock = clock
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        form = data_form(experiment.data)
        self.task = form.task
        self.splits = (splits or load_data(experiment, folder)).to(self.device)
        if spec.label_noise:
            x, y = self.splits.train
            noisy = replace_labels(y, form.classes, spec.label_noise, spec.seed)
            self.splits = replace(self.splits, train=(x, noisy))
        self.layers = layers_of(experiment.model, form)
        random.seed(spec.seed)  # what anything might draw from; build seeds torch's generator
        np.random.seed(spec.seed)  # noqa: NPY002
        self.network = self._made()
        if spec.initialisation != "default":
            initialisation.start(self.network, spec.initialisation, spec.init_gain, spec.seed)
        self.network = self.network.to(self.device)
        if any(isinstance(m, torch.nn.Conv2d) for m in self.network.modules()):
            self.network = self.network.to(memory_format=torch.channels_last)
        self.network.train()
        self._begin_learning(spec)
        schedule = registry.SCHEDULES.get(spec.schedule.name)
        self._factor = schedule.factor
        kept = checkpoint.meta.get("precision") if checkpoint else None
        self.precision = kept or precision.chosen(spec.precision, self.network, self.device)
        self._augment = augment_of(spec.augmentation, self.splits, form.classes)
        self.batch_size = min(spec.batch_size, len(self.splits.train[0]))
        self._batches = len(self.splits.train[0]) // self.batch_size  # a last smaller batch is left out
        # sentences on what is not as it was asked for:
        batch = _cut_short(spec.batch_size, self.batch_size)
        self.notes = (*self.splits.said(), *batch, *loss_floor.said(spec, form.classes))
        self.steps = spec.epochs * self._batches if spec.epochs else spec.steps
        self.planned = self.steps  # a judge may end the run earlier: steps is then where it ended
        if spec.early_stopping and not len(self.splits.validation[0]):
            raise SpecError(
                "train.early_stopping",
                _(
                    "early_stopping watches the validation loss, and this data set is too small to have validation "
                    "samples: set early_stopping to 0, or take more samples."
                ),
            )
        self._judge = judge_of(spec, schedule, self.steps)
        self._best = Best() if isinstance(self._judge, EarlyStopping) and spec.keep_best else None
        self.step = 0
        self._shuffle = torch.Generator().manual_seed(spec.seed)
        self._permutation, self._place = torch.empty(0, dtype=torch.long), 0
        self._order = self._permutation  # the same on the device
        self.watching: tuple[int, str] | None = None
        self._marks: list[Event] = []
        self._index = torch.arange(self.batch_size, device=self.device)
        self._fatal: Tensor | None = None  # the indices of the batch whose loss is not finite: the training is over
        self._begin_looking()
        if checkpoint:
            self._restore(checkpoint)
        self._passes, self._stepping = self._works()

    def _made(self) -> Network:
        experiment = self.experiment
        return build(experiment.model, data_form(experiment.data), experiment.train.seed)

    def _begin_learning(self, spec: TrainSpec) -> None:
        self.values = {name: getattr(spec, name) for name in ("lr", "weight_decay", "clip_norm")}
        self.optimizer = make_optimizer(spec, self.network)
        self._losses = Losses(self.device, losses_come_late(spec, self.device))
        if self._losses.spoilt is not None:
            self.optimizer.found_inf = self._losses.spoilt  # type: ignore[attr-defined]
        self._lr = torch.zeros((), device=self.device)

    def _works(self) -> tuple[Work, Callable[[], Any]]:
        """Both passes, and the optimizer's step: as they come, or, on a GPU, to be recorded and replayed.

        A recorded step moves the weights by the gradients that lie where they lay, so both are made anew together.
        """
        forward = precision.forward_in(self.precision, self.network, self.device)
        loss_for = loss_of(self.task, self.experiment.train.label_smoothing)
        both = passes(self.network, forward, loss_for, self._picked, self.values["clip_norm"], self._losses.spoilt)
        if self._losses.spoilt is None or self.device.type != "cuda" or not recordable(self.network):
            return both, self.optimizer.step
        if registry.OPTIMIZERS.get(self.experiment.train.optimizer.name).of_network:
            return Recorded(both), self.optimizer.step
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr  # a number would be recorded as it is now
        return Recorded(both), Recorded(step_of(self.optimizer))

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────

    def __iter__(self) -> Iterator[Happened]:
        if self.step == 0:
            yield (self.snapshot(),)
        clock, losses = self.clock, self._losses
        self._resumed = clock()
        while self.step < self.steps and self._fatal is None:
            step = self.step + 1
            given = self._given()
            self._set_lr(step)
            look = step >= self._next_look or self._gradients.due(clock())
            logits, y, loss = self._passes(*given)
            if not losses.add(step, loss, self._index):  # before the weights are spoilt
                yield self._flush(clock())
                break
            if look:
                self._look_before(clock())
            self._stepping()
            self.step = step
            if look:
                self._look_after(logits, y, clock())
            now = clock()
            due = now >= self._flush_at or losses.full
            if due or step >= self._next_validation or look or step == self.steps or step in EARLY:
                happened = self._happened(now)
                self._active += clock() - self._resumed
                yield happened
                self._resumed = clock()
            else:
                yield ()
        if self._fatal is not None:
            yield self._over()

    def _over(self) -> Happened:
        """A loss was not finite: the end of a range test, and of any other training a failure."""
        if not self._tolerant:
            raise self._diverged()
        self._fatal = None
        self._end_here()
        return self._happened(self.clock())

    def _given(self) -> tuple[Tensor, ...]:
        """What the passes are given: the next samples' indices or, where it is varied on the way, the batch."""
        index = self._next_index()
        return self._augment(*self._picked(index)) if self._augment else (index,)

    def _picked(self, index: Tensor) -> tuple[Tensor, ...]:
        """The samples and targets of a batch."""
        x, y = self.splits.train
        return x.index_select(0, index), y.index_select(0, index)  # x[index] is the same, and slower

    def _next_index(self) -> Tensor:
        """The next batch's indices; a fresh permutation at every epoch's start."""
        if self._place + self.batch_size > self._batches * self.batch_size or not len(self._permutation):
            self._permutation = torch.randperm(len(self.splits.train[0]), generator=self._shuffle)
            self._order, self._place = self._brought(self._permutation), 0
        self._index = self._order[self._place : self._place + self.batch_size]
        self._place += self.batch_size
        return self._index

    def _brought(self, order: Tensor) -> Tensor:
        """The same on the device; from pinned memory, for which a GPU need not be waited for."""
        return order.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else order

    def _set_lr(self, step: int) -> None:
        lr = self.lr_at(step)
        for group in self.optimizer.param_groups:
            if group["lr"] is self._lr:
                self._lr.fill_(lr)
            else:
                group["lr"] = lr

    def lr_at(self, step: int) -> float:
        """The learning rate of a step (from 1), with the schedule and what was set by hand."""
        factor: float = self._factor(self.experiment.train.schedule.options, step - 1, self.planned)
        return self.values["lr"] * factor

    @property
    def _tolerant(self) -> bool:
        return self._judge is not None and self._judge.tolerant

    def _diverged(self) -> Diverged:
        """What to raise: the weights are those of before the step, and the batch is its batch."""
        assert self._fatal is not None
        step, (x, y) = self.step + 1, self._picked(self._fatal)
        layer = first_non_finite(self.network, self._augment(x, y)[0] if self._augment else x)
        lr = self.lr_at(step)
        where = (
            Sentence("the first layer to go non-finite is {layer}", layer=layer)
            if layer
            else _("the logits are finite, the loss is not")
        )
        was, less = (f"{float(f'{value:.2g}'):g}" for value in (lr, lr / 10))  # 100, not 1e+02
        words = Sentence(
            "The loss stopped being a number at step {step}; {where}. Try a smaller learning rate (it was "
            "{was}; try {less}), or clip the gradient norm at 1.",
            step=step,
            where=where,
            was=was,
            less=less,
        )
        return Diverged(step, layer, words)

    # ── steering, between two steps ─────────────────────────────────────────────────────────────────────────────

    def set(self, name: str, value: Any) -> None:
        """Change lr, weight_decay or clip_norm from the next step on, marked on the curves. SpecError in words."""
        if name not in self.values:
            raise SpecError(
                name,
                Sentence(
                    "{name} cannot be changed while training; {values} can.",
                    name=quoted(name),
                    values=list(self.values),
                ),
            )
        kind, _default, known = declared(TrainSpec)[name]
        self.values[name] = coerce(name, kind, value, known)
        if name == "weight_decay":
            for group in self.optimizer.param_groups:
                group["weight_decay"] = self.values[name]
        if name != "lr":
            self._passes, self._stepping = self._works()
        self._marks.append(Event(self.step + 1, f"set/{name}", self.values[name], time.time()))

    def watch(self, sample: int, layer: str) -> None:
        """Frames are wanted, of this test sample at this layer."""
        if self.watching is None:  # a glance, long enough for an eye, at the frame that was there before
            self.frames.due_at = self.clock() + GLANCE_SECONDS
        else:
            self.frames.due_at = 0.0
        self.watching = (min(max(0, sample), len(self.splits.test[0]) - 1), layer)
        self.flush_seconds = WATCHED_FLUSH_SECONDS

    def flush(self) -> Happened:
        """What has happened and was not handed over yet: to be kept before a checkpoint, which lies after it."""
        return self._flush(self.clock())

    def look_soon(self) -> None:
        """Every instrument may be used at the next step: somebody goes step by step."""
        for budget in (self._gradients, self._validation, self.frames):
            budget.due_at = 0.0
        self._flush_at = 0.0

    def unwatch(self) -> None:
        """Nobody looks any more."""
        self.watching, self.flush_seconds = None, FLUSH_SECONDS

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_looking(self) -> None:
        self._gradients = Budget(0.005)  # norms and update ratios of every layer
        self._validation = Budget(0.008, shortest=0.25)
        self._snapshots = Budget(0.003, eager=6)
        self.frames = Budget(0.008)  # used by whoever writes frames
        self._back = Budget(0.005)  # the gradient through time, while somebody watches
        self._through_time = ThroughTime(self.network, self.splits.train, self.task)
        self.flush_seconds = FLUSH_SECONDS
        self._flush_at = 0.0
        self._next_snapshot = 1
        self._next_validation = self._next_look = 1
        self._pending: list[Event] = []
        self._active, self._resumed = 0.0, self.clock()
        self._counted = (0, 0.0)  # step and active seconds at the last speed reading
        self._speed = 0.0
        self._movement = Movement(self.network)

    def _look_before(self, started: float) -> None:
        """Before the step."""
        self._movement.before()
        self._look_cost = self.clock() - started

    def _look_after(self, logits: Tensor, y: Tensor, started: float) -> None:
        """After the step: how far each layer's weights moved, and what the batch was answered."""
        now = time.time()
        for layer, norm, ratio in self._movement.after():
            self._pending.append(Event(self.step, f"grad_norm/{layer}", norm, now))
            self._pending.append(Event(self.step, f"update_ratio/{layer}", ratio, now))
        if self.task != NUMBER:
            right, asked = answered(logits.detach(), y, self.task)
            self._pending.append(Event(self.step, "train/accuracy", right / max(1, asked), now))
        self._pending.append(Event(self.step, "lr", self.lr_at(self.step), now))
        ended = self.clock()
        self._gradients.charge(self._look_cost + ended - started, ended)
        self._next_look = self.step + max(1, self.steps // LOOKS)

    def _happened(self, now: float) -> Happened:
        """What is to be handed over at this step: losses, readings, validation, a snapshot, the last figures."""
        losses = self._flush(now)
        if self._fatal is not None:
            return losses
        extra: list[Event | Snapshot] = []
        if self._judge and self.step % self._judge.every == 0:
            extra += self._judged()
        last = self.step == self.steps
        if last:
            extra += self._last_figures(validated=bool(extra))
        elif extra:  # the judge has just validated
            self._next_validation = self._after_a_validation()
        elif self._validation.due(now) or self.step >= self._next_validation:
            started = self.clock()
            extra += self.evaluate("validation", VALIDATION_SAMPLES)
            ended = self.clock()
            self._validation.charge(ended - started, ended)
            self._next_validation = self._after_a_validation()
        if self.watching and self._through_time and self._back.due(now):
            extra += self._looked_back()
        if last or self.step in EARLY or (self.step >= self._next_snapshot and self._snapshots.due(now)):
            started = self.clock()
            extra.append(self.snapshot())
            ended = self.clock()
            self._snapshots.charge(2 * (ended - started) + 0.001, ended)  # writing costs about as much again
            self._next_snapshot = math.ceil(self.step * 1.2)
        return (*losses, *extra)

    def _looked_back(self) -> list[Event]:
        """How much of the gradient comes back to the first step of a sequence."""
        started, when = self.clock(), time.time()
        found = [Event(self.step, f"through_time/{name}", value, when) for name, value in self._through_time.look()]
        ended = self.clock()
        self._back.charge(ended - started, ended)
        return found

    def _last_figures(self, validated: bool) -> list[Event]:
        """The figures of the whole validation and test sets, and what the judge has found.

        The test set is answered by what is kept: the best weights, where they are to be kept.
        """
        found = [] if validated else self.evaluate("validation")
        if self._best:
            self._best.put_in(self.step, self.network)
        found += self.evaluate("test")
        when = time.time()
        if self._judge:
            found += [Event(self.step, name, value, when) for name, value in self._judge.figures().items()]
        return found

    def _judged(self) -> list[Event | Snapshot]:
        """Ask the judge; what was found out for it. Its steps are counted, not timed, so that runs can be repeated."""
        assert self._judge is not None
        found: list[Event | Snapshot] = []

        def validation_loss() -> float:
            figures = self.evaluate("validation")
            found.extend(figures)
            return figures[0].value

        if self._judge.ends(self.step, validation_loss):
            self._end_here()
        if isinstance(self._judge, EarlyStopping) and self._judge.best_step == self.step:
            when = time.time()
            found += [Event(self.step, name, value, when) for name, value in self._judge.figures().items()]
            if self._best:
                self._best.take(self.step, self.network)
                found.append(self.snapshot())
        return found

    def _end_here(self) -> None:
        """The run ends with the step that was made last."""
        self.steps = self.step

    def _after_a_validation(self) -> int:
        """The step at which the next validation is due, whatever the clock says; the judge's steps are never passed."""
        then = self.step + max(1, self.planned // CURVE_POINTS)
        if self._judge:
            return min(then, self.step - self.step % self._judge.every + self._judge.every)
        return then

    def _flush(self, now: float) -> Happened:
        """The losses since the last time, and whatever else waits. It finds the loss that is not finite.

        Where losses come late, that may be some steps ago; the weights have stood still since.
        """
        self._flush_at = now + self.flush_seconds
        losses = self._losses.read()
        if losses and not math.isfinite(losses[-1].value):
            fatal = losses.pop() if self._tolerant else losses[-1]
            self._fatal, self.step = fatal.batch, fatal.step - 1
            self._pending = [event for event in self._pending if event.step < fatal.step]
        happened = [Event(loss.step, "train/loss", loss.value, loss.time) for loss in losses]
        if self._judge:
            self._judge.hear([(self.lr_at(e.step), e.value) for e in happened])
        happened += self._pending + self._marks + self._speeds(now)
        self._pending, self._marks = [], []
        return tuple(happened)

    def _speeds(self, now: float) -> list[Event]:
        """samples_per_second over the last half second or more of training (pauses do not count), and memory."""
        active = self._active + now - self._resumed
        steps, seconds = self.step - self._counted[0], active - self._counted[1]
        if steps <= 0 or (seconds < 0.5 and self.step < self.steps and self._speed):
            return []
        self._counted, self._speed = (self.step, active), steps * self.batch_size / max(seconds, 1e-9)
        when = time.time()
        return [
            Event(self.step, "samples_per_second", self._speed, when),
            Event(self.step, "memory", float(memory_in_use(self.device)), when),
        ]

    @property
    def seconds(self) -> float:
        """Time spent training since this object was made, in seconds; pauses left out."""
        return self._active

    def evaluate(self, part: str, most: int = 0) -> list[Event]:
        """Loss, and accuracy or mse, on `validation` or `test` (all of it, or its first `most` samples)."""
        x, y = getattr(self.splits, part)
        n, tally = min(most or len(x), len(x)), Tally(self.task)
        at_once = min(EVALUATED, 2 * self.batch_size)  # without gradients these take no more than a batch with them
        with looking(self.network):
            for start in range(0, n, at_once):
                piece = slice(start, min(n, start + at_once))
                tally.add(self.network(x[piece]), y[piece])
        now, short = time.time(), {"validation": "val"}.get(part, part)
        return [Event(self.step, f"{short}/{name}", value, now) for name, value in tally.figures().items()]

    def words(self, latest: dict[str, float]) -> str:
        """What is to be said of a training that is over, from its last figures by name."""
        said = [self._judge.words(self.step, self.planned)] if self._judge else []
        if not (self._judge and self._judge.tolerant):
            said.append(verdict(self.task, latest, self.splits.test[1]))
        return join(filter(None, said))

    def snapshot(self) -> Snapshot:
        """The weights of the step that was made last."""
        return Snapshot(self.step, self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        return self._best.last(self.network) if self._best else state_arrays(self.network)

    @property
    def best_step(self) -> int:
        """The step of the smallest validation loss, whose weights are kept; 0 where none are."""
        return self._best.step if self._best else 0

    @property
    def held_step(self) -> int:
        """The step whose weights the network holds: the last one, or at the end the best."""
        return self._best.step if self._best and self._best.in_place else self.step

    def frame(self) -> Frame:
        """What the live view shows now: the watched sample at the watched layer, and the test pictures' answers."""
        sample, layer = self.watching or (0, "")
        return make_frame(self.network, self.layers, self.splits, self.held_step, sample, layer)

    # ── going on later ──────────────────────────────────────────────────────────────────────────────────────────

    def checkpoint(self) -> Checkpoint:
        """All that a bit-exact resume needs. Diverged where a loss that was not read yet was not finite."""
        if self._judge or self._losses.spoilt is not None:
            self._keep_losses()
        if self._fatal is not None and not self._tolerant:
            raise self._diverged()
        state, scalars = checkpointing.of_optimizer(self.optimizer)
        generators, generator_meta = checkpointing.of_generators(self.device)
        arrays: dict[str, np.ndarray] = {f"model/{k}": v for k, v in self._arrays().items()}
        arrays |= state | generators
        arrays["data/shuffle"] = self._shuffle.get_state().numpy().copy()
        arrays["data/permutation"] = self._permutation.numpy().copy()
        if self._judge:
            arrays |= {f"judge/{k}": v for k, v in self._judge.state().items()}
        if self._best:
            arrays |= {f"best/{k}": v for k, v in self._best.state().items()}
        meta = {
            "place": self._place,
            "values": dict(self.values),
            "scalars": scalars,
            "steps": self.steps,
            "planned": self.planned,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            "seconds": self._active,
            **generator_meta,
        }
        return Checkpoint(self.step, arrays, meta)

    def _keep_losses(self) -> None:
        """Read the losses not handed over yet, and have the judge hear them: no resume computes them again."""
        self._pending += [e for e in self._flush(self.clock()) if isinstance(e, Event)]

    def _restore(self, checkpoint: Checkpoint) -> None:
        arrays, meta = checkpoint.arrays, checkpoint.meta
        load_state(self.network, {k[6:]: v for k, v in arrays.items() if k.startswith("model/")})
        checkpointing.to_optimizer(self.optimizer, arrays, meta["scalars"])
        self.step, self._place, self.values = checkpoint.step, meta["place"], dict(meta["values"])
        for group in self.optimizer.param_groups:
            group["weight_decay"] = self.values["weight_decay"]
        self._permutation = torch.from_numpy(arrays["data/permutation"].copy())
        self._order = self._brought(self._permutation)
        self._shuffle.set_state(torch.from_numpy(arrays["data/shuffle"].copy()))
        checkpointing.to_generators(self.device, arrays, meta)
        self._active, self._counted = meta["seconds"], (self.step, meta["seconds"])
        self._next_snapshot = math.ceil(self.step * 1.2)
        if self._judge:
            self._judge.restore({k[6:]: v for k, v in arrays.items() if k.startswith("judge/")})
            if self.planned == meta.get("planned", self.planned):
                self.steps = int(meta["steps"])  # it may have ended here
            elif isinstance(self._judge, EarlyStopping):
                self._judge.go_on()  # more steps are asked for than when it ended
            self._next_validation = self._after_a_validation()
        if self._best:
            self._best.restore({k[5:]: v for k, v in arrays.items() if k.startswith("best/")})
            if self.step >= self.steps:  # it was over: what is kept are the best weights
                self._best.put_in(self.step, self.network)


def _cut_short(asked: int, taken: int) -> tuple[str, ...]:
    if taken == asked:
        return ()
    return (
        Sentence(
            "A batch of {asked:,} samples was asked for, and there are {taken:,} training samples: every "
            "step takes them all.",
            asked=asked,
            taken=taken,
        ),
    )


def losses_come_late(spec: TrainSpec, device: torch.device) -> bool:
    """Is a loss read only now and then, so that no step waits for the device?

    It takes an optimizer that can look, on the device, whether a step is to be left out; torch's RMSprop cannot.
    """
    return device.type != "cpu" and registry.OPTIMIZERS.get(spec.optimizer.name).fused


def make_optimizer(spec: TrainSpec, network: Network) -> torch.optim.Optimizer:
    """The optimizer of a TrainSpec over all weights: one kernel for all of them where torch has one."""
    choice: Choice = spec.optimizer
    entry = registry.OPTIMIZERS.get(choice.name)
    weights = network if entry.of_network else network.parameters()
    kernel = {"fused": True} if entry.fused else {"foreach": True}
    made: torch.optim.Optimizer = registry.load(entry.module)(
        weights, lr=spec.lr, weight_decay=spec.weight_decay, **kernel, **entry.arguments(choice.options)
    )
    return made
