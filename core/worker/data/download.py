"""Fetching files: with progress, checked, under a temporary name until whole. A cut download leaves nothing behind."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.worker.data.splits import DataError, Report

CHUNK = 1 << 16
SECONDS = 20  # without a byte, after which a server counts as gone


class Unreachable(Exception):
    """No address gave the file; the text says why."""


class NotHere(Exception):
    """The file would have to be downloaded, which only_here() forbids."""


_forbidden: ContextVar[bool] = ContextVar("_forbidden", default=False)


@contextmanager
def only_here() -> Iterator[None]:
    """Within it nothing is downloaded: NotHere where something would have to be."""
    before = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(before)


def offline(title: str, folder: Path, reason: object, put: str) -> DataError:
    """The one sentence for a set that is neither here nor to be had."""
    place = quoted(folder, 200)
    return DataError(
        Sentence(
            "{title} is not in {place} and could not be downloaded ({reason}); put {put} there, or choose "
            "another data folder (--data-dir, LAYERLAB_DATA).",
            title=title,
            place=place,
            reason=reason,
            put=put,
        )
    )


@contextmanager
def fetched(urls: list[str], md5: str, folder: Path, report: Callable[[float], None]) -> Iterator[Path]:
    """The first of `urls` that answers, as a temporary file in `folder`, its checksum right. Unreachable, DataError."""
    if _forbidden.get():
        raise NotHere
    fresh = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise Unreachable(Sentence("the folder cannot be written to: {strerror}", strerror=error.strerror)) from None
    try:
        with temporary as place:
            packed = Path(place) / "packed"
            _from_any(urls, md5, packed, report)
            yield packed
    except BaseException:
        with suppress(OSError):  # folders made for nothing go again; one that holds something stays
            for one in fresh:
                one.rmdir()
        raise


def _from_any(urls: list[str], md5: str, target: Path, report: Callable[[float], None]) -> None:
    reason: object = _("no address is known")
    for url in urls:
        try:
            found = _copy(url, target, report)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            continue
        if found == md5:
            return
        raise DataError(
            Sentence("{url} gave another content than expected (its checksum differs). Try again later.", url=url)
        )
    raise Unreachable(str(reason))


def _copy(url: str, target: Path, report: Callable[[float], None]) -> str:
    """Write what `url` gives to `target`; its MD5."""
    seen = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=SECONDS) as answer, target.open("wb") as file:
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        while block := answer.read(CHUNK):
            file.write(block)
            seen.update(block)
            done += len(block)
            report(min(done / total, 1.0) if total else 0.5)
    return seen.hexdigest()


def fetch_each(title: str, mirrors: list[str], files: list[tuple[str, str]], raw: Path, report: Report) -> None:
    """The gzipped `files` (name, md5) that are not in `raw` yet, unpacked there under the name without .gz."""
    missing = [(name, md5) for name, md5 in files if not here(raw / name.removesuffix(".gz"))]
    for i, (name, md5) in enumerate(missing):

        def tell(share: float, i: int = i, name: str = name) -> None:
            report((i + share) / len(missing), Sentence("downloading {title}: {name}", title=title, name=name))

        target = raw / name.removesuffix(".gz")
        with fetched([mirror + name for mirror in mirrors], md5, raw, tell) as packed:
            unpacked = packed.with_name("unpacked")
            with gzip.open(packed) as source, unpacked.open("wb") as file:  # its checksum is right: it unfolds as known
                shutil.copyfileobj(source, file)
            unpacked.replace(target)


def here(path: Path) -> bool:
    """Is the file there, as it is or gzipped?"""
    return path.exists() or path.with_name(f"{path.name}.gz").exists()
