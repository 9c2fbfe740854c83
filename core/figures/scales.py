"""The two colour scales of every picture: one for magnitudes, one for signed values with zero in its neutral middle."""

from __future__ import annotations

import numpy as np

SEQUENTIAL = "cividis"  # dark is low, bright is high
BLUE_ORANGE = (
    "#08306b",
    "#1f5fa8",
    "#5b9bd0",
    "#a6cce6",
    "#e6f0f7",
    "#fbeee2",
    "#f5c08f",
    "#e08a3c",
    "#b3560f",
    "#6e2f04",
)
DIVERGING = [[i / (len(BLUE_ORANGE) - 1), color] for i, color in enumerate(BLUE_ORANGE)]  # orange above zero


def signed(values: np.ndarray) -> tuple[float, float]:
    """The ends of a signed scale: as far below zero as above, so that zero is neutral. Non-finite ones are left out."""
    finite = np.abs(values[np.isfinite(values)]) if values.size else np.zeros(0)
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return -most, most
