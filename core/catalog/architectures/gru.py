"""A recurrent network of GRU cells."""

from core.catalog.architectures import _recurrent
from core.spec.options import _

ENTRY = _recurrent.entry("gru", _("GRU"), _recurrent.Recurrent, 32)
