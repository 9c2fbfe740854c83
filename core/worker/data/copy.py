"""The heavy half of the copy task: K symbols, T − 1 blanks, a sign to go, K blanks at which the symbols are asked.

Only those last K steps are asked, so guessing costs ln(symbols) there; the papers also ask for blanks at the other
steps, which makes it K · ln(symbols) / (T + 2K) a step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets.copy import BLANK, FIRST, GO
from core.worker.data.splits import NOT_ASKED, Report, Splits, letters, made_up, split_rows


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test; y [n, step] = the symbol's number, −100 before the answer."""
    rng = np.random.default_rng(seed)
    n, items = options.samples, options.items
    x = np.full((n, 2 * items + options.gap), BLANK, dtype=np.int64)
    x[:, :items] = rng.integers(FIRST, FIRST + options.symbols, (n, items))
    x[:, items + options.gap - 1] = GO
    names = letters(options.symbols)
    evidence = np.zeros(x.shape, dtype=bool)
    evidence[:, :items] = True
    return made_up(x, label(x, options), split_rows(x, rng), names, ("·", "_", "?", *names), evidence)


def label(x: np.ndarray, options: Any) -> np.ndarray:
    """The targets [n, step] of rows of tokens [n, step], read off the rows."""
    y = np.full(x.shape, NOT_ASKED, dtype=np.int64)
    y[:, -options.items :] = x[:, : options.items] - FIRST
    return y
