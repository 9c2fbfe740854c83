"""The heavy half of CIFAR-10: torchvision's folder of batches, or a part of the set in a folder of the same make."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10

from core.spec.quoting import quoted, shown
from core.spec.sentences import Sentence, _
from core.store.regular import read_regular
from core.worker.data.download import Unreachable, fetched, offline
from core.worker.data.splits import DataError, Report, Splits, pictures, split_by_class

FOLDER, SUBSET = "cifar-10-batches-py", "cifar-10-subset-py"
TRAIN, TEST, META = tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",), "batches.meta"
BATCH = 10_000  # pictures in each file of the full set
VALUES = 3 * 32 * 32
FILE_LIMIT = 256 << 20  # bytes; a full batch has 31 MB
VALIDATION = 0.1  # of the training pictures
MEND = _("Put a whole file of that name there, or remove its folder to have the set downloaded again.")
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """Up to 45,000 training pictures, 5,000 for validation, the 10,000 official test pictures; or a subset's."""
    place = folder / FOLDER
    notes: tuple[str, ...] = ()
    if not _complete(place) and (folder / SUBSET / "data_batch_1").exists():
        place = folder / SUBSET
        train, test = read_batch(place / TRAIN[0]), read_batch(place / TEST[0])
        notes = (
            Sentence(
                "The full CIFAR-10 is not in {absolute}; its subset in {subset} is used: {train:,} training and "
                "{test:,} test pictures.",
                absolute=folder.absolute(),
                subset=SUBSET,
                train=len(train[1]),
                test=len(test[1]),
            ),
        )
    else:
        _fetch(place, report)
        batches = [read_batch(place / name, BATCH) for name in (*TRAIN, *TEST)]
        train = np.concatenate([x for x, _y in batches[:-1]]), np.concatenate([y for _x, y in batches[:-1]])
        test = batches[-1]
    keep, validation, _none = split_by_class(train[1], (VALIDATION, 0.0), seed)
    parts = [(train[0][i], train[1][i]) for i in (keep[: options.samples], validation)]
    splits = pictures([*parts, test], NAMES)
    splits.notes = notes
    return splits


def _complete(place: Path) -> bool:
    return all((place / name).exists() for name in (*TRAIN, *TEST))


def _fetch(place: Path, report: Report) -> None:
    if _complete(place):
        return
    words = _("downloading CIFAR-10 (170 MB)")
    try:
        with fetched([CIFAR10.url], CIFAR10.tgz_md5, place, lambda share: report(share, words)) as packed:
            _unpack(packed, place)
    except Unreachable as error:
        names = (*TRAIN, *TEST)
        raise offline(
            "CIFAR-10",
            place.absolute(),
            error,
            Sentence("the six files {names} of cifar-10-python.tar.gz", names=names),
        ) from None


def _unpack(archive: Path, place: Path) -> None:
    """Only the files that are known by name, each under a temporary name first."""
    with tarfile.open(archive) as held:
        for name in (*TRAIN, *TEST, META):
            source = held.extractfile(f"{FOLDER}/{name}")
            if source is None:
                raise DataError(
                    Sentence(
                        "CIFAR-10's archive has no {folder}/{name}; expected it there. Try again later.",
                        folder=FOLDER,
                        name=name,
                    )
                )
            unpacked = archive.with_name(name)
            unpacked.write_bytes(source.read())
            unpacked.replace(place / name)


class _Plain(pickle.Unpickler):
    """Python's own pickles run whatever they name; a batch needs numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        of_numpy = module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype", "_frombuffer")
        if of_numpy or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            Sentence("it names {module}.{name}, which no batch of pictures needs", module=module, name=name)
        )


def _held(data: Any, labels: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, if they can have come from a file of `size` bytes.

    A pickle of a few bytes may name one list a million times, or an array of any size that holds nothing.
    """
    plain = isinstance(labels, list) and len(labels) <= size and all(isinstance(one, int | str) for one in labels)
    if not isinstance(data, np.ndarray) or not (plain or isinstance(labels, np.ndarray)):
        raise TypeError(
            Sentence("{name} of pictures and {name2} of labels", name=type(data).__name__, name2=type(labels).__name__)
        )
    if max(data.nbytes, getattr(labels, "nbytes", 0)) > size:
        raise ValueError(Sentence("an array of {nbytes:,} bytes in a file of {size:,}", nbytes=data.nbytes, size=size))
    return data, np.asarray(labels)


def read_batch(path: Path, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [n, 32, 32, 3] and labels int64 [n] of one batch; with `count`, exactly so many.

    DataError names the file, what was expected and what was found.
    """
    wanted = (
        Sentence("{count:,} pictures of {values:,} bytes", count=count, values=VALUES)
        if count
        else Sentence("pictures of {values:,} bytes", values=VALUES)
    )
    try:
        file = read_regular(path, FILE_LIMIT)
        held = _Plain(io.BytesIO(file), encoding="latin1").load()
        data, labels = _held(held["data"], held["labels"], len(file))
    except Exception as error:  # noqa: BLE001 (a torn pickle raises anything)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        found = Sentence("expected a batch of CIFAR-10 with {wanted}, found {reason}", wanted=wanted, reason=reason)
        raise DataError(
            Sentence("{path} cannot be read: {found}. {mend}", path=quoted(path, 200), found=found, mend=MEND)
        ) from None
    fits = data.ndim == 2 and data.shape[1] == VALUES and data.dtype == np.uint8 and labels.shape == data.shape[:1]
    if not fits or not len(data) or len(data) != (count or len(data)):
        found = Sentence(
            "{dtype} {shape} with labels {others}",
            dtype=data.dtype,
            shape="×".join(map(str, data.shape)),
            others="×".join(map(str, labels.shape)),
        )
        name = quoted(path, 200)
        raise DataError(
            Sentence(
                "{name} holds another shape: expected {wanted} with a label each, found {found}. {mend}",
                name=name,
                wanted=wanted,
                found=found,
                mend=MEND,
            )
        )
    if labels.dtype.kind not in "iu":
        found = Sentence("{dtype}, the first {item}", dtype=labels.dtype, item=shown(labels[0].item()))
        raise DataError(
            Sentence(
                "{path} holds other labels: expected whole numbers 0 … 9, found {found}. {mend}",
                path=quoted(path, 200),
                found=found,
                mend=MEND,
            )
        )
    if labels.min() < 0 or labels.max() > 9:
        found = Sentence("{least} … {largest}", least=labels.min(), largest=labels.max())
        raise DataError(
            Sentence(
                "{path} holds other labels: expected 0 … 9, found {found}. {mend}",
                path=quoted(path, 200),
                found=found,
                mend=MEND,
            )
        )
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels.astype(np.int64)
