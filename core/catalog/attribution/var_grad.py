"""VarGrad: how much the gradient changes between noisy copies of the input."""

from core.catalog.attribution._noise import Noisy
from core.catalog.entries import DRAWS, GRADIENT, Method
from core.spec.options import _

ENTRY = Method(
    name="var_grad",
    title=_("VarGrad"),
    attribute="core.worker.explain.methods.noise:var_grad",
    words=_(
        "The variance of the gradient over noisy copies of the input: where the network bends most around this sample."
    ),
    family=GRADIENT,
    options=Noisy,
    cost=lambda o, _size: float(o.samples),
    signed=False,
    averages=DRAWS,
    source="Adebayo 2018",
    examples=(Noisy(samples=8), Noisy(samples=5, noise=0.05, of="input_x_gradient")),
    order=13,
)
