"""What a run's data, weights and validation say of its learning: the evidence beside the gradient's."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from core.catalog.entries import NUMBER
from core.catalog.loss_floor import floor
from core.catalog.views.gradients import Gradients
from core.diagnosis import Limited
from core.spec import registry
from core.spec.events import Event
from core.spec.options import declared
from core.worker.data.splits import NOT_ASKED
from core.worker.look.subject import Subject
from core.worker.model import flaws
from core.worker.model.build import Network, check, stack_of
from core.worker.model.trace import trace
from core.worker.train.objective import Tally

LATE = 5  # readings of the accuracy whose mean is that of late
COMPARED = 256  # samples that are answered with both statistics of the batch norms
DIFFERENT = 2000  # samples among which one that differs is looked for


def evidence(subject: Subject, network: Network, events: list[Event], options: Gradients) -> dict[str, Any]:
    """Fields of core.diagnosis.Evidence. `events`: those up to the moment that is looked at."""
    train, y = subject.experiment.train, subject.splits.train[1]
    names = ("train/accuracy", "val/loss", "val/accuracy")
    said = {name: [event.value for event in events if event.name == name] for name in names}
    late = said["train/accuracy"][-LATE:]
    constant, chance = best_constant(y, subject.form.task, subject.form.classes, train.label_smoothing)
    return {
        "floor": floor(train, subject.form.classes),
        "constant": constant,
        "chance": chance,
        "accuracy": sum(late) / len(late) if late else math.nan,
        "val_loss": (said["val/loss"] or [math.nan])[-1],
        "val_accuracy": (said["val/accuracy"] or [math.nan])[-1],
        "weight_decay": train.weight_decay,
        "weights": weights_kept(subject),
        "normed": both_statistics(subject),
        "limited": limited(subject, network, options.batch),
        "data": subject.splits.nothing_to_learn(),
        "sigmoids": [name for name, module in network.named_modules() if isinstance(module, nn.Sigmoid)],
        "label_noise": train.label_noise,
        "early_stopping": train.early_stopping,
        "more_samples": more_samples(subject),
        "activation": _activation(subject),
    }


def _activation(subject: Subject) -> str:
    model = subject.experiment.model
    return "model.activation" if not model.layers and "activation" in declared(type(model.options)) else ""


def more_samples(subject: Subject) -> int:
    """Ten times the samples, where the data set is drawn and may have so many; else 0."""
    data = subject.experiment.data
    known, entry = declared(type(data.options)), registry.DATASETS.get(data.name)
    if entry.files or "samples" not in known:
        return 0
    now, most = getattr(data.options, "samples"), int(known["samples"][2].high or 0)  # noqa: B009
    return min(10 * now, most) if 2 * now <= most else 0


def best_constant(y: Tensor, task: str, classes: int, smoothing: float = 0.0) -> tuple[float, float]:
    """(the loss of the best single answer for all samples, the share of the commonest class; NaN for numbers).

    The entropy of the classes' shares, as the smoothed labels have them; the variance of numbers.
    """
    if task == NUMBER:
        return float(y.double().var(correction=0)), math.nan
    asked = y[y != NOT_ASKED]
    if not len(asked):
        return math.nan, math.nan
    shares = torch.bincount(asked.flatten(), minlength=classes).double() / len(asked)
    soft = (1 - smoothing) * shares + smoothing / classes
    return float(-torch.special.xlogy(soft, soft).sum()), float(shares.max())


def weights_kept(subject: Subject) -> dict[str, float]:
    """Layer → size of its matrices now ÷ at the first moment that is kept."""
    start = subject.at(subject.run.moments()[0])
    found = {}
    for name, layer in subject.network.named_children():
        pairs = [
            (p, q)
            for p, q in zip(layer.parameters(), start.get_submodule(name).parameters(), strict=True)
            if p.dim() > 1
        ]
        before = sum(float(q.double().square().sum()) for _p, q in pairs)
        if before:
            found[name] = math.sqrt(sum(float(p.double().square().sum()) for p, _q in pairs) / before)
    return found


def both_statistics(subject: Subject) -> tuple[float, float] | None:
    """Share of right answers with the batch's own mean and variance, and with the running ones; None without norms."""
    norms = [m for m in subject.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms or subject.form.task == NUMBER:
        return None
    x, y = (part[:COMPARED] for part in subject.splits.train)
    network, shares = copy.deepcopy(subject.network).eval(), []
    for own in (True, False):
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(own)
                module.momentum = 0.0  # what is running stays as it is
        tally = Tally(subject.form.task)
        with torch.no_grad():
            tally.add(network(x), y)
        shares.append(tally.figures().get("accuracy", math.nan))
    return shares[0], shares[1]


def limited(subject: Subject, network: Network, count: int) -> Limited | None:
    """The layer after the one that answers that limits the answer, and how much of the batch lies at its limit."""
    stack = stack_of(check(subject.experiment.model, subject.form))
    problem = flaws.limited_answer(stack, subject.form)
    if problem is None:
        return None
    spec = next(spec for spec, _takes in stack if spec.name == problem.layer)
    least, largest, at_random = flaws.limits(spec.kind, spec.options)
    with trace(network, [spec.name]) as given, torch.no_grad():
        network(subject.splits.train[0][:count])
    out = given[spec.name].double()
    close = 0.01 * (largest - least if math.isfinite(largest - least) else max(1.0, float(out.abs().max())))
    at = ((out - least).abs() <= close) | ((out - largest).abs() <= close)
    return Limited(spec.name, problem.message.partition(": ")[2], float(at.double().mean()), at_random)
