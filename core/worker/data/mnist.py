"""The heavy half of MNIST and of the two sets made to take its place: the same four files, other pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchvision.datasets import KMNIST, MNIST, FashionMNIST

from core.worker.data.download import fetch_each
from core.worker.data.idx import IdxSet, load_idx
from core.worker.data.splits import Report, Splits

COUNTS = (60_000, 10_000)


def load(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """Up to 55,000 training pictures, 5,000 for validation, the 10,000 official test pictures."""
    return _load("MNIST", MNIST, tuple("0123456789"), options, seed, folder, report)


def load_fashion(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """The same of Fashion-MNIST."""
    return _load("Fashion-MNIST", FashionMNIST, tuple(FashionMNIST.classes), options, seed, folder, report)


def load_kuzushiji(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """The same of KMNIST."""
    return _load("KMNIST", KMNIST, tuple(KMNIST.classes), options, seed, folder, report)


def _load(
    title: str, source: Any, classes: tuple[str, ...], options: Any, seed: int, folder: Path, report: Report
) -> Splits:
    """torchvision knows the addresses, the checksums and the folder: <class>/raw."""

    def fetch(raw: Path, report: Report) -> None:
        fetch_each(title, source.mirrors, source.resources, raw, report)

    train, test = ((f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k"))
    known = IdxSet(title, f"{source.__name__}/raw", train, test, COUNTS, classes, fetch)
    return load_idx(known, options.samples, seed, folder, report)
