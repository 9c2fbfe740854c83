"""Writing so that a kill or a full disk never leaves half a file."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import stat
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.spec.quoting import clean, parsed, quoted
from core.spec.sentences import Sentence, _
from core.store.regular import read_regular

if TYPE_CHECKING:  # numpy and safetensors come where arrays are read or written: a refusal does not wait for them
    import numpy as np


class StoreError(Exception):
    """Something in a runs folder is not as it should be; the text says what, in words."""


class DiskFull(StoreError):
    """No space is left; what was written before is whole."""


def layerlab_home() -> Path:
    """$LAYERLAB_HOME, or ~/.layerlab."""
    return Path(os.environ.get("LAYERLAB_HOME") or Path.home() / ".layerlab")


def runs_home() -> Path:
    """Where runs are kept: $LAYERLAB_RUNS, or runs/ under the home."""
    return Path(os.environ.get("LAYERLAB_RUNS") or layerlab_home() / "runs")


def data_home() -> Path:
    """Where data sets are read from and downloaded to: $LAYERLAB_DATA, or data/ under the home."""
    return Path(os.environ.get("LAYERLAB_DATA") or layerlab_home() / "data")


def made_folder(folder: Path) -> Path:
    """The folder, made (for this user alone) if need be. StoreError in words where there can be none, or only one that
    we may not read.
    """
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        with os.scandir(folder):
            return folder
    except OSError as error:
        reason = _("a file of that name is in the way") if isinstance(error, FileExistsError) else error.strerror
        raise StoreError(
            Sentence(
                "{folder} cannot be used as a folder: {reason}. Choose another one: --runs or LAYERLAB_RUNS for "
                "runs, LAYERLAB_HOME for all that LayerLab keeps.",
                folder=quoted(folder, 200),
                reason=reason,
            )
        ) from None


def write_atomic(path: Path, data: bytes | bytearray, *, sync: bool = True) -> None:
    """Replace `path` by `data` in one step: a temporary name, flushed to the disk if `sync`, then renamed.

    StoreError, of which DiskFull is one, where it cannot be written; the old file stands then.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
    except OSError as error:  # no space for a name, a disk that may only be read, a folder that was taken away
        raise explained(error, path) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise explained(error, path) from error


