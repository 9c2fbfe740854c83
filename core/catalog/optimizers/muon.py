"""Muon (Jordan 2024): the momentum of each hidden matrix is made orthogonal before it is taken as the step.

Kernels count as matrices [out, in · height · width]. Embeddings, biases, norms and the last layer learn by AdamW, as
in the source; steps have AdamW's size (Liu 2025), so that one learning rate serves both.
"""

from dataclasses import dataclass

from core.catalog.entries import Optimizer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Muon(Options):
    """Options of Muon."""

    momentum: float = option(
        0.95, _("Share of the last step that goes on."), low=0.0, high=0.9999, unit=_("share kept per step")
    )
    nesterov: bool = option(True, _("Look ahead along the momentum."))
    newton_schulz: int = option(
        5,
        _("Iterations that make the step orthogonal."),
        label=_("Newton-Schulz steps"),
        low=1,
        high=20,
        unit=_("iterations"),
    )


ENTRY = Optimizer(
    name="muon",
    title="Muon",
    module="core.worker.model.modules.muon:Muon",
    options=Muon,
    arguments=lambda o: {"momentum": o.momentum, "nesterov": o.nesterov, "ns_steps": o.newton_schulz},
    of_network=True,
    examples=(Muon(), Muon(momentum=0.8, nesterov=False)),
    order=5,
)
