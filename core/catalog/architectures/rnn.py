"""A vanilla recurrent network."""

from core.catalog.architectures import _recurrent
from core.spec.options import _

ENTRY = _recurrent.entry("rnn", _("recurrent network"), _recurrent.Vanilla, 30)
