"""GRU (Cho 2014): a recurrent layer with an update and a reset gate."""

from core.catalog.layers import _recurrent
from core.spec.options import _

ENTRY = _recurrent.entry("gru", _("GRU"), "core.worker.model.modules.recurrent:Gru", _recurrent.Recurrent, 23)
