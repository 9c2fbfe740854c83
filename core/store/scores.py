"""The last scoreboards: $LAYERLAB_HOME/scores/full.npz and quick.npz, each replaced in one step.

A file holds the arrays of a core.spec.questions.Scored, and its other fields as JSON in the array "about".
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from core.spec.questions import Gate, Hanging, Measured, Scored, ScoreRow
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, from_written, written
from core.store.files import StoreError, explained, layerlab_home, write_npz
from core.store.regular import read_regular

FORMAT = 2  # 1 did not say how much hangs on which part, and claimed more
ABOUT = "about"
KINDS = ("full", "quick")
MOST = 256 << 20  # bytes; what we write is not packed, and has a few MB


def keep_scores(scored: Scored) -> None:
    """Keep a scoreboard in the place of the one before. StoreError in words."""
    about = {f.name: getattr(scored, f.name) for f in fields(Scored) if f.name != "arrays"}
    about |= {name: [asdict(one) for one in about[name]] for name in ("rows", "gates", "hanging")}
    about["held"] = sorted(scored.arrays)  # each has a checksum in the file, but not the name under which it lies there
    text = json.dumps({"format": FORMAT, **written(about)}, allow_nan=False).encode()
    path = _path(KINDS[scored.quick])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, path) from error
    write_npz(path, {ABOUT: np.frombuffer(text, np.uint8), **scored.arrays})


@contextmanager
def making_scores() -> Iterator[None]:
    """Inside, nobody else makes a scoreboard to be kept; StoreError where somebody does.

    It takes a worker's minutes: one after the other is enough for a whole class, who all see the one that is kept.
    """
    path = _path("full").with_name(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(
            _(
                "Somebody else is having the methods scored just now. Look here again in a few minutes: "
                "everybody sees the scoreboard that is made."
            )
        ) from None
    except OSError as error:
        raise explained(error, path) from error
    try:
        yield
    finally:
        lock.release()


def kept_scores() -> dict[str, Scored]:
    """The kept scoreboards by kind, the full one first; a file that cannot be read is as if it were not there."""
    found = {}
    for kind in KINDS:
        try:
            found[kind] = _read(_path(kind))
        except StoreError:
            continue
    return found


def scores_stamp() -> tuple[float, ...]:
    """For each of KINDS a number that changes with the kept scoreboard; 0 where there is none."""
    return tuple(_path(kind).stat().st_mtime if _path(kind).exists() else 0.0 for kind in KINDS)


def _path(kind: str) -> Path:
    return layerlab_home() / "scores" / f"{kind}.npz"


def _read(path: Path) -> Scored:
    try:
        with zipfile.ZipFile(held := io.BytesIO(read_regular(path, MOST))) as packed:
            if any(one.compress_type != zipfile.ZIP_STORED for one in packed.infolist()):
                # nor can it unfold into gigabytes
                raise StoreError(Sentence("{path} is packed; a scoreboard is not.", path=quoted(path.name)))
        with np.load(held) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        about: dict[str, Any] = from_written(json.loads(arrays.pop(ABOUT).tobytes()))
        if about.pop("format") != FORMAT:
            raise StoreError(Sentence("{path} has another format.", path=quoted(path.name)))
        if about.pop("held", sorted(arrays)) != sorted(arrays):
            raise StoreError(
                Sentence("{path} is damaged: it holds other arrays than were written.", path=quoted(path.name))
            )
        about["rows"] = tuple(_row(row) for row in about["rows"])
        about["hanging"] = tuple(Hanging(**{**one, "share": Measured(**one["share"])}) for one in about["hanging"])
        about["gates"] = tuple(Gate(**gate) for gate in about["gates"])
        for name in ("left_out", "reveal", "draw", "more", "words"):
            about[name] = tuple(tuple(one) if isinstance(one, list) else one for one in about[name])
        return Scored(**about, arrays=arrays)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 (a torn zip raises anything: EOFError, NotImplementedError, zlib.error …)
        raise StoreError(
            Sentence("{path} cannot be read: {error}.", path=quoted(path.name), error=quoted(error, 200))
        ) from None


def _row(row: dict[str, Any]) -> ScoreRow:
    read: dict[str, Any] = {k: Measured(**value) if isinstance(value, dict) else value for k, value in row.items()}
    return ScoreRow(**read)
