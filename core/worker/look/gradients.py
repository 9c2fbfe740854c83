"""How the gradient flows: through the layers at one moment, and over the training; and a diagnosis of both in words.

At the moment that is looked at, one backward pass of the loss that training minimises, for the first samples of the
training set. Batch norms use this batch's own mean and variance, as in training: with the running ones a network
whose gradients explode looks healthy (Yang 2019, arXiv 1902.08129). Dropout is off, so that every look says the same.

What it gives is declared in core.catalog.views.gradients.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core import diagnosis
from core.catalog.entries import EACH_STEP, NUMBER
from core.catalog.views.gradients import (
    DEAD,
    HISTORY_STEPS,
    NORMS,
    SATURATED,
    Gradients,
    GradientsFacts,
    edges,
    histogram,
    history,
)
from core.spec import registry
from core.spec.events import FAILED, Event
from core.spec.questions import Seen
from core.spec.sentences import _
from core.worker.data.splits import NOT_ASKED
from core.worker.look import _learning
from core.worker.look.subject import Report, Subject
from core.worker.model.build import Network
from core.worker.model.cells import Unrolled
from core.worker.model.modules.recurrent import Recurrent
from core.worker.model.trace import first_non_finite
from core.worker.train.augment import replace_labels
from core.worker.train.objective import Loss, loss_of

WAY = _("One batch of the training set goes through the network and back.")
BACK_IN_TIME = _("The gradient goes back step by step.")
BINS = 40
EVERY = 0.1  # seconds between two reports
STEEP = 0.05  # a sigmoid or tanh is saturated where its slope is below this share of its largest


def look(subject: Subject, options: Gradients, report: Report) -> Seen[GradientsFacts]:
    """One backward pass, the run's readings so far, and what both say."""
    report(0.0, WAY)
    report = _seldom(report)
    batch = training_batch(subject, options.batch)
    network = as_in_training(subject.copied())
    loss = loss_of(subject.form.task, subject.experiment.train.label_smoothing)
    found = backward(network, batch, loss, report)
    events = subject.run.events()
    history = History(events, list(found.norms))
    so_far = History([event for event in events if event.step <= subject.step], list(found.norms))
    ratios = through_time(network, batch, loss, report)
    judged = [name for name in found.norms if has_matrix(network.get_submodule(name))]
    evidence = diagnosis.Evidence(
        norms={name: found.norms[name] for name in judged},
        dead=found.dead,
        saturated=found.saturated,
        through_time=ratios,
        losses=so_far.losses,
        update_ratios=so_far.middle(),
        ended=_ended(subject, events) or _not_finite(subject, network, batch, found),
        lr=subject.experiment.train.lr,
        swept=_swept(subject),
        **_learning.evidence(subject, network, [event for event in events if event.step <= subject.step], options),
    )
    verdicts = diagnosis.diagnose(evidence)
    arrays: dict[str, Any] = {
        NORMS: np.array(list(found.norms.values())),
        DEAD: np.array(list(found.dead.values())),
        SATURATED: np.array(list(found.saturated.values())),
        **history.arrays(),
    }
    for name, (counts, bounds) in found.histograms.items():
        arrays |= {histogram(name): counts, edges(name): bounds}
    facts = GradientsFacts(
        verdicts=[asdict(one) for one in verdicts],
        layers=list(found.norms),
        judged=judged,
        counted=list(found.histograms),
        relus=list(found.dead),
        squashing=list(found.saturated),
        loss=found.loss,
        batch=len(batch[0]),
        ratio=evidence.ratio(),
        through_time=ratios,
    )
    words = [f"{one.sentence()} {one.advice()}".strip() for one in verdicts]
    names = f"from core.worker.look.gradients import training_batch\n\nx, y = training_batch(subject, {len(batch[0])})"
    return subject.seen(arrays, facts, words, _code(subject, len(batch[0])), names)


def _seldom(report: Report) -> Report:
    """The same, told at most ten times a second, however small the layers."""
    told = time.monotonic()

    def tell(fraction: float, words: str) -> None:
        nonlocal told
        if time.monotonic() - told >= EVERY:
            report(fraction, words)
            told = time.monotonic()

    return tell


# ── one pass ─────────────────────────────────────────────────────────────────────────────────────────────────────────

Batch = tuple[Tensor, Tensor]


def training_batch(subject: Subject, count: int) -> Batch:
    """The first samples of the training set and their targets, with the labels that training was given."""
    x, y = subject.splits.train
    train = subject.experiment.train
    if train.label_noise:
        y = replace_labels(y, subject.form.classes, train.label_noise, train.seed)
    return x[:count], y[:count]


def as_in_training(network: Network) -> Network:
    """The network with gradients on, its batch norms reading the batch, its dropout off."""
    network.train().requires_grad_(True)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return network


@dataclass
class Found:
    """What one pass forth and back has shown, by the addresses of layers and modules."""

    loss: float = math.nan
    norms: dict[str, float] = field(default_factory=dict)
    dead: dict[str, float] = field(default_factory=dict)
    saturated: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # counts, edges


