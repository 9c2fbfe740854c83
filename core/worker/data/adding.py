"""The heavy half of the adding problem: [step, 2] = a value in 0…1 and a mark; the answer is the marked values' sum.

One mark stands in each half (Le, Jaitly & Hinton 2015, section 4.1). Whoever always answers 1 has a mean squared
error of 1/6 = 0.167: the variance of the sum of two uniform numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.worker.data.splits import SHARES, Report, Splits, made_up

BASELINE = 1 / 6


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test; y [n] float32."""
    rng = np.random.default_rng(seed)
    n, length = options.samples, options.length
    x = np.zeros((n, length, 2), dtype=np.float32)
    x[:, :, 0] = rng.random((n, length), dtype=np.float32)
    rows, half = np.arange(n), length // 2
    x[rows, rng.integers(0, half, n), 1] = 1
    x[rows, rng.integers(half, length, n), 1] = 1
    ends = [n - round(n * sum(SHARES)), n - round(n * SHARES[1])]
    return made_up(x, label(x, options), tuple(np.split(rows, ends)), ("sum",), evidence=x[:, :, 1] > 0)


def label(x: np.ndarray, _options: Any) -> np.ndarray:
    """The sums [n] of sequences [n, step, 2], read off the sequences."""
    total: np.ndarray = (x[:, :, 0] * x[:, :, 1]).sum(1, dtype=np.float32)
    return total
