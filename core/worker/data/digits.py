"""The heavy half of the digits: scikit-learn's pictures, resampled."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.worker.data.splits import DataError, Report, Splits, pictures, split_by_class


def digits() -> tuple[np.ndarray, np.ndarray]:
    """sklearn.datasets.load_digits, read from the installed file: (0 … 16 [picture, 8, 8], digits [picture]).

    Importing scikit-learn takes two seconds of CPU time, which the first run of all would wait for.
    """
    installed = find_spec("sklearn")
    if installed is None or not installed.submodule_search_locations:
        raise DataError(
            _("The digits come with scikit-learn, which is not installed; install it, or choose other data.")
        )
    file = Path(installed.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        with gzip.open(file, "rt") as text:
            rows = np.loadtxt(text, delimiter=",")
    except (OSError, ValueError) as error:
        why = quoted(error, 200)
        raise DataError(
            Sentence("The digits of scikit-learn cannot be read ({why}); install it again.", why=why)
        ) from None
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """1,797 pictures: 15 % validation, 20 % test, the rest training; resampled bilinearly to options.size."""
    pixels, targets = digits()
    images = torch.from_numpy(pixels).float().mul_(255 / 16)[:, None]
    if options.size != 8:
        images = F.interpolate(images, size=(options.size, options.size), mode="bilinear", align_corners=False)
    shown = images[:, 0].round().clamp_(0, 255).to(torch.uint8).numpy()
    labels = targets.astype(np.int64)
    parts = [(shown[i], labels[i]) for i in split_by_class(labels, (0.15, 0.20), seed)]
    return pictures(parts, tuple("0123456789"))
