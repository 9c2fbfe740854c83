"""The heavy half of the order task: rows of noise with one A and one B; class 0 = A first, 1 = B first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets.order import SPECIAL
from core.worker.data.splits import Report, Splits, balanced, letters, made_up, split_rows

A, B = 1, 2


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test. Rows have length/2 … length tokens, then padding (0)."""
    rng = np.random.default_rng(seed)
    n, longest = options.samples, options.length
    x = rng.integers(SPECIAL, SPECIAL + options.noise, (n, longest))
    lengths = rng.integers(max(2, longest // 2), longest + 1, n)
    y = balanced(n, 2, rng)
    places = np.argsort(rng.random((n, longest)) + 10.0 * (np.arange(longest) >= lengths[:, None]), axis=1)[:, :2]
    early, late = places.min(1), places.max(1)
    rows = np.arange(n)
    x[rows, early], x[rows, late] = np.where(y == 0, A, B), np.where(y == 0, B, A)
    x[np.arange(longest) >= lengths[:, None]] = 0
    words = ("·", "A", "B", *letters(options.noise))
    return made_up(x, y, split_rows(x, rng), ("A first", "B first"), words, (x == A) | (x == B))


def label(x: np.ndarray, _options: Any) -> np.ndarray:
    """The classes [n] of rows of tokens [n, step], read off the rows."""
    return ((x == B).argmax(1) < (x == A).argmax(1)).astype(np.int64)
