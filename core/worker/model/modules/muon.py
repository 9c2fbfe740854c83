"""Muon (Jordan 2024, kellerjordan.github.io/posts/muon), with AdamW for what is no hidden matrix; one optimizer.

torch.optim.Muon (from 2.9 on) takes matrices only; this one takes a network, and flattens kernels. On matrices both
make the same steps (tests/worker/model/modules/test_muon.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)  # from the source: steepest at zero, ends between 0.7 and 1.2
MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.RNNBase)


class Muon(torch.optim.Optimizer):
    """Its groups: the hidden matrices, then the rest; both have lr and weight_decay (decoupled from the gradient)."""

    def __init__(
        self,
        network: nn.Module,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        fused: bool = True,
    ) -> None:
        matrices = hidden_matrices(network)
        chosen = {id(p) for p in matrices}
        rest = [p for p in network.parameters() if id(p) not in chosen]
        self._adamw = torch.optim.AdamW([{"params": rest}], lr=lr, weight_decay=weight_decay, fused=fused)
        defaults = {"lr": lr, "weight_decay": weight_decay}
        super().__init__([{"params": matrices}], defaults)
        self.momentum, self.nesterov, self.ns_steps = momentum, nesterov, ns_steps
        self.param_groups += self._adamw.param_groups  # the same dicts: who sets lr here sets it there
        self._adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        group = self.param_groups[0]
        lr, decay = group["lr"], group["weight_decay"]
        spoilt: Tensor | None = getattr(self, "found_inf", None)  # as torch's fused optimizers have it: 1 is no step
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - self.momentum)
            update = parameter.grad.lerp(buffer, self.momentum) if self.nesterov else buffer
            step = orthogonal(update.flatten(1), self.ns_steps).view(parameter.shape)
            before = parameter.clone() if spoilt is not None else parameter
            parameter.mul_(1 - lr * decay)
            parameter.add_(step, alpha=-lr * 0.2 * max(update.flatten(1).shape) ** 0.5)
            if spoilt is not None:
                parameter.copy_(torch.where(spoilt > 0, before, parameter))
        self._adamw.found_inf = spoilt  # type: ignore[attr-defined]
        self._adamw.step()


def orthogonal(matrix: Tensor, steps: int) -> Tensor:
    """Nearly U Vᵀ of matrix [rows, columns] = U S Vᵀ, by Newton-Schulz iterations in bfloat16."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(torch.bfloat16, copy=True)
    x = x.T if tall else x
    x.div_(x.norm().clamp(min=1e-7))  # no singular value is above 1
    for _step in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).contiguous()


def hidden_matrices(network: nn.Module) -> list[nn.Parameter]:
    """The weights of linear, convolutional and recurrent layers, but for the last layer's, which gives the answer."""
    layers = [m for m in network.modules() if isinstance(m, MATRICES)]
    return [p for layer in layers[:-1] for p in layer.parameters() if p.dim() >= 2]
