"""DeepLiftShap: DeepLift against several training samples, averaged."""

from dataclasses import dataclass

from core.catalog.attribution import _fit
from core.catalog.entries import DRAWS, RULE, Method
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class DeepLiftShap(Options):
    """Options of DeepLiftShap."""

    samples: int = option(
        8, _("Training samples that the input is compared with, drawn by the seed."), low=2, high=500, unit=_("samples")
    )


ENTRY = Method(
    name="deep_lift_shap",
    title=_("DeepLiftShap"),
    attribute="core.worker.explain.methods.rules:deep_lift_shap",
    words=_(
        "DeepLift compared not with one baseline but with several training samples, averaged: what speaks for this "
        "answer rather than for the usual one. The map sums to the mean difference of the answers."
    ),
    family=RULE,
    options=DeepLiftShap,
    fit=_fit.deep_lift,
    cost=lambda o, _size: 2.0 * o.samples,
    tolerance=1e-4,
    averages=DRAWS,
    source="Lundberg & Lee 2017, section 4.2",
    examples=(DeepLiftShap(samples=4),),
    order=41,
)
