"""torch without its compiler, which nothing here uses: its import is a quarter of a worker's start, and 50 MiB.

torch imports `torch._dynamo` when the first optimizer is made and at each of its steps, only to tell the compiler where
not to compile. Here a stand-in says that nothing is compiled. Whoever wants more of it gets the real module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


class NothingCompiled(ModuleType):
    """In the place of torch._dynamo, as long as only this is asked of it."""

    @staticmethod
    def graph_break(*_told: Any, **_more: Any) -> None:
        """Nothing is compiled that could be broken."""

    @staticmethod
    def disable(function: Callable[..., Any] | None = None, *_told: Any, **_more: Any) -> Any:
        """A function that is not compiled is itself; without one, what makes it so."""
        return function if function is not None else lambda one: one

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real module's."""
        if name.startswith("__") and name != "__path__":  # of every module; `__path__` is asked for by its submodules
            raise AttributeError(name)
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
        return getattr(importlib.import_module(NAME), name)


def leave_out() -> None:
    """Put the stand-in in its place, unless the compiler has been loaded already; again is as once."""
    if NAME not in sys.modules:
        sys.modules[NAME] = torch._dynamo = NothingCompiled(NAME)
