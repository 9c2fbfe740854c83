"""What a view says beside its arrays: plain values, read as attributes. Each view of the catalog declares its own."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a refusal on the command line does not wait for numpy
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Plain values beside a view's arrays. A view with something to say declares a class of its own."""


@dataclass(frozen=True, kw_only=True)
class AboutSample(Facts):
    """What every view of a sample says: the sample as people see it, its target, and the network's answer."""

    shown: np.ndarray  # see core.worker.data.splits.Splits.shown
    kind: str  # of its form: PICTURE, SEQUENCE, TOKENS or VECTOR of core.catalog.entries
    target: str  # the class's name, or the number; "" for a drawing
    predicted: str  # the same of the answer
    confidence: float = 0.0  # of the predicted class; 0 where no single class is asked
    vocabulary: tuple[str, ...] = ()  # of tokens


def declares(names: tuple[str, ...], name: str) -> bool:
    """Is `name` one of an entry's declared array names? A * stands for any text without a slash: "gate/*"."""
    parts = name.split("/")
    return any(
        len(declared.split("/")) == len(parts) and all(map(fnmatchcase, parts, declared.split("/")))
        for declared in names
    )
