"""AdamW (Loshchilov & Hutter 2019): Adam with weight decay that does not pass through the moments."""

from dataclasses import dataclass

from core.catalog.entries import Optimizer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class AdamW(Options):
    """Options of AdamW."""

    beta1: float = option(0.9, _("Memory of the mean gradient."), low=0.0, high=0.9999, unit=_("share kept per step"))
    beta2: float = option(
        0.999, _("Memory of the mean squared gradient."), low=0.0, high=0.99999, unit=_("share kept per step")
    )


ENTRY = Optimizer(
    name="adamw",
    title="AdamW",
    module="torch.optim:AdamW",
    options=AdamW,
    arguments=lambda o: {"betas": (o.beta1, o.beta2)},
    examples=(AdamW(), AdamW(beta1=0.8)),
    order=1,
)
