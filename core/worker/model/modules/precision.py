"""Mixed precision: matrix products and convolutions in bfloat16, weights and all sums in float32 (autocast)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.worker.model.modules.attention import Attention

BFLOAT16 = "bfloat16"
WIDE = 128  # maps, from which on bfloat16 convolutions pay on a GPU


def chosen(asked: str, network: nn.Module, device: torch.device) -> str:
    """float32 or bfloat16: what was asked for; for auto, bfloat16 where it has been measured to be faster.

    On a CPU with instructions for it: convolutions 1.2 to 2.9 times and LSTMs 1.9 times as fast, Transformers 0.65
    times, vanilla recurrent layers not at all. On a GPU (H100) wide convolutions (256 maps, 1.2 times); narrow ones
    (16 to 64 maps, 0.93 to 1.0), LSTMs (0.78), Transformers (0.97) and perceptrons (0.99) not.
    """
    if asked != "auto":
        return asked
    kinds = {type(m) for m in network.modules()}
    gains = nn.Conv2d in kinds or nn.LSTM in kinds
    if device.type != "cpu":
        gains = any(isinstance(m, nn.Conv2d) and m.out_channels >= WIDE for m in network.modules())
    return BFLOAT16 if gains and Attention not in kinds and _has_bfloat16(device) else "float32"


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def forward_in(precision: str, network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The network itself, or the network under autocast; it gives float32 either way."""
    if precision != BFLOAT16:
        return network

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            logits: Tensor = network(x)
        return logits.float()

    return forward
