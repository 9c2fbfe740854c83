"""LSTM (Hochreiter & Schmidhuber 1997): a cell state that gates write, keep and read."""

from dataclasses import dataclass

from core.catalog.layers import _recurrent
from core.spec.options import _, option


@dataclass(frozen=True)
class Lstm(_recurrent.Recurrent):
    """Options of an LSTM."""

    forget_bias: float = option(
        0.0,
        _(
            "What the forget gate's bias starts at: 1 or more lets the cell remember for longer from the first step "
            "on; 0 leaves torch's own start, which is about 0."
        ),
        label=_("forget bias"),
        low=0.0,
        high=10.0,
        unit=_("(logit)"),
    )


ENTRY = _recurrent.entry("lstm", _("LSTM"), "core.worker.model.modules.recurrent:Lstm", Lstm, 22)
