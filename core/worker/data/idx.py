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
from core.spec.sentences import Sentence, _
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
            names = (*known.train, *known.test)
            raise offline(
                known.title,
                raw.absolute(),
                error,
                Sentence("the four files {names} (as they are, or .gz)", names=names),
            ) from None
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
            Sentence(
                "{name} holds labels {min} … {max}, expected {first_label} … {last}. Remove it to have it "
                "downloaded again.",
                name=name,
                min=labels.min(),
                max=labels.max(),
                first_label=known.first_label,
                last=last,
            )
        )
    return images.transpose(0, 2, 1) if known.transposed else images, labels - np.uint8(known.first_label)


def read_idx(path: Path, expected: tuple[int, ...]) -> np.ndarray:
    """The bytes [expected] of an IDX file, or of its .gz. DataError names the file, what was expected and was found."""
    if not path.exists():
        path = path.with_name(f"{path.name}.gz")
    again = _("Remove the file to have it downloaded again.")
    axes, count, wanted = len(expected), math.prod(expected), " × ".join(f"{n:,}" for n in expected)
    start = 4 + 4 * axes
    try:
        with open_regular(path) as file:
            data = _at_most(file, path.suffix == ".gz", start + count + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = quoted(getattr(error, "strerror", None) or error, 200)
        raise DataError(
            Sentence("{path} cannot be read ({why}). {again}", path=quoted(path, 200), why=why, again=again)
        ) from None
    if len(data) < start or data[:4] != bytes((0, 0, 8, axes)):
        begins = data[:4].hex(" ") or _("nothing")
        size = f"{len(data):,}" if len(data) <= start + count else Sentence("more than {start:,}", start=start + count)
        found = Sentence(
            "expected it to begin with 00 00 08 {axes:02d}, found {begins} in {size} bytes",
            axes=axes,
            begins=begins,
            size=size,
        )
        raise DataError(
            Sentence(
                "{path} is no IDX file of {wanted} bytes: {found}. {again}",
                path=quoted(path, 200),
                wanted=wanted,
                found=found,
                again=again,
            )
        )
    shape = tuple(np.frombuffer(data, ">u4", axes, 4).tolist())
    if shape != expected:
        raise DataError(
            Sentence(
                "{path} holds {shape}, expected {wanted}. {again}",
                path=quoted(path, 200),
                shape=" × ".join(f"{n:,}" for n in shape),
                wanted=wanted,
                again=again,
            )
        )
    if len(data) > start + count:
        raise DataError(
            Sentence(
                "{path} is too long: expected {count:,} values, found more. {again}",
                path=quoted(path, 200),
                count=count,
                again=again,
            )
        )
    if len(data) < start + count:
        name = quoted(path, 200)
        raise DataError(
            Sentence(
                "{name} is not whole: expected {count:,} values, found {data:,}. {again}",
                name=name,
                count=count,
                data=len(data) - start,
                again=again,
            )
        )
    # a copy: torch wants an array that may be written to
    return np.frombuffer(data, np.uint8, offset=start).reshape(expected).copy()


def _at_most(file: IO[bytes], packed: bool, most: int) -> bytes:
    """The first `most` bytes of a file, unpacked as they come: a small one may unfold into gigabytes."""
    if not packed:
        return file.read(most)
    with gzip.GzipFile(fileobj=file) as unpacked:
        return unpacked.read(most)
