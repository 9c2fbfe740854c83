"""Where training and questions meet the store. These functions run in processes of their own, started by the engine.

The engine names them by string and speaks to a run through one end of a pipe: Commands come in, Statuses go out.
Nothing heavier than our own light dataclasses and text ever goes out.
"""

from __future__ import annotations

import copy
import ctypes
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.fx.experimental.symbolic_shapes  # any convolution needs it: here, so that no run has its own copy

from core.catalog.applies import goes_on
from core.engine.live import encode_frame
from core.engine.wire import hear, say
from core.spec import registry
from core.spec.commands import COMMANDS
from core.spec.events import FAILED, FINISHED, PAUSED, RUNNING, STOPPED, Command, Event, Status
from core.spec.options import SpecError
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Experiment
from core.store import Checkpoint, DiskFull, Run, Store, StoreError
from core.worker.data.splits import DataError
from core.worker.model.build import ModelError
from core.worker.train.budget import Budget
from core.worker.train.generate import sample_text
from core.worker.train.training import Diverged, Happened, Training, load_data

POLL_SECONDS = 0.02  # how often a running training looks for commands, at most once a step
REPORT_SECONDS = 1.0
CHECKPOINT_SECONDS = 5.0

Values = dict[str, Any]  # of a command


class _Leave(Exception):
    """The run is to leave its process now; the state it leaves in has been reported."""


