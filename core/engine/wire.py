"""How values cross between processes: pickled by us, and nothing heavy may ride along.

Unpickling an object imports the module of its class. A torch exception or tensor that slipped into an answer would
so load torch into the web process; here such a value is refused by the name of its module, in words.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from core.engine.protocol import EngineError

VERSION = 1  # of what the engine and its clients say to each other
LIGHT = (
    "builtins", "collections", "copyreg", "datetime", "numpy",
    "core.catalog", "core.engine", "core.events", "core.options", "core.questions", "core.specs",
)  # fmt: skip


class _Light(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if not any(module == root or module.startswith(f"{root}.") for root in LIGHT):
            raise EngineError(f"The value holds a {module}.{name}; only plain values and numpy arrays may cross.")
        return super().find_class(module, name)


def dumps(value: Any) -> bytes:
    """The value as bytes."""
    return pickle.dumps(value, protocol=5)


def loads(data: bytes) -> Any:
    """The inverse of dumps (and of Connection.send); EngineError when a class from outside LIGHT is in it."""
    try:
        return _Light(io.BytesIO(data)).load()
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever the bytes hold, it is told in words)
        raise EngineError(f"The value cannot be read: {type(error).__name__}: {error}") from None


def words(error: BaseException) -> str:
    """An exception as a sentence: our own errors speak for themselves, others are named."""
    text = str(error).strip()
    if type(error).__module__.startswith("core.") and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
