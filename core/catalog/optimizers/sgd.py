"""Stochastic gradient descent with momentum (Sutskever 2013)."""

from dataclasses import dataclass

from core.catalog.entries import Optimizer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Sgd(Options):
    """Options of SGD."""

    momentum: float = option(
        0.9, _("Share of the last step that goes on."), low=0.0, high=0.9999, unit=_("share kept per step")
    )
    nesterov: bool = option(
        False, _("Look ahead along the momentum (needs momentum)."), applies=lambda o: o.momentum > 0
    )


ENTRY = Optimizer(
    name="sgd",
    title=_("SGD with momentum"),
    module="torch.optim:SGD",
    options=Sgd,
    arguments=lambda o: {"momentum": o.momentum, "nesterov": o.nesterov and o.momentum > 0},
    examples=(Sgd(), Sgd(momentum=0.0), Sgd(nesterov=True)),
    order=3,
)