def backward(network: Network, batch: Batch, loss: Loss, report: Report) -> Found:
    """The pass. `report` hears of every layer, forth and back."""
    found, passed = Found(), 0

    def step(_gradient: Tensor | None = None) -> None:
        nonlocal passed
        passed += 1
        report(0.7 * passed / (2 * len(network.addresses)), WAY)

    with ExitStack() as hooks:
        for name in network.addresses:
            hook = network.get_submodule(name).register_forward_hook(_counted(found, name, step))
            hooks.callback(hook.remove)
        for name, module in network.named_modules():
            if kind := activation_kind(module):
                hooks.callback(module.register_forward_hook(_judged(found, name, kind)).remove)
        given = loss(network(batch[0]), batch[1])
    found.loss = float(given.detach())
    given.backward()
    for name, layer in network.named_children():
        sizes = [p.grad.double().norm() for p in layer.parameters() if p.grad is not None]
        if any(True for _p in layer.parameters()):
            found.norms[name] = float(torch.stack(sizes).norm()) if sizes else 0.0
    return found


def _counted(found: Found, name: str, step: Callable[[Tensor | None], None]) -> Any:
    """A hook that counts what a layer gives, and tells when the pass is there, forth and back."""

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        step(None)
        found.histograms[name] = counts_of(output.detach())
        if output.requires_grad:
            output.register_hook(step)

    return hook


def _judged(found: Found, name: str, kind: str) -> Any:
    """A hook that asks how many units of an activation pass no gradient."""

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if kind == "relu":
            found.dead[name] = dead_share(output.detach())
        else:
            found.saturated[name] = saturated_share(output.detach(), kind)

    return hook


