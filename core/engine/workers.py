"""Worker processes: each waits at one end of a pipe for a job, a run or questions.

Not pebble.ProcessPool, which was tried: its workers share one channel, so a `kill -9` of an idle one breaks the whole
pool ("All workers expired"), and it looks at its workers every 0.1 s. Here every process has a pipe of its own; a kill
can hurt nothing but what runs in it, and is seen at once.

POSIX: forked from a server process that has imported the worker module (torch), about 0.05 s and 60 MB each.
Windows, macOS: spawned, seconds each, which is why a spare is kept warm.
"""

from __future__ import annotations

import importlib
import logging
import math
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from core.engine import preload
from core.engine.forking import end_hung_fork_server, ended
from core.engine.protocol import EngineError
from core.engine.wire import dumps, hear, let_through, say, words
from core.spec.question_base import Question
from core.spec.sentences import Sentence, _
from core.store.engine_files import hold_run
from core.store.runs import Store

log = logging.getLogger(__name__)
GRACE = 2.0  # seconds a run's worker has to save a checkpoint after the engine has gone
IDLE = 3.0  # seconds without a question after which a worker prepares for one: a run that begins comes first
BEAT = 1.0  # seconds between two signs of life of a worker
SILENT = 10.0  # seconds without one that are told
LOST = 60.0  # seconds without one after which a worker is ended
FRESH = 3.0  # seconds within which a worker must have given one to be handed work
_LOCK_WAIT = 15.0  # seconds to wait for the worker of an engine that was killed to leave the run's folder


# ── what is said over the pipe, besides Commands and Statuses of a run ───────────────────────────────────────────────


class Train(NamedTuple):
    """To the worker: train this run, then end."""

    root: str
    run: str
    threads: int


class Ask(NamedTuple):
    """To the worker: answer, then wait for the next."""

    ticket: str
    question: Question[Any]


class GiveUp(NamedTuple):
    """To the worker: nobody wants the answer any more."""

    ticket: str


class Ready(NamedTuple):
    """From the worker: imported, waiting."""


class Part(NamedTuple):
    """From the worker: how far the question is; `part` is something to show already, or None."""

    ticket: str
    fraction: float
    words: str
    part: Any


class Answered(NamedTuple):
    """From the worker."""

    ticket: str
    answer: Any


class Failed(NamedTuple):
    """From the worker: an error as text, of a question or (ticket "") of the run.

    unforeseen: it is none that LayerLab raises to tell a person something.
    """

    ticket: str
    text: str
    unforeseen: bool = False


let_through(Train, Ask, GiveUp, Ready, Part, Answered, Failed)

# ── in the engine ────────────────────────────────────────────────────────────────────────────────────────────────────


class Worker:
    """A process and our end of its pipe."""

    def __init__(self, context: Any, module: str, answers: bool = False) -> None:
        self.conn, theirs = context.Pipe()
        self._beats, beats = context.Pipe(duplex=False)
        told = (theirs, module, beats, answers)
        self.process = context.Process(target=entry, args=told, name="layerlab worker")
        try:
            self.process.start()
        except (OSError, EOFError) as error:
            self.conn.close()
            self._beats.close()
            raise EngineError(
                Sentence("No worker could be started ({words}); the engine's log says more.", words=words(error))
            ) from None
        finally:
            theirs.close()  # or its end of file would never reach us
            beats.close()
        self._heard = time.monotonic()
        self._killed = math.inf
        self.ready = False
        self.open = True  # its end of the pipe is

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def send(self, value: Any) -> None:
        """Say something; EngineError when the worker has not listened for so long that the pipe is full."""
        if not _writable(self.conn):
            raise EngineError(_("The worker does not react at the moment; stop the run if it stays so."))
        try:
            say(self.conn, value)
        except (OSError, ValueError):
            raise EngineError(_("The worker has just ended.")) from None

    def messages(self) -> list[Any]:
        """Whatever it has said; unreadable messages are handed over as EngineError objects."""
        found: list[Any] = []
        try:
            while self.open and self.conn.poll():
                try:
                    found.append(hear(self.conn))
                except EngineError as error:
                    found.append(error)
        except (EOFError, OSError):
            self.open = False
        return found

    def silent(self, now: float) -> float:
        """Seconds since its last sign of life, which comes every BEAT seconds from a thread of its own.

        None comes from a process that was stopped, or sits where no thread of it can go on.
        """
        with suppress(EOFError, OSError):
            while self._beats.poll():
                self._beats.recv_bytes()
                self._heard = now
        return now - self._heard

    def forgive(self, seconds: float) -> None:
        """We did not run ourselves for so long: it may have spoken, and nobody listened."""
        self._heard += seconds

    def kill(self) -> None:
        """End the process at once."""
        self._killed = min(self._killed, time.monotonic())
        with suppress(OSError, AttributeError, ValueError):
            self.process.kill()

    def gone(self) -> bool:
        if not self.process.is_alive():
            return True
        # The fork server tells who has ended. One that was stopped tells nothing: then the system is asked.
        return time.monotonic() - self._killed > FRESH and ended(self.pid)

    def hang_up(self) -> None:
        """Close our end: a run's worker then saves a checkpoint and ends, any other ends."""
        self.open = False
        self.conn.close()
        self._beats.close()

    def bury(self) -> int:
        """Clear away after the process has gone; its exit code, negative for a signal."""
        code = self.process.exitcode
        if code == 255:  # also what we are told when the fork server has gone: then the worker may live
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        self.hang_up()
        with suppress(ValueError):  # nobody has told it that it has ended
            self.process.close()
        return code if code is not None else 255


def _writable(conn: Connection) -> bool:
    if os.name != "posix":
        return True
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLOUT)
    return bool(poll.poll(0))


