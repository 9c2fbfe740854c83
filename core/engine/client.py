"""Speaking to the engine of a runs folder from any process: join the one that holds the folder, or start one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from core.engine.protocol import EngineError, EngineGone, Progress, RunState
from core.engine.wire import VERSION, hear, say
from core.events import Command
from core.questions import Answer, Question
from core.specs import Experiment
from core.store.addresses import read_address
from core.store.engine_files import last_output, open_output, output_path

START = 20.0  # seconds an engine has to begin
CALL = 30.0  # seconds within which it must answer anything but a question
HELD = 3  # exit code of an engine that finds its folder held
CLOSE = 3.0  # seconds for a clean end; then it is killed
_ROOT = Path(__file__).resolve().parents[2]


def connect(
    runs: Path | str,
    *,
    start: bool = True,
    lone_threads: int | None = None,
    worker: str = "core.worker",
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
        worker: str = "core.worker",
        slots: int | None = None,
    ) -> None:
        self.folder = Path(runs).resolve()
        self._may_start = start
        options = {"--worker": worker, "--lone-threads": lone_threads, "--slots": slots}
        self._options = [word for name, value in options.items() if value for word in (name, str(value))]
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # one thread at a time looks after the process
        self.used = False  # has an engine answered yet?
        self._idle: list[Connection] = []
        self._idle_lock = threading.Lock()

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ensure(self) -> bool:
        """See to it that an engine holds the folder and answers. True when it had to be started or found anew."""
        if self._answers():
            return False
        with self._starting:
            end = time.monotonic() + START
            while not self._answers():
                if not self._may_start:
                    raise EngineGone(f"No engine holds {self.folder}; start one with `layerlab engine`.")
                if time.monotonic() > end:
                    raise EngineGone(f"The engine did not begin within {START:g} s; {output_path()} may say why.")
                self._launch_if_none()
                time.sleep(0.02)
        return True

    def _answers(self) -> bool:
        try:
            return bool(self._call("status", timeout=5.0)["version"] == VERSION)
        except EngineGone:
            return False

    def _launch_if_none(self) -> None:
        """Start an engine unless one of ours is on its way. Another may be faster: then ours ends with HELD."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            _clear(self._process)
            self._process = None
            if code not in (0, HELD) and code > 0:
                raise EngineGone(f"The engine could not begin (exit code {code}): {last_output()}")
            if code == HELD:
                time.sleep(0.1)  # the holder is about to say where it is, or about to end
        self._process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "core.engine", "--runs", str(self.folder), "--watch-stdin", *self._options]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        # A session of its own, so that Ctrl-C reaches us alone: the pipe tells the engine, and it ends cleanly.
        with open_output() as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=os.name == "posix",
            )

    def close(self) -> None:
        """Let go. An engine that we started ends, its runs are checkpointed; one that we joined goes on."""
        with self._idle_lock:
            idle, self._idle, self.used = self._idle, [], False
        for conn in idle:
            conn.close()
        with self._starting:
            process, self._process = self._process, None
        if process is not None:
            _clear(process)

    @property
    def owned(self) -> bool:
        """Does the engine end with us?"""
        process = self._process
        return process is not None and process.poll() is None and process.pid == self.pid

    @property
    def pid(self) -> int:
        """Of the engine's process; 0 when nobody can say."""
        address = read_address(self.folder)
        return address.pid if address else 0

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _call(self, name: str, *args: Any, timeout: float = CALL) -> Any:
        conn = self._borrow()
        try:
            say(conn, (name, args))
            if not conn.poll(timeout):
                raise TimeoutError(f"no reply within {timeout:g} s")
            reply = hear(conn)
        except (OSError, EOFError) as error:
            conn.close()
            reason = str(error) if isinstance(error, TimeoutError) else "the connection broke"
            raise EngineGone(f"The engine went away ({reason}); its runs are carried on when it is back.") from None
        except EngineError:  # an answer that may not cross; the connection is sound
            self._give_back(conn)
            raise
        self._give_back(conn)
        self.used = True
        match reply:
            case (True, value):
                return value
            case (False, str(sentence)):
                raise EngineError(sentence)
        raise EngineError("That is no answer of an engine; another program seems to listen in its place.")

    def _borrow(self) -> Connection:
        while True:
            with self._idle_lock:
                conn = self._idle.pop() if self._idle else None
            if conn is None:
                return self._open()
            with suppress(OSError, EOFError):
                if not conn.poll(0):  # something to read while idle can only be the end of file
                    return conn
            conn.close()

    def _give_back(self, conn: Connection) -> None:
        with self._idle_lock:
            if len(self._idle) < 8:
                self._idle.append(conn)
                return
        conn.close()

    def _open(self) -> Connection:
        address = read_address(self.folder)
        if address is None:
            raise EngineGone(f"No engine holds {self.folder} at the moment.")
        if address.version != VERSION and _alive(address.pid):
            raise EngineError(f"Another version of LayerLab (process {address.pid}) holds {self.folder}; end it first.")
        try:
            return Client(address.place, authkey=address.key)
        except (OSError, EOFError, AuthenticationError):
            raise EngineGone("The engine cannot be reached; it has ended or is being started.") from None

    # ── the protocol ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, experiment: Experiment, name: str = "", token: str = "", threads: int = 0, data_dir: str = ""
    ) -> str:
        """See Engine.start."""
        return str(self._call("start", experiment, name, token, threads, data_dir))

    def command(self, run: str, command: Command) -> RunState:
        """See Engine.command."""
        state: RunState = self._call("command", run, command)
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

    def submit(self, question: Question) -> str:
        """See Engine.submit."""
        return str(self._call("submit", question))

    def poll(self, ticket: str, since: int = 0) -> Progress:
        """See Engine.poll."""
        progress: Progress = self._call("poll", ticket, since)
        return progress

    def cancel(self, ticket: str) -> None:
        """See Engine.cancel."""
        self._call("cancel", ticket)

    def ask(self, question: Question, timeout: float = 60.0) -> Answer:
        """See Engine.ask."""
        answer: Answer = self._call("ask", question, timeout, timeout=timeout + 5.0)
        return answer

    def status(self) -> dict[str, Any]:
        """See Engine.status."""
        status: dict[str, Any] = self._call("status")
        return status


def _clear(process: subprocess.Popen[bytes]) -> None:
    """Close our end of the pipe and wait for the engine to end; kill it if it does not."""
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(CLOSE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
