"""Vanilla recurrent layer (Elman 1990): h_t = f(W x_t + U h_{t−1} + b)."""

from dataclasses import dataclass

from core.catalog.layers import _recurrent
from core.spec.options import _, option


@dataclass(frozen=True)
class Rnn(_recurrent.Recurrent):
    """Options of a vanilla recurrent layer."""

    nonlinearity: str = option("tanh", _("The function f of the state."), choices=("tanh", "relu"))
    init: str = option(
        "default",
        _(
            "How U starts: torch's small random numbers; orthogonal times a gain; or as the identity with zero biases, "
            "which keeps the state as it is (Le 2015, IRNN)."
        ),
        label=_("start"),
        choices=("default", "orthogonal", "identity"),
    )
    gain: float = option(
        1.0,
        _("What the orthogonal start is multiplied by: all of U's singular values."),
        low=0.0,
        high=10.0,
        unit=_("(factor)"),
        applies=lambda o: o.init == "orthogonal",
    )


ENTRY = _recurrent.entry("rnn", _("recurrent layer"), "core.worker.model.modules.recurrent:Rnn", Rnn, 21)
