"""The runs folder: making, listing, naming and deleting runs; and what one run's folder holds."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.spec.events import FINISHED, QUEUED, STATES, Event, Snapshot, Status
from core.spec.options import SpecError
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, from_written, join, written
from core.spec.specs import Experiment, experiment_from_json, title, to_json
from core.store import log
from core.store.files import (
    DiskFull,
    StoreError,
    explained,
    made_folder,
    pack_tensors,
    read_json,
    read_tensors,
    tensors_meta,
    used,
    write_atomic,
    write_json,
)
from core.store.regular import read_regular

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1  # of the folder
SNAPSHOT_CAP = 64 << 20  # bytes of snapshots that one run keeps
LATEST = 32_503_680_000  # the year 3000, in seconds since the epoch
_STEP = re.compile(r"[0-9]{9,15}")
_ID = re.compile(r"[0-9a-f]{32}")
_CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.fresh", "checkpoint.previous.safetensors")  # newest first
_T = TypeVar("_T", bound=type)


def in_words(cls: _T) -> _T:
    """Have every public method raise StoreError where the system refuses: one run's fault is told as such."""
    for name, method in list(vars(cls).items()):
        if callable(method) and not name.startswith("_"):
            setattr(cls, name, _guarded(method))
    return cls


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: Run, *args: Any, **more: Any) -> Any:
        try:
            return method(self, *args, **more)
        except OSError as error:
            told = explained(error, self.path)
            if not isinstance(told, DiskFull):
                file = quoted(Path(os.fsdecode(error.filename)).name) if error.filename else _("its folder")
                told = StoreError(
                    Sentence(
                        "Run {id}: {file} cannot be used: {reason}.",
                        id=self.id[:8],
                        file=file,
                        reason=quoted(error.strerror or error),
                    )
                )
            raise told from error

    return guarded


