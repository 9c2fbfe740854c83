"""RMSprop (Tieleman & Hinton 2012): steps divided by a running root mean square of the gradient."""

from dataclasses import dataclass

from core.catalog.entries import Optimizer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class RmsProp(Options):
    """Options of RMSprop."""

    alpha: float = option(
        0.99, _("Memory of the mean squared gradient."), low=0.0, high=0.99999, unit=_("share kept per step")
    )
    momentum: float = option(
        0.0, _("Share of the last step that goes on."), low=0.0, high=0.9999, unit=_("share kept per step")
    )
    centered: bool = option(False, _("Divide by the standard deviation: the mean gradient is taken off first."))


ENTRY = Optimizer(
    name="rmsprop",
    title="RMSprop",
    module="torch.optim:RMSprop",
    options=RmsProp,
    arguments=lambda o: {"alpha": o.alpha, "momentum": o.momentum, "centered": o.centered},
    fused=False,
    examples=(RmsProp(), RmsProp(momentum=0.5, centered=True)),
    order=4,
)
