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
from core.engine.protocol import Engine, EngineFailed, EngineGone
from core.store import Store, runs_home
from core.store.engine_files import hold_run

_lock = threading.Lock()
_engines: dict[Path, ClientEngine] = {}
_trouble: dict[Path, EngineGone] = {}  # why there was no engine when it was last looked for


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
    """Begin the engine again if it has gone; True if it had. EngineGone when there is none; `trouble` then says why."""
    client = handle()
    try:
        begun = client.ensure()
    except EngineGone as error:
        _trouble[client.folder] = error
        raise
    _trouble.pop(client.folder, None)
    return begun


def trouble() -> EngineGone | None:
    """What is wrong with the engine as far as this process knows; None while nothing is. It asks nobody."""
    client = handle()
    return client.silence or _trouble.get(client.folder)


def try_again() -> None:
    """Somebody has mended what kept the engine from beginning, or hopes so."""
    client = handle()
    client.try_again()
    _trouble.pop(client.folder, None)


def delete(run_id: str) -> None:
    """Delete a run, by the engine; where none can begin, which may be for want of space, without it."""
    try:
        engine().delete(run_id)
    except EngineFailed:
        run = store().run(run_id)
        with hold_run(run, 0):  # StoreError where a worker still trains it
            pass
        store().delete(run.id)
        try_again()


def close() -> None:
    """Let the engine go; the next use begins it again."""
    handle().close()


def store() -> Store:
    """The runs folder, to read."""
    return _store(runs_home().resolve())


@lru_cache(maxsize=16)
def _store(folder: Path) -> Store:
    return Store(folder)
