"""The heavy half of the planted pattern: a few reserved tokens stand next to each other among noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets.planted import tokens_of
from core.worker.data.splits import Report, Splits, balanced, letters, made_up, split_rows


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test. Rows have length/2 … length tokens, then padding (0).

    The tokens 1 … k are reserved for patterns (k = tokens_of(options)) and never occur in the noise. Class c's
    pattern is the number c written with k digits, so that with two or more places the order of the tokens counts.
    """
    rng = np.random.default_rng(seed)
    n, longest, size = options.samples, options.length, min(options.pattern, options.length)
    reserved = tokens_of(options)
    x = rng.integers(1 + reserved, 1 + reserved + options.noise, (n, longest))
    lengths = rng.integers(max(size, longest // 2), longest + 1, n)
    y = balanced(n, options.classes, rng)
    start = (rng.random(n) * (lengths - size + 1)).astype(np.int64)
    table = patterns(options)
    for i in range(size):
        x[np.arange(n), start + i] = table[y, i]
    x[np.arange(longest) >= lengths[:, None]] = 0
    names = tuple(f"P{i + 1}" for i in range(reserved))
    classes = tuple(" ".join(names[t - 1] for t in row) for row in table)
    words = ("·", *names, *letters(options.noise))
    return made_up(x, y, split_rows(x, rng), classes, words, (x >= 1) & (x <= reserved))


def patterns(options: Any) -> np.ndarray:
    """The tokens [class, place] of each class's pattern."""
    size, reserved = min(options.pattern, options.length), tokens_of(options)
    powers = reserved ** np.arange(size - 1, -1, -1)
    table: np.ndarray = 1 + np.arange(options.classes)[:, None] // powers % reserved
    return table


def label(x: np.ndarray, options: Any) -> np.ndarray:
    """The classes [n] of rows of tokens [n, step], read off the reserved tokens; −1 for no pattern."""
    reserved, table = tokens_of(options), patterns(options)
    found = np.full(len(x), -1, dtype=np.int64)
    for i, row in enumerate(x):
        there = row[(row >= 1) & (row <= reserved)]
        if len(there) == table.shape[1] and (table == there).all(1).any():
            found[i] = (table == there).all(1).argmax()
    return found