def has_matrix(layer: nn.Module) -> bool:
    """Does it weigh its inputs? Norms, positions and embeddings do not; their gradients are no stages of the way."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.RNNBase)
    return any(isinstance(module, kinds) for module in layer.modules())


def activation_kind(module: nn.Module) -> str:
    """relu, sigmoid or tanh where a module gives the values of one, also a recurrent layer's states; else "" """
    kinds = {nn.ReLU: "relu", nn.ReLU6: "relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh"}
    if isinstance(module, Recurrent):
        return {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(module.core.mode, "")
    return kinds.get(type(module), "")


def dead_share(output: Tensor) -> float:
    """Share of units that are zero everywhere: features of [n, F] or [n, T, F], maps of [n, C, H, W]."""
    unit = 1 if output.dim() == 4 else -1
    return float((output == 0).movedim(unit, 0).flatten(1).all(1).float().mean())


def saturated_share(output: Tensor, kind: str) -> float:
    """Share of outputs where the slope, s (1 − s) of a sigmoid and 1 − t² of a tanh, is below STEEP of its largest."""
    slope = 4 * output * (1 - output) if kind == "sigmoid" else 1 - output.square()
    return float((slope < STEEP).float().mean())


def counts_of(output: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(counts [B], edges [B + 1]), between round numbers: from 0, or from as far below it as above.

    So the edges stay the same while a layer's outputs change little. What is not finite is left out.
    """
    values = output.flatten().double().numpy()
    values = values[np.isfinite(values)]
    most = round_up(float(np.abs(values).max(initial=0.0)))
    low = -most if float(values.min(initial=0.0)) < 0 else 0.0
    counts, edges = np.histogram(values, BINS, (low, most))
    return counts, edges


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, … times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * lead for lead in (1, 2, 5, 10, 20) if power * lead >= value)


# ── the training so far ──────────────────────────────────────────────────────────────────────────────────────────────


class History:
    """The readings of the gradients in a run's rows, for these layers."""

    def __init__(self, events: list[Event], layers: list[str]) -> None:
        self.losses = tuple(e.value for e in events if e.name == "train/loss")
        self.steps = sorted({e.step for e in events if e.name.startswith("grad_norm/")})
        column, row = {s: i for i, s in enumerate(self.steps)}, {name: i for i, name in enumerate(layers)}
        shape = (len(layers), len(self.steps))
        self.kinds = {"grad_norm": np.full(shape, np.nan), "update_ratio": np.full(shape, np.nan)}
        for event in events:
            kind, _slash, layer = event.name.partition("/")
            if kind in self.kinds and layer in row and event.step in column:
                self.kinds[kind][row[layer], column[event.step]] = event.value

    def arrays(self) -> dict[str, np.ndarray]:
        """As the view gives them."""
        steps = np.array(self.steps, dtype=np.int64)
        return {HISTORY_STEPS: steps, **{history(kind): table for kind, table in self.kinds.items()}}

    def middle(self) -> tuple[float, ...]:
        """At each reading, how far the step moved the weights as a share of their size: the median over the layers."""
        table = self.kinds["update_ratio"]
        columns = [column[np.isfinite(column)] for column in table.T]
        return tuple(float(np.median(column)) for column in columns if column.size)


def _ended(subject: Subject, events: list[Event]) -> diagnosis.Ended | None:
    """Where the run stopped being finite, as it said itself."""
    status = subject.run.status()
    bad = [e.step for e in events if e.name == "train/loss" and not math.isfinite(e.value)]
    if status.state != FAILED or not (status.layer or bad):
        return None
    return diagnosis.Ended(bad[0] if bad else status.step, status.layer)


def _not_finite(subject: Subject, network: Network, batch: Batch, found: Found) -> diagnosis.Ended | None:
    """The first layer that is not finite for this batch, where one is not."""
    if all(map(math.isfinite, (found.loss, *found.norms.values()))):
        return None
    return diagnosis.Ended(subject.step, first_non_finite(network, batch[0]))


def _swept(subject: Subject) -> bool:
    """Is the learning rate itself what the run tries out?"""
    return registry.SCHEDULES.get(subject.experiment.train.schedule.name).suggest is not None


# ── through time ─────────────────────────────────────────────────────────────────────────────────────────────────────


def through_time(network: Network, batch: Batch, loss: Loss, report: Report) -> dict[str, float]:
    """Recurrent layer → ‖∂L/∂s₁‖ ÷ ‖∂L/∂s_T‖ over the batch, s its state (an LSTM's cell state), T the last real step.

    torch's fused layers give no gradient of a state, so the layers are unrolled by hand. Where every step is answered,
    the loss is that of the last answer alone: only then has its gradient come all the way. Of stacked layers the
    lowest ratio stands; a layer that reads both ways is left out, for no step is far from an end.
    """
    plain = {n: m.core for n, m in network.named_children() if isinstance(m, Recurrent) and not m.core.bidirectional}
    if not plain:
        return {}
    unrolled = copy.deepcopy(network)
    layers = {name: _OneWay(core, lambda: report(0.8, BACK_IN_TIME)) for name, core in plain.items()}
    for name, layer in layers.items():
        setattr(unrolled, name, layer)
    x, y, last = _last_answers(*batch)
    given = loss(unrolled(x), y)
    return {name: _ratio_in_time(given, layer, last, report) for name, layer in layers.items()}


class _OneWay(Unrolled):
    """A layer that reads forward only and so never sees padding, which stands at the end: it goes on over it.

    Holding the states there, as the mask would have it, cuts the way from the last cell state to the answer.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x)


def _last_answers(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The batch, asked for the last answer of each row alone, and the step [batch] at which it is given."""
    steps = x.shape[1] if x.dim() < 4 else x.shape[2]
    places = torch.arange(steps)
    last = torch.full((len(x),), steps - 1)
    if not x.is_floating_point():
        last = ((x != 0) * places).amax(1)
    if y.dim() == 2:
        asked = y != NOT_ASKED
        last = (asked * places).amax(1)
        y = torch.where(asked & (places == last[:, None]), y, NOT_ASKED)
    return x, y, last


def _ratio_in_time(given: Tensor, layer: Unrolled, last: Tensor, report: Report) -> float:
    ratios = []
    for moments in layer.moments.values():
        states = [moment.hidden if moment.cell is None else moment.cell for moment in moments]
        report(0.85, BACK_IN_TIME)
        found = torch.autograd.grad(given, states, retain_graph=True, allow_unused=True)
        gradients = torch.stack([torch.zeros_like(s) if g is None else g for s, g in zip(states, found, strict=True)])
        ends = last.clamp(max=len(states) - 1)
        at_last = gradients[ends, torch.arange(len(ends))].double().norm()
        ratios.append(float(gradients[0].double().norm() / at_last))
    return min(ratios, default=math.nan)


# ── as lines of PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────


def _code(subject: Subject, count: int) -> str:
    smoothing = subject.experiment.train.label_smoothing
    more = f", label_smoothing={smoothing}" if smoothing else ""
    losses = {
        NUMBER: "F.mse_loss(network(x).reshape(y.shape), y)",
        EACH_STEP: f"F.cross_entropy(network(x).flatten(0, -2), y.flatten(){more})",
    }
    return f"""import torch
import torch.nn.functional as F

# x, y: the first {count} samples of the training set, and their targets
network.train().requires_grad_(True)  # batch norms read this batch, as in training
for module in network.modules():
    if isinstance(module, torch.nn.Dropout):
        module.eval()
network.zero_grad()
relus = {{}}  # what they give
for name, module in network.named_modules():
    if isinstance(module, (torch.nn.ReLU, torch.nn.ReLU6)):
        module.register_forward_hook(lambda module, inputs, output, name=name: relus.update({{name: output}}))
loss = {losses.get(subject.form.task, f"F.cross_entropy(network(x), y{more})")}
loss.backward()

norms = {{}}  # the gradient's size at every layer that has weights
for name, layer in network.named_children():
    gradients = [weight.grad.flatten() for weight in layer.parameters()]
    if gradients:
        norms[name] = float(torch.cat(gradients).norm())

dead = {{}}  # share of units that are zero for the whole batch
for name, out in relus.items():
    units = out.movedim(1 if out.dim() == 4 else -1, 0).flatten(1)
    dead[name] = float((units == 0).all(1).float().mean())

print(norms, dead)
"""
