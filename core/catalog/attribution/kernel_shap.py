"""KernelShap: Shapley values by weighted least squares over coalitions of pieces."""

from dataclasses import dataclass

from core.catalog.attribution._options import Pieced, forwards, pieces
from core.catalog.entries import FITS, PERTURBATION, Method, Size
from core.spec.options import _, option


@dataclass(frozen=True)
class KernelShap(Pieced):
    """Options of KernelShap."""

    samples: int = option(
        512,
        _("For how many coalitions of pieces the network is asked. If these are all there are, it is exact."),
        low=16,
        high=5000,
        unit=_("coalitions"),
    )


def _cost(options: KernelShap, size: Size) -> float:
    n = pieces(options, size)
    return forwards(min(options.samples, 2**n - 2) + 2)


ENTRY = Method(
    name="kernel_shap",
    title=_("KernelShap"),
    attribute="core.worker.explain.methods.surrogate:kernel_shap",
    words=_(
        "This piece's fair share of the answer, by the linear model that best fits the answers for many coalitions of "
        "pieces. The map sums to the difference of the two answers."
    ),
    family=PERTURBATION,
    options=KernelShap,
    cost=_cost,
    tolerance=1e-3,
    averages=FITS,
    source="Lundberg and Lee 2017, section 4.1",
    order=70,
    examples=(KernelShap(samples=256), KernelShap(samples=200, pieces="slic", segments=16, baseline="mean")),
)
