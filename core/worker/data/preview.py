"""What a data set looks like before anything is trained on it: counts, shapes, values and some samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import NUMBER, PICTURE, Dataset
from core.spec import registry
from core.spec.questions import DataPreview, Preview, Sound, ValueRange
from core.store import data_home
from core.worker.data.download import NotHere, only_here
from core.worker.data.splits import NOT_ASKED, DataError, Report, Splits, in_turn


def preview(question: Preview, report: Report, splits: Splits | None = None) -> DataPreview:
    """The answer to Preview; `splits` where they are loaded already. DataError in words."""
    data = question.data
    entry: Dataset = registry.DATASETS.get(data.name)
    if splits is None:
        folder = Path(question.folder) if question.folder else data_home()
        splits = registry.load(entry.load)(data.options, data.seed, folder, report)
    form, (x, y) = entry.form(data.options), splits.train
    chosen = chosen_samples(y, form.task, question.count)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return DataPreview(
        kind=form.kind,
        task=form.task,
        samples=shown(x[chosen], splits) if form.kind == PICTURE else x[chosen].cpu().numpy(),
        labels=y[chosen].cpu().numpy(),
        shapes={name: tuple(part[0].shape) for name, part in parts.items()},
        counts={name: counts(part[1], form.task, splits.classes) for name, part in parts.items()},
        given=value_range(x),
        raw=_raw_range(x, splits) if form.kind == PICTURE else value_range(x),
        classes=splits.classes,
        vocabulary=splits.vocabulary,
        source=entry.source,
        licence=entry.licence,
        notes=splits.said(),
    )


def fault(question: Sound) -> str:
    """Why the files of a data set that are here cannot be used; "" where they can, or are still to be downloaded."""
    data = question.data
    folder = Path(question.folder) if question.folder else data_home()
    load = registry.load(registry.DATASETS.get(data.name).load)
    try:
        with only_here():
            load(data.options, data.seed, folder, lambda _fraction, _words: None)
    except NotHere:
        return ""
    except DataError as error:
        return str(error)
    return ""


def chosen_samples(y: Tensor, task: str, count: int) -> Tensor:
    """Indices of the training samples to show: the first of every class in turn, or simply the first."""
    n = min(count, len(y))
    if task == NUMBER or y.dim() > 1:
        return torch.arange(n)
    return torch.from_numpy(in_turn(y.cpu().numpy())[:n])


def counts(y: Tensor, task: str, classes: tuple[str, ...]) -> dict[str, int]:
    """class → how often it is the answer (of all steps that are asked); for a number only how many there are."""
    if task == NUMBER:
        return {classes[0]: len(y)}
    found = torch.bincount(y[y != NOT_ASKED].flatten(), minlength=len(classes)).tolist()
    named: dict[str, int] = {}
    for name, count in zip(classes, found, strict=True):  # names of tokens that never come are alike
        named[name] = named.get(name, 0) + count
    return named


def shown(x: Tensor, splits: Splits) -> np.ndarray:
    """Standardised pictures [n, C, H, W] as people see them: uint8 [n, H, W] or [n, H, W, 3]."""
    scale = [torch.tensor(v, device=x.device)[None, :, None, None] for v in (splits.mean, splits.std)]
    pixels = ((x * scale[1] + scale[0]) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)


def value_range(x: Tensor) -> ValueRange:
    """The values of x as they are."""
    low, high = (float(v) for v in torch.aminmax(x))
    values = x.float()
    return ValueRange(low, high, float(values.mean()), float(values.std()))


def _raw_range(x: Tensor, splits: Splits) -> ValueRange:
    """The bytes of pictures, over all channels."""
    low, high = zip(*(tuple(map(float, torch.aminmax(x[:, c]))) for c in range(x.shape[1])), strict=True)
    mean, std = np.array(splits.mean), np.array(splits.std)
    least, most = (np.array(low) * std + mean) * 255, (np.array(high) * std + mean) * 255
    total = float(np.mean(mean)) * 255
    spread = float(np.sqrt(np.mean(std**2 + mean**2) - np.mean(mean) ** 2)) * 255
    return ValueRange(round(float(least.min()), 3), round(float(most.max()), 3), total, spread)