def write_source(path: Path, text: str) -> None:
    """Write a text where a person asked for it. StoreError in words."""
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise explained(error, path) from error


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays where a person asked for them (numpy.load reads them). StoreError in words."""
    import numpy as np

    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    try:
        write_atomic(path, held.getvalue())
    except OSError as error:  # the folder does not exist, or is not ours to write to
        raise explained(error, path) from error


def sweep(folder: Path, older: float = 600.0) -> None:
    """Remove the temporary files that killed writers left in `folder` more than `older` seconds ago."""
    for path in folder.rglob(".*.writing"):
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > older:
                path.unlink(missing_ok=True)
        except OSError:  # gone in between
            continue


def used(folder: Path) -> int:
    """Bytes of the files under `folder`, some of which may come and go meanwhile."""
    total = 0
    for place, _folders, names in os.walk(folder):  # it passes over what may not be listed
        for name in names:
            try:
                about = os.stat(f"{place}/{name}")  # noqa: PTH116 (text: a name may be no UTF-8, and there are many)
                total += about.st_size if stat.S_ISREG(about.st_mode) else 0
            except OSError:  # gone in between
                continue
    return total


def explained(error: OSError, path: Path) -> StoreError:
    """An OSError as a sentence; a full disk or quota as DiskFull."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            Sentence(
                "The disk is full: {path} could not be written. Free some space, then resume.", path=quoted(path.name)
            )
        )
    return StoreError(
        Sentence("{path} could not be written: {strerror}.", path=quoted(path, 200), strerror=error.strerror)
    )


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Replace `path` by `value` as JSON, clean: what is written here is shown on every page."""
    write_atomic(path, json.dumps(clean(value), indent=1, allow_nan=False).encode(), sync=sync)


_PLACEHOLDER = b'"checksum":"' + b"0" * 8 + b'"'
# In the JSON of a header, where the quotes of a text have a backslash before them.
_CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{8})"')


def pack_tensors(arrays: dict[str, Any], meta: str = "") -> bytearray:
    """Arrays as the bytes of a .safetensors file that carries a checksum over all of itself, `meta` included.

    CRC-32 with eight zeros in its own place: it tells damage (a failing disk, a torn copy), not an attack.
    """
    import numpy as np
    from safetensors.numpy import save

    told = {"checksum": "0" * 8, **({"meta": meta} if meta else {})}
    # not ascontiguousarray: it makes a vector of a number, and a counter of [] would come back as [1]
    data = bytearray(save({name: np.asarray(value, order="C") for name, value in arrays.items()}, metadata=told))
    place = data.index(_PLACEHOLDER) + len(b'"checksum":"')
    data[place : place + 8] = b"%08x" % zlib.crc32(data)
    return data


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """(arrays by name, `meta`) of a file; StoreError where its bytes are no longer those that were written.

    A file from before there were checksums has none, and is believed.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = bytearray(read_regular(path))
        header = _header(data)
        told = header.get("__metadata__", {})
        if set(told) - {"meta"}:  # whatever the word "checksum" has become: this file had one
            found = _CHECKSUM.search(data, 8, 8 + int.from_bytes(data[:8], "little"))
            if set(told) - {"meta"} != {"checksum"} or found is None:
                raise StoreError(Sentence("{path} cannot be read: its header is damaged", path=quoted(path.name)))
            sum_then = int(found[1], 16)
            data[found.start(1) : found.end(1)] = b"0" * 8
            if zlib.crc32(data) != sum_then:
                name = quoted(path.name)
                raise StoreError(
                    Sentence("{name} cannot be read: its bytes are not those that were written (checksum)", name=name)
                )
        return {name: np.array(value) for name, value in load(bytes(data)).items()}, str(told.get("meta", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise StoreError(
            Sentence("{path} cannot be read: {error}", path=quoted(path.name), error=quoted(error, 200))
        ) from None


def tensors_meta(path: Path) -> str:
    """`meta` of a file, without a look at its arrays; StoreError where the header cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return str((file.metadata() or {}).get("meta", ""))
    except (OSError, ValueError, SafetensorError) as error:
        raise StoreError(
            Sentence("{path} cannot be read: {error}", path=quoted(path.name), error=quoted(error, 200))
        ) from None


def _header(data: bytearray) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        raise ValueError(_("it is not whole"))
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    return header


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; StoreError in words where there is none."""
    name = quoted(f"{path.parent.name[:8]}/{path.name}")
    try:
        value = parsed(read_regular(path))
    except FileNotFoundError:
        raise StoreError(Sentence("{name} is missing.", name=name)) from None
    except OSError as error:
        raise StoreError(Sentence("{name} cannot be read: {strerror}.", name=name, strerror=error.strerror)) from None
    except RecursionError:
        raise StoreError(Sentence("{name} cannot be read: it is nested too deep.", name=name)) from None
    except ValueError as error:
        raise StoreError(
            Sentence("{name} cannot be read: it is not JSON ({error}).", name=name, error=quoted(error))
        ) from None
    if not isinstance(value, dict):
        raise StoreError(Sentence("{name} cannot be read: it holds no JSON object.", name=name))
    return value


def free_space(folder: Path) -> int:
    """Bytes that are free where `folder` is."""
    return shutil.disk_usage(folder).free


FILE_LIMIT = 4 << 20  # bytes of a file that a person names


def read_named_json(path: Path) -> Any:
    """The JSON of a file that a person named; StoreError in words."""
    name = quoted(path, 200)
    try:
        return parsed(read_regular(path, FILE_LIMIT))
    except OSError as error:
        if error.errno == errno.EFBIG:
            words = Sentence(
                "{name} is larger than {file_limit} MiB; an experiment is a few kilobytes.",
                name=name,
                file_limit=FILE_LIMIT >> 20,
            )
            raise StoreError(words) from None
        raise StoreError(Sentence("{name} cannot be opened: {strerror}.", name=name, strerror=error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise StoreError(Sentence("{name} is not JSON: {error}.", name=name, error=quoted(error))) from None
