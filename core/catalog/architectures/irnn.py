"""IRNN (Le 2015): a vanilla recurrent network of ReLUs whose recurrent weights start as the identity."""

from core.catalog.architectures import _recurrent
from core.spec.options import _

ENTRY = _recurrent.entry("rnn", _("IRNN"), _recurrent.Irnn, 33, name="irnn", lr=0.001)
