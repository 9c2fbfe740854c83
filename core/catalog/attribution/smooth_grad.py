"""SmoothGrad: the gradient, averaged over noisy copies of the input."""

from core.catalog.attribution._noise import Noisy
from core.catalog.entries import DRAWS, GRADIENT, Method
from core.spec.options import _

ENTRY = Method(
    name="smooth_grad",
    title=_("SmoothGrad"),
    attribute="core.worker.explain.methods.noise:smooth_grad",
    words=_(
        "The mean gradient over noisy copies of the input: what is left when the gradient's flicker is averaged out."
    ),
    family=GRADIENT,
    options=Noisy,
    cost=lambda o, _size: float(o.samples),
    panel=True,
    averages=DRAWS,
    source="Smilkov 2017",
    examples=(Noisy(samples=8), Noisy(samples=5, noise=0.05, of="input_x_gradient")),
    order=12,
)
