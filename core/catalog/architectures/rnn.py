"""A vanilla recurrent network."""

from core.catalog.architectures import _recurrent
from core.options import _

ENTRY = _recurrent.entry("rnn", _("recurrent network"), _recurrent.Vanilla, 30)
