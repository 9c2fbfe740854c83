"""Reading only what is a plain file: a pipe, a device or a socket may be waited for without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from core.spec.sentences import Sentence, _

MORE = 1 << 20  # bytes that are read at once behind what the file was said to have


def open_regular(path: Path) -> IO[bytes]:
    """A file to read from; OSError in words where there is none, or something else under that name.

    Looked at before it is opened (opening some devices does something) and again afterwards (it may be another now).
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, Sentence("it is {kind}, not a file", kind=_kind(mode)), str(path))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, _("it is not a file"), str(path))
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most: int = 1 << 40) -> bytes:
    """The bytes of a plain file; OSError as in open_regular, and where it has more than `most`."""
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) <= most:
            data = file.read(min(size, most) + 1)  # no more: read(n) takes memory for n bytes, whatever there is
            while len(data) <= most and (more := file.read(MORE)):  # it grew, or its system does not tell its size
                data += more
            if len(data) <= most:
                return data
    raise OSError(errno.EFBIG, Sentence("it has more than {most:,} bytes", most=most), str(path))


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((words for test, words in kinds if test(mode)), "a device")
