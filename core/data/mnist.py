"""The heavy half of MNIST: read from the data folder, or downloaded there with progress."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import MNIST
from torchvision.datasets.mnist import read_image_file, read_label_file

from core.data.splits import DataError, Report, Splits, pictures, split_by_class

SIZES = {"train": 60_000, "t10k": 10_000}
CHUNK = 1 << 16


def load(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """Up to 55,000 training pictures, 5,000 for validation, the 10,000 official test pictures."""
    raw = folder / "MNIST" / "raw"
    _fetch(raw, report)
    images, labels = _pair(raw, "train")
    keep, validation, _none = split_by_class(labels, (5_000 / 60_000, 0.0), seed)
    keep, validation = np.concatenate([keep, validation[5_000:]])[: options.samples], validation[:5_000]
    parts = [(images[keep], labels[keep]), (images[validation], labels[validation]), _pair(raw, "t10k")]
    return pictures(parts, tuple("0123456789"))


def _pair(raw: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images = _read(raw / f"{part}-images-idx3-ubyte", read_image_file, (SIZES[part], 28, 28))
    labels = _read(raw / f"{part}-labels-idx1-ubyte", read_label_file, (SIZES[part],))
    return images, labels


def _read(path: Path, reader: Any, expected: tuple[int, ...]) -> np.ndarray:
    try:
        found: np.ndarray = reader(str(path)).numpy()
    except Exception as error:  # noqa: BLE001  torchvision raises anything from AssertionError to RuntimeError on a torn file
        raise DataError(f"{path} cannot be read ({error}). Remove the file to have it downloaded again.") from None
    if found.shape != expected:  # torchvision reads what the header says
        raise DataError(f"{path} holds {found.shape}, expected {expected}. Remove it to have it downloaded again.")
    return found


def _fetch(raw: Path, report: Report) -> None:
    missing = [(name, md5) for name, md5 in MNIST.resources if not (raw / name.removesuffix(".gz")).exists()]
    if not missing:
        return
    raw.mkdir(parents=True, exist_ok=True)
    for i, (name, md5) in enumerate(missing):
        problems = []
        for mirror in MNIST.mirrors:
            try:
                _download(mirror + name, md5, raw / name.removesuffix(".gz"), lambda f, i=i, name=name: report(
                    (i + f) / len(missing), f"downloading MNIST: {name}"))  # fmt: skip
                break
            except (urllib.error.URLError, OSError, EOFError) as error:
                problems.append(str(getattr(error, "reason", error)))
        else:
            raise DataError(
                f"MNIST is not in {raw} and could not be downloaded ({problems[-1]}). Put the four files "
                f"{', '.join(n.removesuffix('.gz') for n, _ in MNIST.resources)} there, or choose another data folder."
            )


def _download(url: str, md5: str, target: Path, report: Any) -> None:
    """Fetch, check and unpack under a temporary name, then rename: a cut download leaves nothing behind."""
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        seen = hashlib.md5(usedforsecurity=False)
        packed, unpacked = Path(temporary) / "packed", Path(temporary) / "unpacked"
        with urllib.request.urlopen(url, timeout=20) as answer, packed.open("wb") as file:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(CHUNK):
                file.write(block)
                seen.update(block)
                done += len(block)
                report(done / total if total else 0.5)
        if seen.hexdigest() != md5:
            raise DataError(f"{url} gave another content than MNIST's (its checksum differs). Try again later.")
        with gzip.open(packed) as source, unpacked.open("wb") as file:
            shutil.copyfileobj(source, file)
        unpacked.replace(target)
