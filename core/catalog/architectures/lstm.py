"""A recurrent network of LSTM cells."""

from core.catalog.architectures import _recurrent
from core.spec.options import _

ENTRY = _recurrent.entry("lstm", _("LSTM"), _recurrent.Lstm, 31)
