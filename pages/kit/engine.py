"""The engine and the store of this web process: one handle for all pages and the door.

$LAYERLAB_RUNS, or runs/ under $LAYERLAB_HOME, names the folder. The engine is joined or started on first use: by the
door in the app, by the first page in a test.
"""

from __future__ import annotations

import atexit
import threading
from functools import lru_cache
from pathlib import Path

from core.engine.client import ClientEngine
from core.engine.local import cores
from core.engine.protocol import Engine
from core.store import Store
from core.store.engine_files import runs_home

_lock = threading.Lock()
_engines: dict[Path, ClientEngine] = {}


def handle() -> ClientEngine:
    """The one client of this process for the folder that the environment names; it starts nothing by itself."""
    folder = runs_home().resolve()
    with _lock:
        if folder not in _engines:
            # one core for the browser and the server: both draw while a run trains
            client = _engines[folder] = ClientEngine(folder, lone_threads=max(1, cores() - 1))
            atexit.register(client.close)
        return _engines[folder]


def engine() -> Engine:
    """The engine, begun if it was not used before. EngineGone, in words, when it cannot be reached."""
    client = handle()
    if not client.used:
        client.ensure()
    return client


def ensure() -> bool:
    """Begin the engine again if it has gone; True if it had."""
    return handle().ensure()


def close() -> None:
    """Let the engine go; the next use begins it again."""
    handle().close()


def store() -> Store:
    """The runs folder, to read."""
    return _store(runs_home().resolve())


@lru_cache(maxsize=16)
def _store(folder: Path) -> Store:
    return Store(folder)
