"""Vanilla recurrent layer (Elman 1990): h_t = f(W x_t + U h_{t−1} + b)."""

from dataclasses import dataclass

from core.catalog.layers import _recurrent
from core.options import _, option


@dataclass(frozen=True)
class Rnn(_recurrent.Recurrent):
    """Options of a vanilla recurrent layer."""

    nonlinearity: str = option("tanh", _("The function f of the state."), choices=("tanh", "relu"))


ENTRY = _recurrent.entry("rnn", _("recurrent layer"), "core.modules.recurrent:Rnn", Rnn, 21)