class Nursery:
    """Makes workers, and keeps one warm so that the next run need not wait. Used by one thread only."""

    def __init__(self, module: str) -> None:
        self.module = module
        # Threads that wait for each other spin by default: with anything else on the cores, two of them were seen to
        # take ten times as long as with this. Read once, when torch is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        forks = sys.platform.startswith("linux")
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            os.environ[preload.NAME] = module
            self._context.set_forkserver_preload(["core.engine.workers", "core.engine.preload"])
        self._spare: Worker | None = None
        self._barren = False  # the last spare could not be made or died: make none until a run asks for a worker

    def make(self, answers: bool = False) -> Worker:
        """A fresh worker. The first call waits until the fork server has imported the worker module.

        answers: it is for questions, and prepares itself for them while nobody has one.
        """
        made = threading.Event()
        threading.Thread(target=end_hung_fork_server, args=(made,), daemon=True).start()
        try:
            return Worker(self._context, self.module, answers)
        finally:
            made.set()

    def take(self) -> Worker:
        """The spare, or a fresh one."""
        spare, self._spare, self._barren = self._spare, None, False
        if spare and not spare.gone():
            if spare.silent(time.monotonic()) < FRESH and not ended(spare.pid):  # the fork server may not know it yet
                return spare
            spare.kill()  # it was stopped, or hangs
            spare.process.join(FRESH)
        if spare and spare.gone():
            spare.bury()
        return self.make()

    def give(self, worker: Worker) -> None:
        """Take back an unused worker."""
        if self._spare is None:
            self._spare = worker
        else:
            worker.kill()

    def warm(self) -> None:
        """See to it that there is a spare."""
        if self._spare and self._spare.gone():
            self._spare.bury()
            self._spare, self._barren = None, True
        if self._spare is None and not self._barren:
            try:
                self._spare = self.make()
            except EngineError:
                self._barren = True
                log.exception("no spare worker")

    def all(self) -> list[Worker]:
        return [self._spare] if self._spare else []


# ── in the worker's process ──────────────────────────────────────────────────────────────────────────────────────────

_grace = [0.0]  # seconds; a run's worker gets some, one that answers questions has nothing to save


def entry(conn: Connection, module: str, beats: Connection, answers: bool = False) -> None:
    """Where a worker process begins: import, say so, do the jobs that come, end with the pipe or with the engine."""
    threading.Thread(target=_beat, args=(beats,), daemon=True).start()
    threading.Thread(target=_end_with_engine, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and a stop of the whole group reach the engine,
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which closes the pipe: then there is a checkpoint
    worker, broken = None, ""
    try:
        worker = importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001 (told to whoever asks: endless restarts would help nobody)
        broken = Sentence("The worker module {module} cannot be imported: {words}", module=module, words=words(error))
        traceback.print_exc()
    code = 1
    try:
        say(conn, Ready())
        if answers and worker is not None and not conn.poll(IDLE):
            getattr(worker, "prepare", _nothing)()
        code = _serve(conn, worker, broken)
    except (EOFError, OSError):
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # no threads of a library may keep the slot


def _nothing() -> None:
    """For a worker module that has nothing to prepare."""


def _serve(conn: Connection, worker: Any, broken: str) -> int:
    while True:
        job = hear(conn)
        if isinstance(job, Train):
            return _train(conn, worker, broken, job)
        if isinstance(job, Ask):
            _answer(conn, worker, broken, job)


def _train(conn: Connection, worker: Any, broken: str, job: Train) -> int:
    _grace[0] = GRACE
    try:
        if worker is None:
            raise EngineError(broken)
        with hold_run(Store(Path(job.root)).run(job.run), _LOCK_WAIT):
            worker.train(job.root, job.run, conn, job.threads)
        return 0
    except BaseException as error:  # noqa: BLE001 (the engine tells it in words)
        traceback.print_exc()
        with suppress(OSError):
            say(conn, Failed("", words(error)))
        return 1


class _GivenUp(BaseException):
    """Not an Exception: what a method catches on its way must not swallow it."""


def _answer(conn: Connection, worker: Any, broken: str, job: Ask) -> None:
    def send(fraction: float, said: str, part: Any = None) -> None:
        while conn.poll():
            heard = hear(conn)
            if isinstance(heard, GiveUp) and heard.ticket == job.ticket:
                raise _GivenUp
        say(conn, Part(job.ticket, float(fraction), str(said), part))

    _reply(conn, job.ticket, lambda: _asked(worker, broken, job.question, send))


def _asked(worker: Any, broken: str, question: Question[Any], send: Callable[..., None]) -> Any:
    if worker is None:
        raise EngineError(broken)
    return worker.answer(question, send)


def _reply(conn: Connection, ticket: str, make: Callable[[], Any]) -> None:
    try:
        data = dumps(Answered(ticket, make()))
    except _GivenUp:
        data = dumps(Failed(ticket, _("The question was given up.")))
    except BaseException as error:  # noqa: BLE001 (as text: a torch exception would carry torch to whoever asked)
        unforeseen = not type(error).__module__.startswith("core.")
        if unforeseen:
            traceback.print_exc()
        data = dumps(Failed(ticket, words(error), unforeseen))
    conn.send_bytes(data)


def _beat(beats: Connection) -> None:
    """A sign of life every BEAT seconds, until nobody is there to hear it."""
    with suppress(OSError):
        while True:
            beats.send_bytes(b".")
            time.sleep(BEAT)


def _end_with_engine() -> None:
    """The backstop behind the pipe's end of file: a busy worker does not outlive the engine by more than its grace."""
    engine = multiprocessing.parent_process()
    if engine is not None:
        engine.join()
        time.sleep(_grace[0])
        os._exit(1)
