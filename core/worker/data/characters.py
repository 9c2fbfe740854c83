"""The heavy half of the characters: a text cut into three parts, each cut into windows.

x [n, step] are character ids, y the ids one place later: every step is asked, but for an unknown one: answering
"unknown" would count as right, and nothing is learned by it. 0 = padding, 1 = unknown.
"""

from __future__ import annotations

import io
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.spec.options import declared
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, join
from core.store import StoreError
from core.store.regular import open_regular
from core.store.texts import text_file
from core.worker.data.splits import NOT_ASKED, SHARES, DataError, Report, Splits

SONNETS = Path(__file__).resolve().parents[3] / "assets" / "text" / "sonnets.txt"
UNKNOWN, FIRST = 1, 2
MOST = 20_000_000  # characters read of a file
HELD_OUT = 5000  # most windows of validation and of test


def load(options: Any, seed: int, folder: Path, _report: Report) -> Splits:
    """The first 70 % of the text for training, then 10 % validation, 20 % test; the vocabulary is the first part's."""
    path = find(options.path, folder) if options.path else SONNETS
    text, notes = read(path)
    ends = [0, round(len(text) * (1 - sum(SHARES))), round(len(text) * (1 - SHARES[1])), len(text)]
    parts = [text[a:b] for a, b in pairwise(ends)]
    if len(parts[1]) <= options.length:
        least = round((options.length + 1) / SHARES[0])
        name = quoted(path, 200)
        raise DataError(
            Sentence(
                "{name} has {text:,} characters; for windows of {length} it needs at least {least:,}. Choose a "
                "longer text or a smaller length.",
                name=name,
                text=len(text),
                length=options.length,
                least=least,
            )
        )
    found = Counter(parts[0])
    known = tuple(c for c, _count in found.most_common(options.vocabulary - FIRST))
    number = {c: FIRST + i for i, c in enumerate(sorted(known))}
    words = ("·", "\ufffd", *sorted(known), *["\ufffd"] * (options.vocabulary - FIRST - len(known)))
    ids = [np.array([number.get(c, UNKNOWN) for c in part], dtype=np.int64) for part in parts]
    train = _asked(_overlapping(ids[0], options, np.random.default_rng(seed)), path)
    validation, test = (_asked(_side_by_side(part, options.length), path) for part in ids[1:])
    if len(known) < len(found) or any((part == UNKNOWN).any() for part in ids[1:]):
        notes += (_unknown(len(found), len(known), ids[2], options),)
    return Splits(train, validation, test, test[0].numpy(), words, words, notes=notes)


def _asked(part: tuple[Tensor, Tensor], path: Path) -> tuple[Tensor, Tensor]:
    """The same, asked only for characters that are known; rows at which nothing is asked are left out."""
    x, y = part
    y = torch.where(y == UNKNOWN, NOT_ASKED, y)
    some = (y != NOT_ASKED).any(1)
    if not bool(some.any()):
        raise DataError(
            Sentence(
                "{path} has a part in which no character is known. Choose a larger vocabulary.", path=quoted(path, 200)
            )
        )
    return x[some], y[some]


def _unknown(different: int, known: int, test: np.ndarray, options: Any) -> str:
    """What is said where some characters are unknown."""
    share, enough = float((test == UNKNOWN).mean()), different + FIRST
    most = declared(type(options))["vocabulary"][2].high or 0
    more = ""
    if different > known:
        n = min(enough, int(most))
        more = (
            Sentence("To know all, set vocabulary to {n:,}.", n=n)
            if enough <= most
            else Sentence("To know more, set vocabulary to {n:,}.", n=n)
        )
    kept = Sentence(
        "The training text has {different:,} different characters; {known:,} are kept. {share:.1%} of "
        "the test text's characters are unknown: they are not asked for, and count neither in loss nor "
        "in accuracy.",
        different=different,
        known=known,
        share=share,
    )
    return join([kept, more]) if more else kept


def find(path: str, folder: Path) -> Path:
    """The file that `path` names (core.store.texts); DataError in one sentence where there is none."""
    try:
        return text_file(path, folder)
    except StoreError as error:
        raise DataError(str(error)) from None


def read(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file with plain line ends, and notes on it. DataError names the file and what is wrong."""
    try:
        with open_regular(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as file:
            text = "".join(islice(iter(lambda: file.read(1 << 20), ""), MOST >> 20))
            more = bool(file.read(1))
    except UnicodeDecodeError as error:
        name = quoted(path, 200)
        raise DataError(
            Sentence(
                "{name} is no UTF-8 text (expected UTF-8, found the byte {byte} at place {place:,}). Save it as UTF-8.",
                name=name,
                byte=f"0x{error.object[error.start]:02x}",
                place=error.start,
            )
        ) from None
    except OSError as error:
        raise DataError(
            Sentence("{path} cannot be read: {strerror}.", path=quoted(path, 200), strerror=error.strerror)
        ) from None
    return text, (
        (Sentence("Only the first {text:,} characters of {path} are used.", text=len(text), path=path.name),)
        if more
        else ()
    )


def _overlapping(ids: np.ndarray, options: Any, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """At most options.samples windows that begin at places drawn without repetition."""
    last = len(ids) - options.length
    starts = np.sort(rng.permutation(last)[: options.samples])
    return _windows(ids, starts, options.length)


def _side_by_side(ids: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    """Windows that do not overlap, so that each character is asked once."""
    return _windows(ids, np.arange(0, len(ids) - length, length)[:HELD_OUT], length)


def _windows(ids: np.ndarray, starts: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    places = starts[:, None] + np.arange(length + 1)
    window = torch.from_numpy(ids[places])
    return window[:, :-1].contiguous(), window[:, 1:].contiguous()
