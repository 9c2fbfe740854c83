"""Speaking to the engine of a runs folder from any process: join the one that holds the folder, or start one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from core.engine.heartbeat import ANSWER, Pulse, cut, reached
from core.engine.protocol import EngineError, EngineFailed, EngineGone, EngineSilent, Progress, RunState
from core.engine.startup import Beginning
from core.engine.wire import VERSION, hear, say
from core.spec.events import Command
from core.spec.question_base import Question
from core.spec.sentences import Sentence, _
from core.spec.specs import Experiment
from core.store.addresses import read_address
from core.store.engine_files import output_path

START = 20.0  # seconds an engine has to begin
CALL = 30.0  # seconds within which it must answer anything but a question, as long as it answers how it is
HUNG = 15.0  # seconds without an answer after which an engine of ours is ended and another one begun

A = TypeVar("A")


def connect(
    runs: Path | str,
    *,
    start: bool = True,
    lone_threads: int | None = None,
    worker: str = "core.worker.process",
    slots: int | None = None,
) -> ClientEngine:
    """Join the engine that holds the runs folder, or start one (unless start=False: then EngineGone).

    One that we start ends when this process does, however it ends: it holds the other end of a pipe. `lone_threads`,
    `slots` and `worker` count only for one that we start.
    """
    client = ClientEngine(Path(runs), start=start, lone_threads=lone_threads, worker=worker, slots=slots)
    client.ensure()
    return client


class ClientEngine:
    """An Engine in another process. Every method may be called from any thread; each raises only EngineError."""

    def __init__(
        self,
        runs: Path,
        *,
        start: bool = True,
        lone_threads: int | None = None,
        worker: str = "core.worker.process",
        slots: int | None = None,
    ) -> None:
        self.folder = Path(runs).resolve()
        self._may_start = start
        options = {"--worker": worker, "--lone-threads": lone_threads, "--slots": slots}
        self._options = [word for name, value in options.items() if value for word in (name, str(value))]
        self._begins = Beginning(self.folder, self._options)
        self.used = False  # has an engine answered yet?
        self._closed = 0  # how often: who waited while it was closed must not begin another engine
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._idle_lock = threading.Lock()
        self._pulse = Pulse(self._how_is_it, self._silence)

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ensure(self) -> bool:
        """See to it that an engine holds the folder and answers. True when it had to be started or found anew.

        EngineSilent where one is there and hangs (after HUNG seconds one of ours is replaced), EngineFailed where none
        can begin; see core.engine.startup for when that is tried again.
        """
        if self._answers():
            return False
        end, closed = time.monotonic() + START, self._closed
        while not self._answers():
            if self._closed != closed:
                raise EngineGone(_("The engine was let go."))
            if not self._may_start:
                raise EngineGone(
                    Sentence("No engine holds {folder}; start one with `layerlab engine`.", folder=self.folder)
                )
            if time.monotonic() > end:
                words = Sentence(
                    "The engine has not begun within {start:g} s; {output_path} may say why.",
                    start=START,
                    output_path=output_path(),
                )
                raise EngineFailed(words, again=True)
            self._begins.see_to_it()
            time.sleep(0.02)
        return True

    def _answers(self) -> bool:
        try:
            if self._call("status")["version"] == VERSION:
                self._begins.well()
                return True
        except EngineSilent as error:
            if not (self.owned and error.seconds > HUNG):
                raise
            self.replace()
        except EngineGone:  # none there, or between two: whoever asked begins one, or says so
            return False
        return False

    def replace(self) -> None:
        """End an engine of ours that hangs, at once. Its runs are carried on by the next one."""
        self._begins.kill()
        self._pulse.heard()  # it owes nothing any more

    def try_again(self) -> None:
        """Forget that no engine could begin; the next use tries it anew."""
        self._begins.well()

    def close(self) -> None:
        """Let go. An engine that we started ends, its runs are checkpointed; one that we joined goes on."""
        with self._idle_lock:
            idle, self._idle, self.used = self._idle, [], False
            self._closed += 1
            busy = list(self._busy)
        for conn in idle:
            conn.close()
        for conn in busy:  # whoever waits for an answer hears at once that there will be none
            cut(conn)
        self._begins.end(hung=self._pulse.silent > 0)

    @property
    def owned(self) -> bool:
        """Does the engine end with us?"""
        return self._begins.pid != 0 and self._begins.pid == self.pid

    @property
    def pid(self) -> int:
        """Of the engine's process; 0 when nobody can say."""
        address = read_address(self.folder)
        return address.pid if address else 0

    @property
    def silence(self) -> EngineSilent | None:
        """What is to be said of an engine that owes an answer; None while it answers. Asks nobody."""
        seconds = self._pulse.silent
        return self._silence(seconds) if seconds else None

    def _how_is_it(self) -> None:
        """The question that tells whether it hangs. TimeoutError, not EngineSilent: the pulse says that."""
        self._exchange("status", (), lambda conn: _within(conn, ANSWER))

    def _silence(self, seconds: float) -> EngineSilent:
        pid = self.pid
        if pid and self._begins.pid == pid:
            advice = Sentence(
                "After {hung:g} s it is ended and another one begun, which carries the runs on.", hung=HUNG
            )
        elif os.name == "posix":
            advice = Sentence("`kill -CONT {pid}` wakes one that was stopped; `kill -9 {pid}` ends it.", pid=pid)
        else:
            advice = Sentence("`taskkill /F /PID {pid}` ends it.", pid=pid)
        return EngineSilent(seconds, pid, advice)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _call(self, name: str, *args: Any, timeout: float = CALL) -> Any:
        self._pulse.check()
        self._pulse.asked()
        try:
            reply = self._exchange(name, args, lambda conn: self._pulse.wait(conn, timeout))
        except TimeoutError:  # while connecting, or while what was asked was being sent
            raise self._pulse.missed() from None
        match reply:
            case (True, value):
                return value
            case (False, str(sentence)):
                raise EngineError(sentence)
        raise EngineError(_("That is no answer of an engine; another program seems to listen in its place."))

    def _exchange(self, name: str, args: tuple[Any, ...], wait: Callable[[Connection], None]) -> Any:
        """Ask, wait, and the reply. EngineGone, or TimeoutError where nothing moves."""
        conn = self._borrow()
        try:
            say(conn, (name, args))
            wait(conn)
            reply = hear(conn)
        except (EngineGone, TimeoutError):
            self._drop(conn)
            raise
        except BlockingIOError:
            self._drop(conn)
            raise TimeoutError from None
        except (OSError, EOFError):
            self._drop(conn)
            self._pulse.heard()  # it has gone: that is an answer, too
            raise EngineGone(_("The engine went away; its runs are carried on when it is back.")) from None
        except EngineError:  # an answer that may not cross; the connection is sound
            self._give_back(conn)
            raise
        self._give_back(conn)
        self._pulse.heard()
        self.used = True
        return reply

    def _borrow(self) -> Connection:
        while True:
            with self._idle_lock:
                conn = self._idle.pop() if self._idle else None
                if conn is not None:
                    self._busy.add(conn)
            if conn is None:
                return self._open()
            with suppress(OSError, EOFError):
                if not conn.poll(0):  # something to read while idle can only be the end of file
                    return conn
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        with self._idle_lock:
            self._busy.discard(conn)
        conn.close()

    def _give_back(self, conn: Connection) -> None:
        with self._idle_lock:
            self._busy.discard(conn)
            if len(self._idle) < 8:
                self._idle.append(conn)
                return
        conn.close()

    def _open(self) -> Connection:
        address = read_address(self.folder)
        if address is None:
            raise self._gone(Sentence("No engine holds {folder} at the moment.", folder=self.folder))
        if address.version != VERSION and _alive(address.pid):
            raise EngineError(
                Sentence(
                    "Another version of LayerLab (process {pid}) holds {folder}; end it first.",
                    pid=address.pid,
                    folder=self.folder,
                )
            )
        try:
            conn = reached(address.place, address.key, ANSWER)
        except TimeoutError:
            raise
        except (OSError, EOFError, AuthenticationError):
            raise self._gone(_("The engine cannot be reached; it has ended or is being started.")) from None
        with self._idle_lock:
            self._busy.add(conn)
        return conn

    def _gone(self, words: str) -> EngineGone:
        """Nobody is there who could owe an answer."""
        self._pulse.heard()
        return EngineGone(words)

    # ── the protocol ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, experiment: Experiment, name: str = "", token: str = "", threads: int = 0, data_dir: str = ""
    ) -> str:
        """See Engine.start."""
        return str(self._call("start", experiment, name, token, threads, data_dir))

    def command(self, run: str, command: Command) -> RunState:
        """See Engine.command. To stop a run, an engine of ours that hangs is ended at once and another one begun."""
        try:
            state: RunState = self._call("command", run, command)
        except EngineSilent:
            if command.verb != "stop" or not self.owned:
                raise
            self.replace()
            self.ensure()
            state = self._call("command", run, command)
        return state

    def runs(self) -> dict[str, RunState]:
        """See Engine.runs."""
        found: dict[str, RunState] = self._call("runs")
        return found

    def state(self, run: str) -> RunState:
        """See Engine.state."""
        state: RunState = self._call("state", run)
        return state

    def delete(self, run: str) -> None:
        """See Engine.delete."""
        self._call("delete", run)

    def submit(self, question: Question[Any]) -> str:
        """See Engine.submit."""
        return str(self._call("submit", question))

    def poll(self, ticket: str, since: int = 0) -> Progress:
        """See Engine.poll."""
        progress: Progress = self._call("poll", ticket, since)
        return progress

    def cancel(self, ticket: str) -> None:
        """See Engine.cancel."""
        self._call("cancel", ticket)

    def ask(self, question: Question[A], timeout: float = 60.0) -> A:
        """See Engine.ask."""
        answer: A = self._call("ask", question, timeout, timeout=timeout + 5.0)
        return answer

    def status(self) -> dict[str, Any]:
        """See Engine.status."""
        status: dict[str, Any] = self._call("status")
        return status


def _within(conn: Connection, seconds: float) -> None:
    if not conn.poll(seconds):
        raise TimeoutError


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
