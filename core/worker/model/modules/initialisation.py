"""Other starts for the weights than torch's own: the variance of what a layer gives is to be that of what it gets.

he: Gaussian, variance 2 / fan-in (He 2015b) · xavier: Gaussian, 2 / (fan-in + fan-out) (Glorot & Bengio 2010) ·
orthogonal: rows or columns orthonormal (Saxe 2014); each times a gain. Biases start at zero.
"""

from __future__ import annotations

import torch
from torch import nn

START = {
    "he": lambda w, drawn: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=drawn),
    "xavier": lambda w, drawn: nn.init.xavier_normal_(w, generator=drawn),
    "orthogonal": lambda w, drawn: nn.init.orthogonal_(w, generator=drawn),
}


def start(network: nn.Module, name: str, gain: float, seed: int) -> None:
    """Draw the weights of all linear and convolutional layers anew. Recurrent layers have starts of their own."""
    drawn = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            START[name](layer.weight, drawn)
            with torch.no_grad():
                layer.weight.mul_(gain)
                if layer.bias is not None:
                    layer.bias.zero_()
