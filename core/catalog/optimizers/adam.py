"""Adam (Kingma & Ba 2015): steps scaled by running moments of the gradient."""

from core.catalog.entries import Optimizer
from core.catalog.optimizers.adamw import AdamW

ENTRY = Optimizer(
    name="adam",
    title="Adam",
    module="torch.optim:Adam",
    options=AdamW,
    arguments=lambda o: {"betas": (o.beta1, o.beta2)},
    examples=(AdamW(),),
    order=2,
)
