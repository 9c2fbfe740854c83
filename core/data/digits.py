"""The heavy half of the digits: scikit-learn's pictures, resampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from core.data.splits import Report, Splits, pictures, split_by_class


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """1,797 pictures: 15 % validation, 20 % test, the rest training; resampled bilinearly to options.size."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = torch.from_numpy(raw.images).float().mul_(255 / 16)[:, None]
    if options.size != 8:
        images = F.interpolate(images, size=(options.size, options.size), mode="bilinear", align_corners=False)
    shown = images[:, 0].round().clamp_(0, 255).to(torch.uint8).numpy()
    labels = raw.target.astype(np.int64)
    parts = [(shown[i], labels[i]) for i in split_by_class(labels, (0.15, 0.20), seed)]
    return pictures(parts, tuple("0123456789"))
