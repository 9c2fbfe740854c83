"""Gradient through time while a recurrent network trains: one number a look, on a few samples that never change."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from core.catalog.entries import EACH_STEP
from core.worker.data.splits import NOT_ASKED
from core.worker.model.build import Network
from core.worker.model.cells import Unrolled
from core.worker.train.objective import loss_of

SAMPLES = 4


class ThroughTime:
    """‖∂L/∂s₁‖ ÷ ‖∂L/∂s_T‖ of each recurrent layer: s is the cell state of an LSTM, else the hidden state.

    The fused layers hide the gradients between their steps, so a twin of the network with the layer unrolled by hand
    (core.worker.model.cells) answers the probe. It shares the weights; it runs in evaluation mode, draws no random
    number and leaves no gradient behind: a watched run stays the same to the bit. L is the loss of the last answer
    alone. Layers that read in both directions have no single way back and are left out.
    """

    def __init__(self, network: Network, train: tuple[Tensor, Tensor], task: str) -> None:
        self._network, self._loss = network, loss_of(task)
        self._x, self._y = train[0][:SAMPLES], train[1][:SAMPLES]
        if task == EACH_STEP:
            self._y = last_asked(self._y)
        self._layers = [name for name, layer in network.named_children() if _one_way(layer)]

    def __bool__(self) -> bool:
        """Is there a layer to look at?"""
        return bool(self._layers)

    def look(self) -> list[tuple[str, float]]:
        """(layer, ratio) of every layer; 0 where nothing comes back."""
        training = self._network.training
        self._network.eval()
        try:
            return [(name, self._ratio(name)) for name in self._layers]
        finally:
            self._network.train(training)

    def _ratio(self, name: str) -> float:
        twin, layer = copy.copy(self._network), self._network.get_submodule(name)
        unrolled = Unrolled(layer.core)  # type: ignore[arg-type]
        twin._modules = {**self._network._modules, name: unrolled}
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):  # for other recurrent layers: no way back
            loss = self._loss(twin(self._x), self._y)
            stacks = int(layer.core.num_layers)  # type: ignore[union-attr, arg-type]
            top = unrolled.moments[stacks - 1, False]
            states = [moment.hidden if moment.cell is None else moment.cell for moment in top]
            grads = torch.autograd.grad(loss, states, allow_unused=True, materialize_grads=True)
        return ratio(torch.stack(grads))


def ratio(grads: Tensor) -> float:
    """Mean over samples of ‖first‖ ÷ ‖last‖ of gradients [step, sample, unit]; the last that the loss hears of."""
    norms = grads.double().norm(dim=-1)
    heard = norms.sum(0) > 0
    if not bool(heard.any()):
        return 0.0
    places = torch.arange(len(norms), device=norms.device)[:, None]
    last = ((norms > 0) * places).amax(0)
    return float((norms[0] / norms.gather(0, last[None])[0])[heard].mean())


def _one_way(layer: nn.Module) -> bool:
    core = getattr(layer, "core", None)
    return isinstance(core, nn.RNNBase) and not core.bidirectional


def last_asked(y: Tensor) -> Tensor:
    """Targets [batch, step] of which only the last one that is asked is left."""
    places = torch.arange(1, y.shape[1] + 1, device=y.device)
    last = ((y != NOT_ASKED) * places).amax(1, keepdim=True)
    return torch.where(places == last, y, NOT_ASKED)
