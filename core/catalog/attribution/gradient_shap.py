"""GradientShap: gradients at random points of the ways from training samples to the input."""

from dataclasses import dataclass

from core.catalog.entries import DRAWS, GRADIENT, Method
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class GradientShap(Options):
    """Options of GradientShap."""

    samples: int = option(50, _("Random points at which the gradient is taken."), low=2, high=2000, unit=_("points"))
    baselines: int = option(
        16,
        _("Training samples, drawn with the seed, that the input is compared with."),
        low=2,
        high=200,
        unit=_("samples"),
    )
    noise: float = option(
        0.0,
        _("Standard deviation of noise that is added to the input, as a share of its range."),
        low=0.0,
        high=2.0,
        unit=_("of the range"),
    )


ENTRY = Method(
    name="gradient_shap",
    title=_("GradientShap"),
    attribute="core.worker.explain.methods.noise:gradient_shap",
    words=_(
        "What each place adds to the answer on the way from training samples to the input, estimated at random points: "
        "the more of them, the nearer its sum comes to the difference of the answers."
    ),
    family=GRADIENT,
    options=GradientShap,
    cost=lambda o, _size: float(o.samples),
    averages=DRAWS,
    source="Lundberg 2017; Erion 2021",
    examples=(GradientShap(samples=12, baselines=4), GradientShap(samples=6, baselines=3, noise=0.1)),
    order=14,
)
