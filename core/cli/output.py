"""What every command shares: mistakes, pairs NAME=VALUE, and how an answer is printed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from core.spec.quoting import quoted, visible
from core.spec.sentences import Sentence
from core.store import languages, runs_home


class Mistake(Exception):
    """Something the person who typed can mend; the text is one line."""


class Failure(Exception):
    """A worker met an error that nobody expected; the text names it."""


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE as its two halves."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Mistake(Sentence("“{text}” should be NAME=VALUE, such as train.lr=0.01", text=quoted(text)))
    return name, value


def runs_folder(asked: argparse.Namespace) -> Path:
    return Path(asked.runs) if asked.runs else runs_home()


def writable(*files: str | None) -> None:
    """Mistake where a file that is asked for could not be written: said before minutes of work are lost to it."""
    for file in filter(None, files):
        if not _can_be_written(Path(file)):
            name = quoted(file, 200)
            raise Mistake(
                Sentence(
                    "{name} could not be written: choose a name in a folder that is there and yours to write to",
                    name=name,
                )
            )


def _can_be_written(file: Path) -> bool:
    try:
        return file.parent.is_dir() and os.access(file.parent, os.W_OK | os.X_OK) and not file.is_dir()
    except OSError:  # a name too long, a folder that may not be looked into
        return False


def aloud(asked: argparse.Namespace) -> Callable[[str], None]:
    """Progress on stderr, unless there is to be nothing but JSON."""
    said: list[str] = []

    def tell(words: str) -> None:
        if not asked.json and said[-1:] != [words]:
            said.append(words)
            say(words, file=sys.stderr)

    return tell


def say(text: object = "", *, file: TextIO | None = None, flush: bool = True) -> None:
    """Print a sentence in the language of the process.

    The one way by which text comes to the terminal: nothing in a name moves its cursor.
    """
    out = file or sys.stdout
    written = visible(languages.of_process().text(text) if isinstance(text, Sentence) else str(text))
    known = out.encoding or "utf-8"
    print(written.encode(known, "backslashreplace").decode(known), file=out, flush=flush)


def show(asked: argparse.Namespace, found: dict[str, Any]) -> None:
    if asked.json:
        print_json(found)
    else:
        say("  ".join(f"{k} {v}" for k, v in found.items()))


def print_json(found: dict[str, Any]) -> None:
    print(json.dumps(plain(found), allow_nan=False), flush=True)


def plain(value: Any) -> Any:
    """JSON has no nan or inf: they are written as words."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        from core.spec.events import json_number

        return json_number(value)
    return value
