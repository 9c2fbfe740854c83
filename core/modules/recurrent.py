"""torch's fused recurrent layers, giving only the hidden states: [batch, step, feature] → [batch, step, hidden].

Padding stands at the end of a row, so in one direction no real step ever sees it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class _Sequence(nn.Module):
    """A recurrent layer as a plain module: one tensor in, one tensor out."""

    core: nn.RNNBase

    def forward(self, x: Tensor) -> Tensor:
        return self.core(x)[0]


class Rnn(_Sequence):
    """nn.RNN."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.core = nn.RNN(batch_first=True, **arguments)


class Lstm(_Sequence):
    """nn.LSTM."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.core = nn.LSTM(batch_first=True, **arguments)


class Gru(_Sequence):
    """nn.GRU."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.core = nn.GRU(batch_first=True, **arguments)
