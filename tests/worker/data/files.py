"""Files in the formats of the downloadable sets, with next to nothing in them; and what only looks like a file."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from core.worker.data import cifar10


def idx_bytes(values: np.ndarray) -> bytes:
    """uint8 values [n] or [n, H, W] as an IDX file."""
    header = bytes((0, 0, 8, values.ndim)) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_idx_set(folder: Path, known, *, zipped: bool = True) -> list[tuple[str, str]]:
    """The four files of an IdxSet, right in shape; labels 0 1 2 … over and over. Their (name, md5)."""
    folder.mkdir(parents=True)
    made = []
    for (pictures, labels), n in zip((known.train, known.test), known.counts, strict=True):
        y = np.arange(n) % len(known.classes) + known.first_label
        for name, values in ((pictures, np.zeros((n, 28, 28), np.uint8)), (labels, y)):
            data = idx_bytes(values)
            if zipped:
                name, data = f"{name}.gz", gzip.compress(data, compresslevel=1)
            (folder / name).write_bytes(data)
            made.append((name, hashlib.md5(data).hexdigest()))
    return made


def write_batches(folder: Path, names: tuple[str, ...], n: int) -> None:
    """CIFAR-10 batches of n pictures of noise; the label of picture i is i mod 10."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        held = {"data": rng.integers(0, 256, (n, cifar10.VALUES), dtype=np.uint8), "labels": [i % 10 for i in range(n)]}
        (folder / name).write_bytes(pickle.dumps(held, protocol=2))


@contextmanager
def placed(kind: str, folder: Path) -> Iterator[Path]:
    """Something under a name that is no plain file."""
    path = folder / "x.txt"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a pipe behind a link":
        os.mkfifo(folder / "pipe")
        path.symlink_to(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        if kind == "a socket":
            bound.bind(str(path))
        yield path


KINDS = ("a folder", "a pipe", "a device", "a pipe behind a link", "a socket")
