"""LSTM (Hochreiter & Schmidhuber 1997): a cell state that gates write, keep and read."""

from core.catalog.layers import _recurrent
from core.options import _

ENTRY = _recurrent.entry("lstm", _("LSTM"), "core.modules.recurrent:Lstm", _recurrent.Recurrent, 22)
