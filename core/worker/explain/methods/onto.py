"""How a layer's cells, one value each, become pixels, steps or tokens of the input."""

from __future__ import annotations

from functools import cache
from inspect import getsource

import torch
import torch.nn.functional as F
from torch import Tensor

from core.catalog.entries import PICTURE, TOKENS
from core.worker.explain.explained_case import Case

SUM, WHOLE, SMOOTH = "sum", "whole", "smooth"  # what is kept when cells become pixels: see onto


def onto(case: Case, cells: Tensor, kept: str) -> tuple[Tensor, list[str]]:
    """[1, …] as Case.inputs (for tokens [1, T]), and the lines that do it.

    kept: sum = a cell's value is shared by the pixels that it covers, so that the sum stays; whole = a pixel has the
    value of the cell that covers it; smooth = values between the cells' middles, bilinear. The channels of a pixel or
    the features of a step share its value.
    """
    if case.form.kind == TOKENS:
        return cells, ["attribution = cells"]
    if case.form.kind != PICTURE:
        shared = cells[..., None].expand_as(case.inputs) / case.inputs.shape[-1]
        return shared, ["attribution = cells[..., None].expand_as(x) / x.shape[-1]"]
    (channels, height, width), (h, w) = case.form.shape, cells.shape[1:]
    if kept == SMOOTH:
        pixels = F.interpolate(cells[:, None], (height, width), mode="bilinear", align_corners=False)
        lines = [
            f"pixels = torch.nn.functional.interpolate(cells[:, None], ({height}, {width}), "
            'mode="bilinear", align_corners=False)'
        ]
    else:
        over = (height, width) if kept == SUM else (h, w)
        pixels = (covered(height, h) / over[0]) @ cells[:, None] @ (covered(width, w) / over[1]).T
        lines = [
            f"\n\n{_source(covered)}\n",
            f"pixels = (covered({height}, {h}) / {over[0]}) @ cells[:, None] @ (covered({width}, {w}) / {over[1]}).T",
        ]
    return pixels.expand_as(case.inputs) / channels, [*lines, f"attribution = pixels.expand_as(x) / {channels}"]


def covered(pixels: int, cells: int) -> torch.Tensor:
    """[pixels, cells] how much of each cell lies in each pixel, both of one length; a cell has `pixels` in all."""
    pixel, cell = torch.arange(pixels)[:, None], torch.arange(cells)
    overlap = torch.minimum((pixel + 1) * cells, (cell + 1) * pixels) - torch.maximum(pixel * cells, cell * pixels)
    return overlap.clamp(min=0).float()


_source = cache(getsource)  # which reads the whole file
