"""Sets in MNIST's file format: read from the data folder, or downloaded there.

IDX: two zero bytes, the type (8 = unsigned byte), the number of axes, each axis' length as a big-endian 32-bit number,
then the values (LeCun, Cortes & Burges: the MNIST database).
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from core.spec.quoting import quoted
from core.store.regular import open_regular
from core.worker.data.download import Unreachable, here, offline
from core.worker.data.splits import DataError, Report, Splits, pictures, split_by_class

SIDE = 28
VALIDATION = 5_000  # pictures


@dataclass(frozen=True)
class IdxSet:
    """One set of four files. `fetch(folder, report)` puts those that are missing there; it may raise Unreachable."""

    title: str
    folder: str  # below the data folder
    train: tuple[str, str]  # names of the files with the pictures and with the labels
    test: tuple[str, str]
    counts: tuple[int, int]
    classes: tuple[str, ...]
    fetch: Callable[[Path, Report], None]
    first_label: int = 0
    transposed: bool = False  # rows and columns are changed over in the file


def load_idx(known: IdxSet, samples: int, seed: int, folder: Path, report: Report) -> Splits:
    """Up to `samples` training pictures, 5,000 for validation out of the same files, the official test pictures."""
    raw = folder / known.folder
    if not all(here(raw / name) for name in (*known.train, *known.test)):
        try:
            known.fetch(raw, report)
        except Unreachable as error:
            names = ", ".join((*known.train, *known.test))
            raise offline(known.title, raw.absolute(), error, f"the four files {names} (as they are, or .gz)") from None
    images, labels = _pair(known, raw, known.train, known.counts[0])
    keep, validation, _none = split_by_class(labels, (VALIDATION / len(labels), 0.0), seed)
    keep, validation = np.concatenate([keep, validation[VALIDATION:]])[:samples], validation[:VALIDATION]
    test = _pair(known, raw, known.test, known.counts[1])
    return pictures([(images[keep], labels[keep]), (images[validation], labels[validation]), test], known.classes)


def _pair(known: IdxSet, raw: Path, names: tuple[str, str], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Upright pictures uint8 [n, 28, 28] and labels uint8 [n] from 0 on."""
    images = read_idx(raw / names[0], (count, SIDE, SIDE))
    labels = read_idx(raw / names[1], (count,))
    last = known.first_label + len(known.classes) - 1
    if labels.min() < known.first_label or labels.max() > last:
        name = quoted(raw / names[1], 200)
        raise DataError(
            f"{name} holds labels {labels.min()} … {labels.max()}, expected {known.first_label} … {last}. "
            "Remove it to have it downloaded again."
        )
    return images.transpose(0, 2, 1) if known.transposed else images, labels - np.uint8(known.first_label)


def read_idx(path: Path, expected: tuple[int, ...]) -> np.ndarray:
    """The bytes [expected] of an IDX file, or of its .gz. DataError names the file, what was expected and was found."""
    if not path.exists():
        path = path.with_name(f"{path.name}.gz")
    again = "Remove the file to have it downloaded again."
    axes, count, wanted = len(expected), math.prod(expected), " × ".join(f"{n:,}" for n in expected)
    start = 4 + 4 * axes
    try:
        with open_regular(path) as file:
            data = _at_most(file, path.suffix == ".gz", start + count + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = quoted(getattr(error, "strerror", None) or error, 200)
        raise DataError(f"{quoted(path, 200)} cannot be read ({why}). {again}") from None
    if len(data) < start or data[:4] != bytes((0, 0, 8, axes)):
        begins = data[:4].hex(" ") or "nothing"
        size = f"{len(data):,}" if len(data) <= start + count else f"more than {start + count:,}"
        found = f"expected it to begin with 00 00 08 {axes:02x}, found {begins} in {size} bytes"
        raise DataError(f"{quoted(path, 200)} is no IDX file of {wanted} bytes: {found}. {again}")
    shape = tuple(np.frombuffer(data, ">u4", axes, 4).tolist())
    if shape != expected:
        raise DataError(f"{quoted(path, 200)} holds {' × '.join(f'{n:,}' for n in shape)}, expected {wanted}. {again}")
    if len(data) > start + count:
        raise DataError(f"{quoted(path, 200)} is too long: expected {count:,} values, found more. {again}")
    if len(data) < start + count:
        name = quoted(path, 200)
        raise DataError(f"{name} is not whole: expected {count:,} values, found {len(data) - start:,}. {again}")
    # a copy: torch wants an array that may be written to
    return np.frombuffer(data, np.uint8, offset=start).reshape(expected).copy()


def _at_most(file: IO[bytes], packed: bool, most: int) -> bytes:
    """The first `most` bytes of a file, unpacked as they come: a small one may unfold into gigabytes."""
    if not packed:
        return file.read(most)
    with gzip.GzipFile(fileobj=file) as unpacked:
        return unpacked.read(most)
