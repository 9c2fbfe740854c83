"""What happens inside a network: outputs by address, taken by hooks that are always removed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.spec import registry
from core.spec.specs import LayerSpec
from core.worker.model.build import Network
from core.worker.model.modules.attention import Attention


@contextmanager
def trace(network: nn.Module, addresses: list[str], row: int | None = None) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass leaves the outputs of these modules under their address.

    Detached; with `row` only that sample of the batch. For attention the
    weights [batch, head, query, key] are left instead of its output.
    """
    found: dict[str, Tensor] = {}

    def hook(address: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            if isinstance(module, Attention):
                if row is not None:
                    inputs = tuple(None if i is None else i[row : row + 1] for i in inputs)
                output = module.weights(*inputs)
                found[address] = output[0].detach() if row is not None else output.detach()
            else:
                found[address] = output[row].detach() if row is not None else output.detach()

        return keep

    handles = [network.get_submodule(a).register_forward_hook(hook(a)) for a in addresses]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def looking(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is put back. Draws no random number."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def view_address(layers: tuple[LayerSpec, ...], name: str) -> str:
    """The module that the live view of layer `name` shows: the layer itself, or the attention inside it."""
    for spec in layers:
        if spec.name == name:
            inner = registry.LAYERS.get(spec.kind).attention
            return f"{name}.{inner}" if inner else name
    return layers[0].name


def view_kind(value: Tensor, address: str, name: str) -> str:
    """What one sample's array is: attention, feature_maps [C, H, W], states [T, H] or vector [F]."""
    if address != name:
        return "attention"
    return {3: "feature_maps", 2: "states"}.get(value.dim(), "vector")


def first_non_finite(network: Network, x: Tensor) -> str:
    """The first layer, in forward order, whose weights or output are not finite for this batch; "" where all are."""
    bad: list[str] = []

    def check(name: str) -> Any:
        def look(module: nn.Module, _inputs: Any, output: Tensor) -> None:
            tensors = [*module.parameters(), output]
            if not bad and not all(bool(torch.isfinite(t).all()) for t in tensors):
                bad.append(name)

        return look

    handles = [network.get_submodule(a).register_forward_hook(check(a)) for a in network.addresses]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return bad[0] if bad else ""
