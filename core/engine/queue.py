"""Questions: a line of tickets before a few workers of their own, so that long runs never make a question wait.

Every method is called with the engine's lock held, except `staff`, which may have to wait for a process to begin.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from core.engine.exit_reasons import reason
from core.engine.protocol import EngineError, Progress
from core.engine.workers import (
    FRESH,
    LOST,
    SILENT,
    Answered,
    Ask,
    Failed,
    GiveUp,
    Nursery,
    Part,
    Ready,
    Worker,
)
from core.spec.question_base import Question
from core.spec.questions import Refresh
from core.spec.sentences import Sentence, _

log = logging.getLogger(__name__)
LIMIT = 500  # questions that may wait; more are refused in words
KEPT = 60.0  # seconds an answer waits for its asker, and a question goes on that nobody polls
REST = 2.0  # seconds after a worker died before it was ready, unless somebody asks
GIVE_UP = 0.5  # seconds a worker has to leave a question that was cancelled; then it is killed


@dataclass(eq=False)
class Ticket:
    """One question on its way."""

    id: str
    question: Question[Any]
    touched: float  # monotonic time of the last poll; inf: nobody will ask, keep it going
    fraction: float = 0.0
    words: str = ""
    parts: list[Any] = field(default_factory=list)
    done: bool = False
    answer: Any = None
    error: str = ""
    unforeseen: bool = False  # see Progress
    deadline: float = math.inf  # monotonic; its worker is killed then
    refreshes: str = ""  # the run whose frame it makes: of several that are wished for only the newest is made

    def progress(self, since: int) -> Progress:
        new = tuple(self.parts[max(0, since) :])
        return Progress(self.done, self.fraction, self.words, new, self.answer, self.error, self.unforeseen)


class Questions:
    """The line and the workers."""

    def __init__(self, nursery: Nursery, changed: Condition, workers: int) -> None:
        self.workers: dict[Worker, Ticket | None] = {}
        self._nursery, self._changed, self._wanted = nursery, changed, workers
        self._rest_until = 0.0  # monotonic; a worker died before it was ready: no endless row of them
        self._tickets: dict[str, Ticket] = {}
        self._waiting: deque[Ticket] = deque()
        self._refreshing: set[str] = set()  # runs of which a frame is being made
        self._refresh_next: dict[str, Refresh] = {}  # run → the newest wish that came meanwhile

    # for the askers
    def submit(self, question: Question[Any], *, kept: bool = True) -> Ticket:
        """Put a question into the line. `kept=False`: nobody will poll."""
        if len(self._waiting) >= LIMIT:
            raise EngineError(Sentence("{limit} questions are waiting already; try again in a moment.", limit=LIMIT))
        now = time.monotonic()
        ticket = Ticket(secrets.token_hex(8), question, now if kept else math.inf)
        self._tickets[ticket.id] = ticket
        self._waiting.append(ticket)
        self._rest_until = 0.0
        return ticket

    def refresh(self, question: Refresh) -> None:
        """Have a resting run's frame made; of several wishes that come while one is under way the newest stands."""
        if question.run in self._refreshing:
            self._refresh_next[question.run] = question
        else:
            ticket = self.submit(question, kept=False)
            ticket.refreshes = question.run
            self._refreshing.add(question.run)

    def find(self, ticket: str) -> Ticket:
        """A ticket that is polled; EngineError when it is not known any more."""
        found = self._tickets.get(ticket)
        if found is None:
            raise EngineError(_("This question is not known any more; ask again."))
        if not math.isinf(found.touched):
            found.touched = time.monotonic()
        return found

    def cancel(self, ticket: str) -> None:
        """Give a question up. An unknown or answered one is no error: it may have just ended."""
        found = self._tickets.get(ticket)
        if found is None or found.done:
            return
        if found in self._waiting:
            self._waiting.remove(found)
            self._finish(found, error=_("The question was given up."))
            return
        found.deadline = time.monotonic() + GIVE_UP
        for worker, busy in self.workers.items():
            if busy is found:
                with suppress(EngineError):
                    worker.send(GiveUp(ticket))

    def forget(self, ticket: Ticket) -> None:
        self._tickets.pop(ticket.id, None)

    def count(self) -> int:
        """Questions that wait or are being answered."""
        return len(self._waiting) + sum(busy is not None for busy in self.workers.values())

    # for the engine's own thread
    def staff(self) -> None:
        """Make the workers that are missing; called without the lock."""
        while len(self.workers) < self._wanted and time.monotonic() >= self._rest_until:
            try:
                made = self._nursery.make(answers=True)
            except EngineError as error:
                log.exception("no worker for questions")
                with self._changed:
                    self._rest_until = time.monotonic() + REST
                    for ticket in self._waiting:
                        self._finish(ticket, error=str(error))
                    self._waiting.clear()
                return
            with self._changed:
                self.workers[made] = None

    def dispatch(self) -> None:
        """Hand waiting questions to idle workers. Only to those that are ready: they read at once."""
        now = time.monotonic()
        for worker, busy in self.workers.items():
            idle = busy is None and worker.ready and worker.open
            if idle and self._waiting and worker.silent(now) < FRESH:
                ticket = self._waiting.popleft()
                try:
                    worker.send(Ask(ticket.id, ticket.question))
                    self.workers[worker] = ticket
                except EngineError:
                    self._waiting.appendleft(ticket)

    def hear(self) -> None:
        """Take in what the workers say, and see who is gone."""
        for worker in list(self.workers):
            gone = worker.gone()  # asked first: what it said last is still read
            for message in worker.messages():
                self._take(worker, message)
            if gone or not worker.open:
                self._lost(worker)

    def tick(self, now: float) -> None:
        """Kill workers that do not leave a cancelled question or give no sign of life; give up what nobody polls;
        forget old answers."""
        for worker, ticket in self.workers.items():
            patience = LOST if ticket is not None or not worker.ready else SILENT
            if worker.silent(now) > patience or (ticket is not None and now > ticket.deadline):
                worker.kill()
        for ticket in list(self._tickets.values()):
            if now - ticket.touched > KEPT:
                self.cancel(ticket.id)
                if ticket.done:
                    self.forget(ticket)

    def forgive(self, seconds: float) -> None:
        """The engine itself did not run for so long."""
        for worker in self.workers:
            worker.forgive(seconds)

    def _take(self, worker: Worker, message: Any) -> None:
        ticket = self.workers.get(worker)
        if isinstance(message, Ready):
            worker.ready = True
        elif ticket is None:
            log.warning("a worker said %r to nobody", message)
        elif isinstance(message, Part):
            ticket.fraction, ticket.words = message.fraction, message.words
            if message.part is not None:
                ticket.parts.append(message.part)
            self._changed.notify_all()
        else:
            self.workers[worker] = None
            if isinstance(message, Answered):
                self._finish(ticket, message.answer)
            else:
                ticket.unforeseen = isinstance(message, Failed) and message.unforeseen
                self._finish(ticket, error=message.text if isinstance(message, Failed) else str(message))

    def _lost(self, worker: Worker) -> None:
        if not worker.gone():  # it has closed its end; what is left of it holds a place
            worker.kill()
            return
        ticket = self.workers.pop(worker)
        if not worker.ready:
            self._rest_until = time.monotonic() + REST
        lost = worker.silent(time.monotonic()) > LOST
        code = worker.bury()
        if ticket is not None and lost and math.isinf(ticket.deadline):
            hung = Sentence(
                "The worker gave no sign of life for {lost:g} s while it answered, and was ended. Ask again.", lost=LOST
            )
            self._finish(ticket, error=hung)
        elif ticket is None:
            log.warning("an idle worker ended (exit code %d)", code)
        elif math.isinf(ticket.deadline):
            self._finish(ticket, error=reason(code, None, "", False))
        else:
            self._finish(ticket, error=_("The question was given up."))

    def _finish(self, ticket: Ticket, answer: Any = None, error: str = "") -> None:
        ticket.done, ticket.answer, ticket.error = True, answer, error
        if run := ticket.refreshes:
            if error:
                log.info("no frame for %s: %s", run, error)
            self._refreshing.discard(run)
            newest = self._refresh_next.pop(run, None)
            if newest is not None:
                self.refresh(newest)
        if math.isinf(ticket.touched):
            self.forget(ticket)
        else:
            ticket.touched = time.monotonic()
            ticket.fraction = ticket.fraction if error else 1.0
        self._changed.notify_all()
