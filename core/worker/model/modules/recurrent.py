"""torch's fused recurrent layers, giving only the hidden states: [batch, step, feature] → [batch, step, hidden].

Padding stands at the end of a row, so in one direction no real step ever sees it; in both directions the second
one has to begin at the last real step, which packing does.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Recurrent(nn.Module):
    """A recurrent layer as a plain module: one tensor in, one tensor out; `mask` [batch, step] is True at real steps.

    In both directions the last axis holds the forward state, then the backward one.
    """

    def __init__(self, core: nn.RNNBase) -> None:
        super().__init__()
        self.core = core

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        width = self.core.hidden_size * (2 if self.core.bidirectional else 1)
        if x.is_meta:  # torch would take one step after the other only to find this shape
            return x.new_empty((x.shape[0], x.shape[1], width))
        if torch.is_autocast_enabled(x.device.type) and not _mixes(self.core.mode, x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self(x.float(), mask)
        if mask is None or not self.core.bidirectional:
            return self.core(x)[0]
        lengths = (mask * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(1).clamp(min=1).cpu()
        packed = self.core(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0]
        return pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]


@lru_cache
def _mixes(mode: str, device: str) -> bool:
    """Can this layer be trained in bfloat16 here? On a CPU without instructions for it oneDNN has no such LSTM."""
    kind = {"LSTM": nn.LSTM, "GRU": nn.GRU}.get(mode, nn.RNN)
    with torch.random.fork_rng(devices=[]), torch.autocast(device, torch.bfloat16):
        try:
            kind(1, 1).to(device)(torch.zeros(1, 1, 1, device=device))[0].sum().backward()
        except RuntimeError:
            return False
    return True


class Rnn(Recurrent):
    """nn.RNN. `init` orthogonal: U is orthogonal times `gain`; identity: U is the identity and biases 0 (Le 2015)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
        init: str = "default",
        gain: float = 1.0,
    ) -> None:
        super().__init__(
            nn.RNN(input_size, hidden_size, num_layers, nonlinearity, batch_first=True, bidirectional=bidirectional)
        )
        for name, weight in self.core.named_parameters():
            if weight.is_meta or init == "default":
                continue
            if name.startswith("weight_hh"):
                nn.init.eye_(weight) if init == "identity" else nn.init.orthogonal_(weight, gain)
            elif name.startswith("bias") and init == "identity":
                nn.init.zeros_(weight)


class Lstm(Recurrent):
    """nn.LSTM. It has two biases that are added; with a `forget_bias` above 0 their sum is that at the forget gate."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__(nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional))
        gate = slice(hidden_size, 2 * hidden_size)  # torch's order: input, forget, cell, output
        for name, bias in self.core.named_parameters():
            if forget_bias and name.startswith("bias"):
                with torch.no_grad():
                    bias[gate] = forget_bias if name.startswith("bias_ih") else 0.0


class Gru(Recurrent):
    """nn.GRU."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__(nn.GRU(input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional))
