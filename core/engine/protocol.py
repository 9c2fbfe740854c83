"""What every engine can do. One conformance suite (tests/engine) serves every implementation.

Only plain values, numpy arrays and our own light dataclasses cross this wall; errors cross as EngineError(text).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from core.spec.events import Command, Status
from core.spec.question_base import Question
from core.spec.quoting import visible
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Experiment

A = TypeVar("A")


class EngineError(Exception):
    """What went wrong on the engine's side, in words: what another program said may be among them."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text if isinstance(text, Sentence) else visible(text))


class EngineGone(EngineError):
    """The engine process cannot be reached."""


class EngineSilent(EngineGone):
    """The engine process is there and does not answer: it hangs, or was stopped. `seconds`: for how long so far."""

    def __init__(self, seconds: float, pid: int = 0, advice: str = "") -> None:
        who = Sentence("The engine (process {pid})", pid=pid) if pid else _("The engine")
        text = Sentence(
            "{who} has not answered for {seconds:.0f} s: it hangs, or was stopped.", who=who, seconds=seconds
        )
        super().__init__(join([text, advice]) if advice else text)
        self.seconds, self.pid = seconds, pid


class EngineFailed(EngineGone):
    """No engine can begin; the text says why, and what to do. `again`: one is still being tried from time to time."""

    def __init__(self, words: str, again: bool = False) -> None:
        super().__init__(words)
        self.again = again


@dataclass(frozen=True)
class RunState:
    """A run as the engine sees it."""

    run: str
    status: Status
    place: int = 0  # place in the queue, 1 = next; 0 = not waiting
    threads: int = 0  # CPU threads of the run, 0 = not decided yet
    pid: int = 0  # of the worker, 0 = none
    wait: float | None = None  # seconds until it is expected to begin; None: it does not wait, or nobody can say
    silent: int = 0  # seconds since the worker's last sign of life, 0 = it gives them

    def plain(self) -> dict[str, Any]:
        """As the watchers of core.engine.live and the command line's --json get it."""
        held = {name: value for name, value in asdict(self).items() if name != "status"}
        return {**held, **asdict(self.status)}


@dataclass(frozen=True)
class Progress:
    """Where a question stands. `parts` are those after the `since` of the poll; pictures appear as they are ready."""

    done: bool
    fraction: float
    words: str
    parts: tuple[Any, ...]
    answer: Any = None
    error: str = ""  # a sentence; empty when all is well
    unforeseen: bool = False  # the error is none that LayerLab raises to tell a person something


class Engine(Protocol):
    """Where work runs."""

    def start(
        self, experiment: Experiment, name: str = "", token: str = "", threads: int = 0, data_dir: str = ""
    ) -> str:
        """Make a run and queue it; its id. The same token and experiment within two seconds: the same run.

        data_dir: where the run looks for data files, if not where the engine does. EngineError where they are broken.
        threads = 0 lets the engine choose: a lone job may use several cores, one that starts beside others takes one.
        """

    def command(self, run: str, command: Command) -> RunState:
        """Steer a run. `resume` on a run that ended before its last step queues it again from its checkpoint."""

    def runs(self) -> dict[str, RunState]:
        """Every run that is queued, running or paused."""

    def state(self, run: str) -> RunState:
        """One run, also one that has ended."""

    def delete(self, run: str) -> None:
        """Stop the run if need be and remove its folder."""

    def submit(self, question: Question[Any]) -> str:
        """Ask without waiting; a ticket."""

    def poll(self, ticket: str, since: int = 0) -> Progress:
        """How far a question is."""

    def cancel(self, ticket: str) -> None:
        """Give a question up; its worker is ended if it does not stop by itself."""

    def ask(self, question: Question[A], timeout: float = 60.0) -> A:
        """Submit and wait; EngineError in words when it fails or takes longer than `timeout` seconds."""

    def status(self) -> dict[str, Any]:
        """pid, slots, threads, running, queued, questions, started (seconds since the epoch)."""

    def close(self) -> None:
        """End the engine: runs are checkpointed and carried on by the next one."""