@dataclass
class Checkpoint:
    """What a bit-exact resume needs: arrays by name, and `meta` (plain JSON values)."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    damaged: tuple[str, ...] = ()  # files that should have been newer, and cannot be believed

    def words(self) -> str:
        """What a reader must know of where this state comes from; empty where it is the newest one."""
        if not self.damaged:
            return ""
        return Sentence(
            "The newest checkpoint was damaged ({damaged}: not the bytes that were written). The one before "
            "it, of step {step:,}, was used; the steps after it are made again.",
            damaged=join(self.damaged, _(" and ")),
            step=self.step,
        )


@in_words
@dataclass(frozen=True)
class Run:
    """One run's folder. `id` is random (128 bit), so a link to a run cannot be guessed."""

    id: str
    path: Path

    # what it is
    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    def experiment(self) -> Experiment:
        """What was asked for; StoreError in words where the file is broken."""
        self.about()  # a folder of another format is refused before anything of it is believed
        try:
            return experiment_from_json(read_json(self.path / "experiment.json"))
        except SpecError as error:
            raise StoreError(
                Sentence("{id}/experiment.json: {message}", id=self.id[:8], message=error.message)
            ) from None

    def about(self) -> dict[str, Any]:
        """name, created (seconds since the epoch), and whatever the engine noted (threads, device)."""
        about = read_json(self.path / "about.json")
        if about.get("format") != FORMAT:
            found = quoted(about.get("format"))
            raise StoreError(
                Sentence(
                    "Run {id} has folder format {found}; this LayerLab reads format {format}. Open it with the "
                    "LayerLab that made it.",
                    id=self.id[:8],
                    found=found,
                    format=FORMAT,
                )
            )
        if not isinstance(about.get("name"), str) or not _number(about.get("created"), LATEST):
            raise StoreError(
                Sentence("{id}/about.json cannot be read: it has no name, or no time of its making.", id=self.id[:8])
            )
        sound = all(_number(about.get(name, 0), log.LARGEST) for name in ("threads", "seconds"))
        if not sound or not isinstance(about.get("set", {}), dict):
            raise StoreError(
                Sentence("{id}/about.json cannot be read: its threads, seconds or changes are no such.", id=self.id[:8])
            )
        return about

    def lengthen(self, experiment: Experiment, step: int) -> None:
        """Have the run, which has ended at `step`, go on to the steps that `experiment` asks for.

        The experiment of the run is then this one; about.json's `longer` tells when what was changed.
        """
        was, told = self.experiment().train, self.about().get("longer", [])
        change = {"at": step, "steps": was.steps, "epochs": was.epochs, "to": experiment.train.steps}
        write_json(self.path / "experiment.json", to_json(experiment))
        self.note(longer=[*(told if isinstance(told, list) else []), change | {"time": time.time()}])

    def note(self, **values: Any) -> None:
        """Change or add fields of about.json."""
        write_json(self.path / "about.json", {**self.about(), **values})

    def change_later(self, values: dict[str, Any]) -> None:
        """Keep changes by hand (of SETTABLE) that no worker is there to make, for the one that carries the run on."""
        self.note(set={**self.about().get("set", {}), **values})

    def take_changes(self) -> dict[str, Any]:
        """The changes kept for later; they are not kept any longer."""
        changes: dict[str, Any] = self.about().get("set", {})
        if changes:
            self.note(set={})
        return changes

    def status(self) -> Status:
        """Where the run stands."""
        try:
            raw = from_written(read_json(self.path / "status.json"))
            status = Status(**raw)
        except TypeError:
            raise StoreError(
                Sentence("{id}/status.json cannot be read: those are no fields of a status.", id=self.id[:8])
            ) from None
        counts = all(type(n) is int and 0 <= n <= log.LARGEST for n in (status.step, status.steps))
        sound = counts and all(isinstance(word, str) for word in (status.state, status.words, status.layer))
        if not sound or status.state not in STATES:
            raise StoreError(
                Sentence("{id}/status.json cannot be read: it names no state that a run can be in.", id=self.id[:8])
            )
        return status

    def set_status(self, status: Status) -> None:
        """Record where the run stands (the log's status rows are written by the log's one writer)."""
        write_json(self.path / "status.json", written(asdict(status)), sync=False)

    # numbers
    def log(self) -> log.EventLog:
        """The writer of this run's rows; one at a time."""
        return log.EventLog(self.events_path)

    def events(self) -> list[Event]:
        """Every number so far, each (step, name) once."""
        return list(log.read_rows(self.events_path))

    def rows_after(self, offset: int) -> tuple[bytes, int]:
        """Whole lines of events.jsonl after byte `offset`, and the offset after them."""
        return log.read_after(self.events_path, offset)

    def log_size(self) -> int:
        """Bytes of the rows; 0 where there are none."""
        try:
            return self.events_path.stat().st_size
        except FileNotFoundError:
            return 0

    def forget_snapshots_after(self, step: int) -> None:
        """Take back the weights of later steps: a change by hand, made at `step`, has them come out otherwise."""
        for later in self.snapshots():
            if later > step:
                (self.path / "snapshots" / f"{later:09d}.safetensors").unlink(missing_ok=True)

    def latest(self) -> dict[str, float]:
        """name → its last value."""
        return {event.name: event.value for event in log.read_rows(self.events_path)}

    # the live frame
    def write_frame(self, data: bytes) -> None:
        """Replace the live frame (core.engine.live.encode_frame)."""
        write_atomic(self.path / "frame.bin", data, sync=False)

    def frame(self) -> bytes:
        """The newest live frame; b"" where there is none."""
        try:
            return read_regular(self.path / "frame.bin")
        except FileNotFoundError:
            return b""

    def frame_stamp(self) -> tuple[int, int]:
        """Changes whenever the frame does: (inode, time of change in ns)."""
        try:
            stat = (self.path / "frame.bin").stat()
        except OSError:
            return (0, 0)
        return (stat.st_ino, stat.st_mtime_ns)

    # weights to look at
    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep these weights. Over the run's cap those go that lie closest between their neighbours in log(step).

        The first and the newest stay: early steps all, later ones ever wider apart.
        """
        folder = self.path / "snapshots"
        folder.mkdir(exist_ok=True)
        write_atomic(folder / f"{snapshot.step:09d}.safetensors", pack_tensors(snapshot.tensors), sync=False)
        files = sorted(f for f in folder.glob("*.safetensors") if _STEP.fullmatch(f.stem))
        while len(files) > 2 and sum(f.stat().st_size for f in files) > SNAPSHOT_CAP:
            places = _least_missed([int(f.stem) for f in files], self.about().get("best_step", 0))
            if places is None:
                return
            files.pop(places).unlink(missing_ok=True)

    def snapshots(self) -> list[int]:
        """The steps of which weights are kept, rising."""
        return sorted(int(f.stem) for f in (self.path / "snapshots").glob("*.safetensors") if _STEP.fullmatch(f.stem))

    def moments(self) -> list[int]:
        """The steps at which the weights can be looked at, rising: the snapshots', and the newest checkpoint's."""
        steps, newest = self.snapshots(), self.checkpoint_step()
        return steps if newest is None or newest in steps else sorted([*steps, newest])

    def best_step(self) -> int | None:
        """The step of the smallest validation loss, where its weights are kept as the best (TrainSpec.keep_best)."""
        best = self.about().get("best_step")
        return best if type(best) is int and best in self.snapshots() else None

    def newest(self) -> int | None:
        """The moment that stands for the run: the best of one that has finished and keeps it, else the newest."""
        steps = self.moments()
        best = self.best_step() if self.status().state == FINISHED else None
        return best if best is not None else steps[-1] if steps else None

    def weights(self, step: int) -> dict[str, np.ndarray]:
        """The weights at one of the moments, by their names in the state_dict. StoreError where there are none."""
        if (self.path / "snapshots" / f"{step:09d}.safetensors").exists():
            return dict(self.load_snapshot(step).tensors)
        kept = self.load_checkpoint()
        if kept is not None and kept.step != step and kept.damaged:
            raise StoreError(
                Sentence("The weights of step {step:,} are damaged. Choose another moment of the training.", step=step)
            )
        if kept is None or kept.step != step:
            raise StoreError(Sentence("Run {id} keeps no weights of step {step}.", id=self.id[:8], step=step))
        return {name[6:]: value for name, value in kept.arrays.items() if name.startswith("model/")}

    def weights_stamp(self, step: int) -> int:
        """Changes when the weights of a moment do: a run that is resumed computes steps again."""
        for name in (f"snapshots/{step:09d}.safetensors", "checkpoint.safetensors"):
            with suppress(OSError):
                return (self.path / name).stat().st_mtime_ns
        return 0

    def load_snapshot(self, step: int) -> Snapshot:
        """The weights kept at `step`. StoreError where they cannot be read."""
        try:
            arrays, _meta = read_tensors(self.path / "snapshots" / f"{step:09d}.safetensors")
        except StoreError as error:
            raise StoreError(
                Sentence(
                    "The weights of step {step:,} are damaged (snapshots/{error}). Choose another moment of the "
                    "training.",
                    step=step,
                    error=error,
                )
            ) from None
        return Snapshot(step, arrays)

    # state to go on from
    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint under a temporary name, flush, rename; the one before is kept."""
        meta = {"step": checkpoint.step, **checkpoint.meta}
        data = pack_tensors(checkpoint.arrays, json.dumps(meta))
        fresh, newest = self.path / "checkpoint.fresh", self.path / "checkpoint.safetensors"
        write_atomic(fresh, data)
        if newest.exists():
            newest.replace(self.path / "checkpoint.previous.safetensors")
        fresh.replace(newest)

    def load_checkpoint(self) -> Checkpoint | None:
        """The newest sound checkpoint, or None where the run has none yet; its `damaged` names those passed over.

        A torn or changed newest one is passed over for the previous; StoreError when there are some, and none is sound.
        """
        broken: list[str] = []
        for name in _CHECKPOINTS:
            if (self.path / name).exists():
                try:
                    arrays, meta = _read_checkpoint(self.path / name)
                    return Checkpoint(meta.pop("step"), arrays, meta, tuple(broken))
                except StoreError:
                    broken.append(name)
        if broken:
            raise StoreError(
                Sentence(
                    "Run {id} cannot be resumed: {broken} cannot be read. Its curves are whole; start the experiment "
                    "again to go on.",
                    id=self.id[:8],
                    broken=join(broken, _(" and ")),
                )
            )
        return None

    def drop_damaged(self, checkpoint: Checkpoint) -> None:
        """Remove what was passed over, so that the next checkpoint does not push the sound one out for it."""
        for name in checkpoint.damaged:
            (self.path / name).unlink(missing_ok=True)

    def checkpoint_step(self) -> int | None:
        """The step of the newest checkpoint, read without its arrays; None where there is none to read."""
        for name in _CHECKPOINTS:
            with suppress(StoreError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
                return int(json.loads(tensors_meta(self.path / name))["step"])
        return None

    def keep_traceback(self, text: str) -> None:
        """Keep the details of an unexpected error for a bug report."""
        write_atomic(self.path / "traceback.txt", text.encode(), sync=False)

    def bytes(self) -> int:
        """Disk space the run uses."""
        return used(self.path)


class Store:
    """A folder of runs, made if need be; StoreError in words where that cannot be."""

    def __init__(self, root: Path | str) -> None:
        self.root = made_folder(Path(root))

    def create(self, experiment: Experiment, name: str = "", **about: Any) -> Run:
        """A new run, queued."""
        run_id = secrets.token_hex(16)
        run = Run(run_id, self.root / run_id)
        fresh = self.root / f".{run.id}"  # built under another name: no one sees half a run
        try:
            made_folder(self.root)  # it may have been taken away since
            fresh.mkdir()
            write_json(fresh / "experiment.json", to_json(experiment))
            called = name or title(experiment)
            write_json(fresh / "about.json", {"format": FORMAT, "name": called, "created": time.time(), **about})
            write_json(fresh / "status.json", asdict(Status(QUEUED, 0, experiment.train.steps)))
            fresh.rename(run.path)
        except (OSError, StoreError) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = explained(error, fresh) if isinstance(error, OSError) else error
            raise StoreError(
                Sentence(
                    "A run could not be made in {root}: {reason}",
                    root=quoted(self.root, 200),
                    reason=quoted(reason, 300),
                )
            ) from error
        return run

    def run(self, run_id: str, *, whole: bool = False) -> Run:
        """The run called `run_id`, or by the first 4 or more digits of its id; StoreError where there is none.

        `whole`: all digits are asked for, as from everybody who comes over the network.
        """
        if _ID.fullmatch(run_id) and os.path.lexists(self.root / run_id):
            return Run(run_id, self.root / run_id)
        if not whole and re.fullmatch(r"[0-9a-f]{4,31}", run_id):
            found = [r for r in self.runs() if r.id.startswith(run_id)]
            if len(found) == 1:
                return found[0]
            if found:
                raise StoreError(
                    Sentence(
                        "{found} runs begin with {run_id}; write more of the id.",
                        found=len(found),
                        run_id=quoted(run_id),
                    )
                )
        raise StoreError(
            Sentence(
                "There is no run “{run_id}” in {root}; `layerlab runs` lists them.",
                run_id=quoted(run_id),
                root=quoted(self.root, 200),
            )
        )

    def runs(self) -> list[Run]:
        """Every run, newest first; the damaged ones, too, whose methods say what is wrong with them.

        None where the folder has been taken away.
        """
        try:
            names = os.listdir(self.root)  # noqa: PTH208 (of many names few are made a Path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                Sentence("{root} cannot be read: {strerror}.", root=quoted(self.root, 200), strerror=error.strerror)
            ) from None
        found = [Run(name, self.root / name) for name in names if _ID.fullmatch(name)]
        return sorted(found, key=_made, reverse=True)

    def delete(self, run_id: str) -> None:
        """Remove a run's folder, or what stands in its place."""
        run = self.run(run_id)
        hidden = self.root / f".deleted-{run.id}"
        try:
            run.path.rename(hidden)  # gone from every list at once, whatever the removal takes
            if hidden.is_symlink() or not hidden.is_dir():
                hidden.unlink()
        except OSError as error:
            raise StoreError(
                Sentence("Run {run_id} cannot be deleted: {strerror}.", run_id=run.id[:8], strerror=error.strerror)
            ) from None
        shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def scratch_store() -> Iterator[Store]:
    """An empty runs folder for measurements, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="layerlab-", ignore_cleanup_errors=True) as folder:
        yield Store(folder)


def _number(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= most


def _made(run: Run) -> float:
    try:
        return (run.path / "experiment.json").stat().st_mtime
    except OSError:  # deleted meanwhile, or broken: last, so that the others can still be listed
        return 0.0


def _least_missed(steps: list[int], best: int) -> int | None:
    """The index, not the first, last or best one's, whose removal leaves the smallest gap in log(step). `steps` rises.

    None where there is no other.
    """
    inner = [i for i in range(1, len(steps) - 1) if steps[i] != best]
    return min(inner, key=lambda i: (steps[i + 1] + 1) / (steps[i - 1] + 1), default=None)


def _read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, text = read_tensors(path)
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end: told below as one without a step
        meta = None
    if isinstance(meta, dict) and type(meta.get("step")) is int:
        return arrays, meta
    raise StoreError(Sentence("{path} cannot be read: it does not say its step", path=quoted(path.name)))
