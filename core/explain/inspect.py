"""What a network is made of, as far as attribution methods care: found by running it once, not by names."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from core.catalog.entries import Findings


def inspect(network: nn.Module, x: Tensor) -> Findings:
    """Run `network` on x [n, …] and see what is called."""
    calls: Counter[str] = Counter()
    names = {module: name for name, module in network.named_modules()}
    found: dict[str, list[str]] = {"normalisations": [], "layer_norms": [], "recurrent": [], "embeddings": []}
    kinds: set[str] = set()

    def hook(module: nn.Module, _inputs: Any, _output: Any) -> None:
        calls[names[module]] += 1
        kinds.add(type(module).__name__)

    handles = [module.register_forward_hook(hook) for module in names if module is not network]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    for module, name in names.items():
        if isinstance(module, nn.Embedding):
            found["embeddings"].append(name)
        elif isinstance(module, nn.RNNBase):
            found["recurrent"].append(name)
    reused = tuple(name for name, count in calls.items() if count > 1)
    return Findings(frozenset(kinds), reused, **{key: tuple(value) for key, value in found.items()})
