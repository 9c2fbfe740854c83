"""An entry that stands in a catalog for one test, as if its file were in the folder."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from core.spec.registry import Registry


def put(monkeypatch: pytest.MonkeyPatch, known: Registry, entry: Any) -> None:
    """Until the test ends the catalog has this entry under its name, also in the place of another."""
    monkeypatch.setitem(vars(known), "_files", sorted({*known._files, entry.name}))
    monkeypatch.setitem(sys.modules, f"{known.package}.{entry.name}", SimpleNamespace(ENTRY=entry))
