"""The engine's side of its socket: authenticated connections, one thread each, calls by name, answers as bytes.

Not multiprocessing.managers: both of its ends unpickle whatever comes (seen: torch in the web process, by an exception
that the engine raised), it waits without a limit, and keeps a dead connection per thread. Here are the same listener,
the same key exchange, and a table of method names; what is said is written and read by core.engine.wire.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from typing import Any

from core.engine.heartbeat import cut
from core.engine.protocol import Engine, EngineError
from core.engine.wire import LIMIT, dumps, loads, words
from core.spec.quoting import shown
from core.spec.sentences import Sentence
from core.store.addresses import Address

log = logging.getLogger(__name__)
CALLS = ("start", "command", "runs", "state", "delete", "submit", "poll", "cancel", "ask", "status")


class Server:
    """Serves one engine at one address until closed."""

    def __init__(self, engine: Engine, address: Address) -> None:
        self._methods: dict[str, Callable[..., Any]] = {name: getattr(engine, name) for name in CALLS}
        self._callers: set[Connection] = set()
        self._listener: Listener | None = None
        self.listen(address)

    def listen(self, address: Address) -> None:
        """Take callers at this place, and no more at the one before. Who is connected stays so."""
        before, self._listener = self._listener, Listener(address.place, backlog=64)
        self.address = replace(address, place=self._listener.address)  # the port is known only now
        threading.Thread(target=self._accept, args=(self._listener, address.key), name="accept", daemon=True).start()
        _close(before)

    def close(self) -> None:
        """Take no more callers, and part from those that are connected: a closed engine would tell them old news."""
        _close(self._listener)
        for conn in list(self._callers):
            cut(conn)

    def _accept(self, listener: Listener, key: bytes) -> None:
        while True:
            try:
                conn = listener.accept()  # without the key exchange: a silent caller must not hold up the next
            except OSError:
                return
            self._callers.add(conn)
            threading.Thread(target=self._talk, args=(conn, key), name=_caller(conn), daemon=True).start()

    def _talk(self, conn: Connection, key: bytes) -> None:
        with conn:
            try:
                deliver_challenge(conn, key)
                answer_challenge(conn, key)
                while True:
                    conn.send_bytes(self._answer(conn.recv_bytes(LIMIT)))
            except AuthenticationError:
                log.warning("a caller without the key was turned away")
            except (EOFError, OSError):
                return
            finally:
                self._callers.discard(conn)

    def _answer(self, data: bytes) -> bytes:
        try:
            name, args = loads(data)
            if name not in self._methods:
                raise EngineError(Sentence("The engine has no method {name}.", name=shown(name)))
            return dumps((True, self._methods[name](*args)))
        except Exception as error:  # as text: see core.engine.wire
            if not isinstance(error, EngineError):
                log.exception("in a call")
            return dumps((False, words(error)))


def _caller(conn: Connection) -> str:
    """Who calls, for the log: what is done for a caller is done in a thread of this name."""
    try:
        with socket.socket(fileno=os.dup(conn.fileno())) as one:
            pid, _user, _group = struct.unpack("3i", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except (OSError, AttributeError, struct.error):  # a socket of another kind does not tell
        return "a process"
    return Sentence("process {pid}", pid=pid)


def _close(listener: Listener | None) -> None:
    if listener is not None:
        with suppress(OSError):
            listener.close()
