"""Networks on which attribution methods go wrong without a word, each beside a clean twin with the same weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn

from core.worker.model.modules.shapes import Flatten


class Apart(nn.Module):
    """Between two activations, so that they share no tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0


def clean(act: Any = nn.ReLU, pool: Any = nn.MaxPool2d, apart: bool = True, inplace: bool = False) -> nn.Sequential:
    """conv, activation, pool, twice; then linear, activation, linear, for [n, 1, 12, 12]; weights of seed 0.

    apart: with a + 0 between an activation and a pool, which is where Captum's DeepLift is right.
    """
    torch.manual_seed(0)
    made: list[nn.Module] = []
    for gets, gives in ((1, 4), (4, 6)):
        made += [nn.Conv2d(gets, gives, 3, padding=1), act(inplace=True) if inplace else act()]
        made += [Apart(), pool(2)] if apart else [pool(2)]
    made += [Flatten(), nn.Linear(54, 10), act(), nn.Linear(10, 3)]
    return nn.Sequential(*made).eval()


class Functional(nn.Module):
    """`clean`, written with functions."""

    def __init__(self, act: Any = F.relu) -> None:
        super().__init__()
        layers = [m for m in clean() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.conv1, self.conv2, self.linear1, self.linear2 = layers
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.act(self.conv1(x)), 2)
        x = F.max_pool2d(self.act(self.conv2(x)), 2)
        return self.linear2(self.act(self.linear1(x.flatten(1))))


class Shared(nn.Module):
    """`clean` with one ReLU and one max-pool that are called everywhere."""

    def __init__(self) -> None:
        super().__init__()
        layers = [m for m in clean() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.conv1, self.conv2, self.linear1, self.linear2 = layers
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.linear2(self.relu(self.linear1(x.flatten(1))))


class Windows(nn.Module):
    """[n, C, 12, 12] → [n, C, 25, 9]: the windows of 3×3 that move by 2, side by side."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4).flatten(2, 3)


def overlapping(twin: bool = False) -> nn.Sequential:
    """Max-pool windows of 3 that move by 2; twin: with the windows taken apart, so that none overlaps another."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(100, 3)
    pool = [Windows(), nn.MaxPool2d((1, 9))] if twin else [nn.MaxPool2d(3, 2)]
    return nn.Sequential(layers[0], nn.ReLU(), Apart(), *pool, Flatten(), layers[1]).eval()


class Gate(nn.Module):
    """Maps times a gate made of them (squeeze-excitation)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.squeeze, self.sigmoid = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid()
        self.head = nn.Linear(400, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        gate = self.sigmoid(self.squeeze(x.mean((2, 3))))
        return self.head((x * gate[:, :, None, None]).flatten(1))


class Sequence(nn.Module):
    """torch's own recurrent layer or Transformer on [n, 5, 8], read at the last step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.core: nn.Module = encoder if kind == "Encoder" else getattr(nn, kind)(8, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.core(x)
        return self.head((y[0] if isinstance(y, tuple) else y)[:, -1])


class HandAttention(nn.Module):
    """Attention with an nn.Softmax, then a ReLU, on [n, 5, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.softmax, self.mlp, self.relu = nn.Linear(8, 24), nn.Softmax(-1), nn.Linear(8, 16), nn.ReLU()
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        y = self.softmax(q @ k.transpose(1, 2)) @ v
        return self.head(self.relu(self.mlp(y)).mean(1))


class Sum(nn.Module):
    """A shortcut: x + conv(relu(conv(x))), by + or, for the LRP of Captum, by its own module."""

    def __init__(self, module: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.relu1 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU()
        self.conv2, self.conv3 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.relu2, self.relu3, self.head = nn.ReLU(), nn.ReLU(), nn.Linear(576, 3, bias=False)
        if module:
            self.add = Addition_Module()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        y = self.conv3(self.relu2(self.conv2(x)))
        y = self.add(x, y) if hasattr(self, "add") else x + y
        return self.head(self.relu3(y).flatten(1))


class Normed(nn.Module):
    """A LayerNorm between two linear layers with a ReLU, for [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.norm, self.relu, self.head = nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.norm(self.linear(x))))


def picture(seed: int = 1, rows: int = 1) -> Tensor:
    """[rows, 1, 12, 12]"""
    return torch.randn(rows, 1, 12, 12, generator=torch.Generator().manual_seed(seed))


def sequence(seed: int = 1, rows: int = 1) -> Tensor:
    """[rows, 5, 8]"""
    return torch.randn(rows, 5, 8, generator=torch.Generator().manual_seed(seed))


class Sorted(nn.Module):
    """A function that no rule is known for, for [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.relu, self.head = nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.linear(x)).sort(-1).values)


class ByHand(nn.Module):
    """A ReLU written as a product: x · (x > 0), for [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return self.head(x * (x > 0))


def vector(seed: int = 1, rows: int = 1) -> Tensor:
    """[rows, 8]"""
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))
