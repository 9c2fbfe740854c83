"""The heavy half of the augmentations: each changes a batch where it lies, every picture by draws of its own.

Draws come from torch's generator on the CPU, in the order in which torchvision.transforms.v2 makes them for one
picture after the other, so that both agree to the bit from the same random state (tests/worker/train/test_augment.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.spec import registry
from core.spec.specs import Choice
from core.worker.data.splits import Splits

Batch = tuple[Tensor, Tensor]
Augment = Callable[[Tensor, Tensor], Batch]


def _v2() -> Any:
    """torchvision's transforms, imported by those who use them: half a second that no other run waits for."""
    from torchvision.transforms import v2

    return v2


class Shift:
    """Pictures [batch, C, H, W] moved by −pixels … pixels in both directions; `fill` [C] comes in from outside."""

    def __init__(self, classes: int, fill: Tensor, pixels: int) -> None:
        self._pixels, self._fill = pixels, fill

    def __call__(self, x: Tensor, y: Tensor) -> Batch:
        n, _channels, height, width = x.shape
        from_top, from_left = torch.randint(0, 2 * self._pixels + 1, (n, 2)).to(x.device).sub_(self._pixels).unbind(1)
        rows = torch.arange(height, device=x.device) + from_top[:, None]  # [batch, H]: where each row comes from
        columns = torch.arange(width, device=x.device) + from_left[:, None]
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        rows, columns = rows.clamp_(0, height - 1), columns.clamp_(0, width - 1)
        moved = x[torch.arange(n, device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return torch.where(inside[:, None], moved.permute(0, 3, 1, 2), self._fill[:, None, None]), y


class Flip:
    """Pictures mirrored left to right, each with the probability `share`."""

    def __init__(self, classes: int, fill: Tensor, share: float) -> None:
        self._share = share

    def __call__(self, x: Tensor, y: Tensor) -> Batch:
        mirrored = (torch.rand(len(x)) < self._share).to(x.device)
        return torch.where(mirrored[:, None, None, None], x.flip(-1), x), y


class Crop:
    """A part of each picture, at least `smallest` of its area, enlarged to the picture's size (bilinear)."""

    def __init__(self, classes: int, fill: Tensor, smallest: float) -> None:
        self._smallest = smallest

    def __call__(self, x: Tensor, y: Tensor) -> Batch:
        drawn = _v2().RandomResizedCrop(x.shape[-2:], scale=(self._smallest, 1.0))
        boxes = [drawn.make_params([x]) for _picture in x]
        top, left, height, width = (
            torch.tensor([box[name] for box in boxes], dtype=x.dtype, device=x.device)[:, None]
            for name in ("top", "left", "height", "width")
        )
        rows, columns = _places(top, height, x.shape[2]), _places(left, width, x.shape[3])
        grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), -1)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True), y


def _places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """[batch, size]: where in −1 … 1 each row of the result comes from, within start … start + length − 1."""
    place = (torch.arange(size, device=start.device, dtype=start.dtype) + 0.5) * (length / size) - 0.5
    place = start + torch.minimum(place.clamp_(min=0), length - 1)
    return place * (2 / max(1, size - 1)) - 1


class MixUp:
    """torchvision's own: one share for the batch, each picture mixed with the one before it; y becomes shares."""

    def __init__(self, classes: int, fill: Tensor, alpha: float) -> None:
        self._mix = _v2().MixUp(alpha=alpha, num_classes=classes)

    def __call__(self, x: Tensor, y: Tensor) -> Batch:
        mixed: Batch = self._mix(x, y)
        return mixed


class CutMix:
    """torchvision's own: one box for the batch, taken from the picture before; y becomes shares."""

    def __init__(self, classes: int, fill: Tensor, alpha: float) -> None:
        self._mix = _v2().CutMix(alpha=alpha, num_classes=classes)

    def __call__(self, x: Tensor, y: Tensor) -> Batch:
        mixed: Batch = self._mix(x, y)
        return mixed


def augment_of(choices: Sequence[Choice], splits: Splits, classes: int) -> Augment | None:
    """All that were chosen, one after the other; None where none was."""
    if not choices:
        return None
    x = splits.train[0]
    fill = torch.tensor([-m / s if s else 0.0 for m, s in zip(splits.mean, splits.std, strict=True)])  # black
    fill = fill.to(x.device, x.dtype).expand(x.shape[1])
    made: list[Augment] = []
    for choice in choices:
        entry = registry.AUGMENTATIONS.get(choice.name)
        made.append(registry.load(entry.module)(classes, fill, **entry.arguments(choice.options)))

    def augment(x: Tensor, y: Tensor) -> Batch:
        for one in made:
            x, y = one(x, y)
        return x, y

    return augment


def replace_labels(y: Tensor, classes: int, share: float, seed: int) -> Tensor:
    """Class labels [n] of which `share` (to the nearest whole number of samples) are another class, evenly drawn."""
    drawn = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    where = torch.randperm(len(y), generator=drawn)[:count].to(y.device)
    further = torch.randint(1, max(2, classes), (count,), generator=drawn).to(y.device)
    noisy = y.clone()
    noisy[where] = (y[where] + further) % classes
    return noisy
