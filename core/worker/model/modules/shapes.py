"""Modules that only rearrange: they have no arithmetic of their own to explain."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Flatten(nn.Module):
    """[batch, …] → [batch, features]. Channels-last pictures are copied in [C, H, W] order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class GlobalPool(nn.Module):
    """[batch, channel, height, width] → [batch, channel]: the mean of each map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Rows(nn.Module):
    """[batch, channel, height, width] → [batch, height, channel · width]: a picture's rows as steps."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)


class Patches(nn.Module):
    """[batch, channel, height, width] → [batch, patch, width]: squares of the picture, each mapped to a vector."""

    def __init__(self, in_channels: int, size: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, width, size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x).flatten(2).transpose(1, 2)


class ClassToken(nn.Module):
    """[batch, step, width] → [batch, 1 + step, width]: a learned vector before the first step (zero at first)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)


class Positions(nn.Module):
    """Adds one vector per place to [batch, step, width]; learned ones start small (σ = 0.02, as in ViT)."""

    def __init__(self, steps: int, width: int, code: str) -> None:
        super().__init__()
        self.table: Tensor
        if code == "learned":
            self.table = nn.Parameter(torch.empty(1, steps, width).normal_(std=0.02))
        else:
            self.register_buffer("table", sinusoids(steps, width)[None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[:, : x.shape[1]]


def sinusoids(steps: int, width: int) -> Tensor:
    """[steps, width]: sine in even features, cosine in odd ones, wavelengths 2π … 10000 · 2π (Vaswani 2017, 3.5)."""
    place = torch.arange(steps, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    table = torch.zeros(steps, width)
    table[:, 0::2] = torch.sin(place * rate)
    table[:, 1::2] = torch.cos(place * rate)[:, : width // 2]
    return table


class ReadOut(nn.Module):
    """[batch, step, feature] → [batch, feature]; `mask` [batch, step] is True at real steps, None = all are real.

    both_ends: the first half of the features at the last real step, the second half at the first step; there a
    bidirectional layer's two states have read the whole row.
    """

    def __init__(self, take: str) -> None:
        super().__init__()
        self.take = take

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.take == "first":
            return x[:, 0]
        if self.take == "last":
            return last_step(x, mask)
        if self.take == "both_ends":
            half = x.shape[2] // 2
            return torch.cat([last_step(x[..., :half], mask), x[:, 0, half:]], 1)
        if mask is None:
            return x.mean(1) if self.take == "mean" else x.amax(1)
        real = (mask | ~mask.any(1, keepdim=True))[..., None]  # a row of padding alone is read as it is
        if self.take == "mean":
            return (x * real).sum(1) / real.sum(1)
        return x.masked_fill(~real, float("-inf")).amax(1)


def last_step(x: Tensor, mask: Tensor | None) -> Tensor:
    """[batch, step, feature] → [batch, feature] at the last step where `mask` is True."""
    if mask is None:
        return x[:, -1]
    last = (mask * torch.arange(x.shape[1], device=x.device)).amax(1)
    return x[torch.arange(x.shape[0], device=x.device), last]
