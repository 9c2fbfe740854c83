"""Whether an engine answers: every step of a call has its time, and who waits learns within seconds that it hangs.

A socket takes a connection and bytes for a process that was stopped, so that a plain `Client(...)` or `recv` waits for
as long as that process does. Here nothing waits without a limit, and no lock is held while something waits.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from core.engine.protocol import EngineGone, EngineSilent
from core.spec.sentences import Sentence

LOOK = 0.5  # seconds that a call waits before it looks whether the engine answers at all
ANSWER = 3.0  # seconds in which an engine must answer how it is; then it hangs
SILENT = 2.0  # seconds without an answer that are told
_FRESH = 2.0  # seconds for which it is known that it did not answer: nobody else need wait for the same


class Pulse:
    """What is known of the engine's life: from every reply, and from one question that is put while calls wait.

    `ask` puts that question; TimeoutError when there is no answer within ANSWER seconds. `words` makes the error that
    tells it, from the seconds so far.
    """

    def __init__(
        self,
        ask: Callable[[], object],
        words: Callable[[float], EngineSilent] = EngineSilent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._words, self._clock = ask, words, clock
        self._since = 0.0  # when it was asked what it has not answered yet; 0: it owes nothing
        self._missed = -_FRESH  # when it was last asked in vain
        self._asking = threading.Lock()  # only ever tried, never waited for

    def asked(self) -> None:
        """The engine owes an answer from now on, if it did not before."""
        self._since = self._since or self._clock()

    def heard(self) -> None:
        """It has answered something."""
        self._since, self._missed = 0.0, -_FRESH

    @property
    def silent(self) -> float:
        """Seconds for which it has owed an answer; 0 while they are too few to speak of."""
        since = self._since
        seconds = self._clock() - since if since else 0.0
        return seconds if seconds >= SILENT else 0.0

    def missed(self) -> EngineSilent:
        """It was asked in vain; the error that says so."""
        self._missed = self._clock()
        return self._words(max(ANSWER, self.silent))

    def check(self) -> None:
        """EngineSilent at once where it is known that nobody would be answered now."""
        if self.silent >= ANSWER and (self._asking.locked() or self._clock() - self._missed < _FRESH):
            raise self._words(self.silent)

    def look(self) -> None:
        """Ask the engine how it is, unless somebody does; EngineSilent when it does not say."""
        if not self._asking.acquire(blocking=False):
            self.check()
            return
        try:
            self.asked()
            self._ask()
        except TimeoutError:
            raise self.missed() from None
        finally:
            self._asking.release()

    def wait(self, conn: Connection, seconds: float) -> None:
        """Wait for a reply; EngineSilent as soon as the engine is known to hang, EngineGone after `seconds`."""
        end = self._clock() + seconds
        while not conn.poll(max(0.0, min(LOOK, end - self._clock()))):
            if self._clock() >= end:
                raise EngineGone(Sentence("The engine did not answer this within {seconds:g} s.", seconds=seconds))
            self.look()


def reached(place: str | tuple[str, int], key: bytes, seconds: float) -> Connection:
    """A connection with the keys exchanged. OSError, EOFError and AuthenticationError as `Client` raises them.

    TimeoutError when nobody answers within `seconds`, also where so many wait already that no more can.
    """
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(seconds)
        try:
            made.connect(place)
        except BlockingIOError:  # the row before an engine that takes nobody in is full
            raise TimeoutError from None
        made.settimeout(None)
        bound(made, seconds)
        conn = Connection(made.detach())
    try:
        answer_challenge(conn, key)
        deliver_challenge(conn, key)
        return conn
    except BaseException as error:
        conn.close()
        if isinstance(error, BlockingIOError):
            raise TimeoutError from None
        raise


def bound(made: socket.socket, seconds: float) -> None:
    """Have the system end any single read or write of this socket that takes longer (BlockingIOError then)."""
    if sys.platform == "win32":
        limit = struct.pack("I", int(1000 * seconds))
    else:
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        made.setsockopt(socket.SOL_SOCKET, option, limit)


def cut(conn: Connection) -> None:
    """End a connection that another thread may be waiting at: it reads the end of file at once."""
    with suppress(OSError, ValueError), socket.fromfd(conn.fileno(), socket.AF_INET, socket.SOCK_STREAM) as made:
        made.shutdown(socket.SHUT_RDWR)
