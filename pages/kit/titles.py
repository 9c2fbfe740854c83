"""The title of a page: its docstring's first line. In a module, since the shell is run anew at every rerun."""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from threading import Lock

_parsing = Lock()  # two threads that parse at once: "AST constructor recursion depth mismatch" (CPython gh-106905)


@lru_cache(maxsize=256)
def title(file: Path, _changed: float) -> str:
    """The first line of the docstring; the page is read, not run. Read again when the time of change is another."""
    source = SourceFileLoader(file.stem, str(file)).get_source(file.stem) or ""
    with _parsing:
        words = ast.get_docstring(ast.parse(source)) or file.stem.partition("_")[2] or file.stem
    return words.splitlines()[0].rstrip(".")