class RunSession:
    """One run in its process: trains, keeps, reports and obeys, until it ends."""

    def __init__(self, run: Run, conn: Connection, clock: Callable[[], float] = time.perf_counter) -> None:
        self.run, self.conn, self.clock = run, conn, clock
        self.log = run.log()
        self.training: Training | None = None
        self.paused = run.status().state == PAUSED  # a parked run that was queued again goes on; see train()
        self.single = False  # one step from step `_single_from` on, then pause again
        self._single_from = 0
        self.notice = ""  # what is to be said of this session as long as it trains
        self.held: list[Event] = []  # rows that a full disk would not take
        self._waiting: list[Command] = []  # that came while the data was loading
        self._next_poll = self._next_report = 0.0
        self._checkpoints = Budget(0.005, eager=0, shortest=CHECKPOINT_SECONDS)
        self._checkpoints.due_at = clock() + CHECKPOINT_SECONDS

    # ── the run's life ──────────────────────────────────────────────────────────────────────────────────────────

    def work(self) -> None:
        """Train to an end, or until told to leave."""
        self.begin()
        for _step in self.go():
            pass
        self.finish()

    def begin(self) -> None:
        """Load the data, and the state to go on from if there is one."""
        self.paused = False
        self.report(RUNNING, _("Loading the data."))
        experiment, checkpoint = self.run.experiment(), self.run.load_checkpoint()
        folder = self.run.about().get("data_dir")
        splits = load_data(experiment, Path(folder) if folder else None, self._loading)
        self.training = Training(experiment, splits, checkpoint=checkpoint, clock=self.clock)
        keep_freed_memory()
        kept = checkpoint.meta["threads"] if checkpoint else useful_threads(self.training, torch.get_num_threads())
        threads = int(kept)  # fixed from the first step on: a sum over two threads is not to the bit that over one
        torch.set_num_threads(threads)
        self.run.note(threads=threads, batch_size=self.training.batch_size)
        if checkpoint is None:
            self.show()  # so that who comes late sees first what nobody had learned yet
        elif checkpoint.damaged:
            self.run.drop_damaged(checkpoint)
        damaged = checkpoint.words() if checkpoint else ""
        self.notice = join(filter(None, (damaged, self._longer(experiment, checkpoint), *self.training.notes)))
        self.report(RUNNING, self.notice)
        for command in self._waiting:
            self.obey(command)
        self._heed()  # what was said before the run began holds before its first step

    def _longer(self, experiment: Experiment, checkpoint: Checkpoint | None) -> str:
        """How a run that had ended and was given more steps goes on."""
        changes = self.run.about().get("longer", [])
        if not changes or checkpoint is None or checkpoint.step < changes[-1]["at"]:
            return ""
        return goes_on(experiment, changes[-1]["at"])

    def go(self) -> Iterator[None]:
        """Every step with what belongs to it, one at a time: keep what it gave, obey, show, checkpoint, report."""
        clock = self.clock
        for happened in self._trained():
            if happened:
                self.record(happened)
            now = clock()
            if now >= self._next_poll or self.single:
                self._between(now)
            yield

    def finish(self) -> None:
        """The last step has been made: keep the result and say so."""
        training = self._trained()
        self.checkpoint()
        self.show()
        self.run.note(seconds=training.seconds, device=training.device.type)
        if text := sample_text(training.network, training.splits, training.experiment.train.seed):
            self.run.note(sample_text=text)
        said = (_("Finished."), training.words(self.run.latest()), self.notice)
        self.report(FINISHED, join(filter(None, said)))

    def _between(self, now: float) -> None:
        """What is done between two steps, every few milliseconds: obey, show, checkpoint, report."""
        training = self._trained()
        self._next_poll = now + POLL_SECONDS
        if self.single and training.step > self._single_from:  # before step 1 there is a look at step 0
            self.single, self.paused = False, True
            self.show()
            self.report(PAUSED)
        if training.watching and training.frames.due(now):
            self.show()
        if self._checkpoints.due(now):
            self.checkpoint()
        if now >= self._next_report and not self.paused:
            self._next_report = now + REPORT_SECONDS
            self._send(Status(RUNNING, training.step, training.steps, self.notice))
        self._heed()

    def _heed(self) -> None:
        """Obey what has come, and while paused what comes."""
        while self.paused or self.conn.poll(0):
            if self.single:  # the step that was asked for comes first
                return
            self.obey(self._received())

    def obey(self, command: Command) -> None:
        """Carry out one command."""
        registry.load(COMMANDS[command.verb].handler)(self, command.values)

    def _resume(self, single: bool) -> None:
        if self.held:
            held, self.held = self.held, []
            self.record(tuple(held))
            if self.held:  # still no space: stays paused, and says so again
                return
        self.single, self._single_from = single, self._trained().step
        self.paused = False
        self._trained().look_soon()
        self.report(RUNNING, self.notice)

    # ── what each command does (core.spec.commands) ─────────────────────────────────────────────────────────────

    def pause(self, _values: Values) -> None:
        """Hold before the next step."""
        if not self.paused:
            self.paused = True
            self.checkpoint()
            self.show()
            self.report(PAUSED)

    def resume(self, _values: Values) -> None:
        """Go on."""
        if self.paused:
            self._resume(single=False)

    def single_step(self, _values: Values) -> None:
        """Make one step, then pause again."""
        if self.paused:
            self._resume(single=True)

    def stop(self, _values: Values) -> None:
        """End here."""
        self.checkpoint()
        self.show()
        self.report(
            STOPPED, Sentence("Stopped at step {step}. Resume carries on from there.", step=self._trained().step)
        )
        raise _Leave

    def park(self, _values: Values) -> None:
        """Leave the slot to a run that waits."""
        self.checkpoint()
        self.report(PAUSED, _("Paused; its place was given to a waiting run. Resume puts it back in the queue."))
        raise _Leave

    def set(self, values: Values) -> None:
        """Change settings from the next step on."""
        training = self._trained()
        for name, value in values.items():
            training.set(name, value)
        self.log.forget_after(training.step)
        self.run.forget_snapshots_after(training.step)
        self.checkpoint()  # or a kill before the next one would bring the old values back, under the mark

    def watch(self, values: Values) -> None:
        """Make frames of this sample and layer."""
        self._trained().watch(int(values.get("sample", 0)), str(values.get("layer", "")))
        if self.paused:
            self.show()

    def unwatch(self, _values: Values) -> None:
        """Make no frames: nobody looks."""
        self._trained().unwatch()

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def record(self, happened: Happened) -> None:
        """Keep what a step gave. A full disk pauses the run; nothing is lost."""
        events = [e for e in happened if isinstance(e, Event)]
        try:
            if self.held:
                events, self.held = self.held + events, []
            self.log.append(events)
        except DiskFull as error:
            self.held = events
            self._disk_full(error)
            return
        for snapshot in happened:
            if not isinstance(snapshot, Event):
                self._keep(partial(self.run.save_snapshot, snapshot))
                if 0 < snapshot.step == self._trained().best_step:  # 0: none is kept as the best
                    self._keep(partial(self.run.note, best_step=snapshot.step))

    def checkpoint(self) -> None:
        """Write a checkpoint, charged to its budget; first the rows before it, which no resume computes again."""
        self.record(self._trained().flush())
        if self.held:
            return
        started = self.clock()
        if self._keep(lambda: self.run.save_checkpoint(self._trained().checkpoint())):
            self.log.sync()
        ended = self.clock()
        self._checkpoints.charge(ended - started, ended)

    def show(self) -> None:
        """Write a frame for those who watch, charged to the frames' budget."""
        training, started = self._trained(), self.clock()
        self._keep(lambda: self.run.write_frame(encode_frame(training.frame())))
        ended = self.clock()
        training.frames.charge(ended - started, ended)

    def _keep(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except DiskFull as error:
            self._disk_full(error)
            return False
        return True

    def _disk_full(self, error: DiskFull) -> None:
        self.paused = True
        self.report(PAUSED, Sentence("Paused: {error}", error=error))

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────

    def report(self, state: str, words: str = "", layer: str = "") -> None:
        """Say where the run stands: to the engine, in status.json, and as a row for those who watch."""
        step, steps = (self.training.step, self.training.steps) if self.training else self._reached()
        status = Status(state, step, steps, words, layer)
        try:
            self.run.set_status(status)
            self.log.status(status)
        except DiskFull as error:  # the engine is told all the same; the files say it as soon as there is space again
            if state in (FINISHED, FAILED):
                status = Status(state, step, steps, join(filter(None, (words, str(error)))), layer)
        self._send(status)

    def _reached(self) -> tuple[int, int]:
        before = self.run.status()
        return before.step, before.steps

    def _send(self, status: Status) -> None:
        try:
            say(self.conn, status)
        except OSError:  # the engine is gone; the next read of the pipe says so and the run leaves
            return

    def _received(self) -> Command:
        """The next command; the end of the pipe means that the engine is gone: keep the state and leave."""
        try:
            command: Command = hear(self.conn)
        except (EOFError, OSError):
            if self.training:
                self.checkpoint()
            raise _Leave from None
        return command

    def _loading(self, fraction: float, words: str) -> None:
        """Progress of a download. A stop and the engine's end are heeded meanwhile; other commands wait."""
        now = time.perf_counter()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS / 4
            self._send(Status(RUNNING, 0, 0, Sentence("{words}, {fraction:.0%}", words=words, fraction=fraction)))
        while self.conn.poll(0):
            command = self._received()
            if command.verb == "stop":
                self.report(STOPPED, _("Stopped before the first step."))
                raise _Leave
            self._waiting.append(command)

    def _trained(self) -> Training:
        if self.training is None:
            raise RuntimeError("the training has not begun")
        return self.training


def train(runs_root: str, run_id: str, conn: Connection, threads: int) -> None:
    """Carry one run on, from its checkpoint if it has one, until it ends, is parked, or the engine goes away."""
    torch.set_num_threads(max(1, threads))
    run = Store(runs_root).run(run_id)
    session = RunSession(run, conn)
    try:
        session.work()
    except _Leave:
        pass
    except Diverged as error:
        session.report(FAILED, str(error), error.layer)
    except (DataError, ModelError, SpecError, StoreError) as error:
        session.report(FAILED, str(error))
    except Exception as error:  # noqa: BLE001  whatever it is, the run ends in words
        run.keep_traceback(traceback.format_exc())
        session.report(FAILED, in_words(error))
    finally:
        session.log.close()
        conn.close()


def useful_threads(training: Training, most: int) -> int:
    """`most`, if a step really is faster on so many threads as the machine is now; else one.

    Threads that wait for each other spin: where something else wants the cores, two threads were seen to take
    twenty times as long as one. Measured on a copy; the random numbers drawn are put back.
    """
    if most <= 1 or training.device.type != "cpu":
        return max(1, most)
    network, x = copy.deepcopy(training.network), training.splits.train[0][: training.batch_size]
    state, best = torch.get_rng_state(), {}
    for threads in (1, most):
        torch.set_num_threads(threads)
        times = []
        for _again in range(5):
            started = time.perf_counter()
            network(x).sum().backward()
            times.append(time.perf_counter() - started)
        best[threads] = statistics.median(times[1:])
    torch.set_rng_state(state)
    return most if best[most] < 0.85 * best[1] else 1


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, so that the tensors of a step take the pages of the step before.

    glibc gives large blocks back to the system and gets them anew, zeroed page by page: 15,000 page faults a step of
    a small CNN, which then took 1.2 to 1.7 times as long (measured). Other C libraries are left as they are.
    """
    if sys.platform.startswith("linux"):
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(mmap_threshold, 1 << 30)
            library.mallopt(trim_threshold, (1 << 31) - 1)


def in_words(error: Exception) -> str:
    """An unexpected error of a run or a question, in words."""
    text = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return _("The run needed more memory than there is. Try a smaller batch size, or a narrower model.")
    if "CUDA error" in text or "cuDNN" in text:
        return Sentence(
            "The GPU reported an error ({line}). The worker was discarded; resume to try again.",
            line=text.splitlines()[0],
        )
    first = text.splitlines()[0] if text else _("no message")
    return Sentence(
        "The worker met an error it does not know: {name}: {first}.", name=type(error).__name__, first=first
    )
