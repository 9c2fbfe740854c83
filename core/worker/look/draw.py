"""What the network makes of a drawing, or of a test sample where none is given: one forward and one backward pass.

What it gives is declared in core.catalog.views.draw.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.views.draw import ANSWERS, SALIENCY, DrawFacts
from core.spec.options import Options
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.spec.specs import DataSpec
from core.worker.look.subject import Report, Subject

LIT = 0.4  # a pixel brighter than this counts as drawn
LOOKED_AT = 256  # test samples from which the data's habit is taken
_habits: dict[tuple[DataSpec, int], dict[str, Any]] = {}


def look(subject: Subject, _options: Options, _report: Report) -> Seen[DrawFacts]:
    """Answers, saliency and the chosen layer's output."""
    logits, slope, kept = passes(subject)
    answers, saliency = logits.softmax(-1), slope.abs().amax(0)
    sure, order = answers.sort(descending=True)
    best = int(order[0])
    facts = DrawFacts(
        shown=subject.shown,
        kind=subject.form.kind,
        target="" if subject.y is None else subject.label(int(subject.y)),
        predicted=subject.label(best),
        confidence=float(sure[0]),
        classes=[subject.label(k) for k in range(len(answers))],
        **known_habit(subject),
    )
    arrays = {ANSWERS: answers, SALIENCY: saliency, subject.layer: kept}
    words = sentences(subject, sure, order, saliency)
    return subject.seen(arrays, facts, words, code(subject.layer))


def passes(subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """The logits [class], the slope [channel, height, width] of the largest and the chosen layer's output."""
    kept: list[Tensor] = []
    layer = subject.network.get_submodule(subject.layer)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output.detach()))
    x = subject.x.detach().requires_grad_()
    try:
        with torch.enable_grad():
            logits = subject.network(x)
            (slope,) = torch.autograd.grad(logits.max(), x)
    finally:
        handle.remove()
    return logits.detach()[0], slope[0], kept[0][0]


def sentences(subject: Subject, sure: Tensor, order: Tensor, saliency: Tensor) -> list[str]:
    """What is to be said of the answer; `sure` and `order` from the most likely class down."""
    first, second = (f"{subject.label(int(order[i]))} ({float(sure[i]):.1%})" for i in (0, 1))
    said = [Sentence("The network says {first}; next comes {second}.", first=first, second=second)]
    if not subject.shown.any():
        return [_("Nothing is drawn. The network answers all the same: it must choose one of its classes."), *said]
    row, column = divmod(int(saliency.argmax()), saliency.shape[1])
    return [
        *said,
        Sentence(
            "The logit of {label} hangs most on the pixel in row {row}, column {column}: there it changes by "
            "{max:.2g} for each standard deviation of brightness.",
            label=subject.label(int(order[0])),
            row=row,
            column=column,
            max=float(saliency.max()),
        ),
        _(
            "The shares always sum to 100 %: the network knows no “none of these”, so a high share for a "
            "scribble is no proof of anything."
        ),
    ]


def known_habit(subject: Subject) -> dict[str, Any]:
    """`habit` of the run's data, taken once."""
    key = (subject.experiment.data, id(subject.splits))
    if key not in _habits:
        while len(_habits) >= 8:
            _habits.pop(next(iter(_habits)))
        _habits[key] = habit(subject.splits.shown[:LOOKED_AT])
    return _habits[key]


def habit(shown: np.ndarray) -> dict[str, Any]:
    """How pictures [n, height, width] or [n, height, width, 3] of bytes stand in their frame, as medians.

    box: the longer side of what is lit, in sides of the picture · middle: its centre of mass (row, column), in heights
    and widths · blur: the σ of the Gaussian, in heights, which makes a sharp edge as soft as their sharpest one.
    MNIST's were made with a box of 20 pixels of 28 and the centre of mass in the middle (LeCun 1998, section 3).
    """
    grey = shown.astype(np.float32) / 255
    grey = grey.mean(-1) if grey.ndim == 4 else grey
    grey = grey[(grey > LIT).any((1, 2))]
    if not len(grey):
        return {"box": 20 / 28, "middle": [0.5, 0.5], "blur": 0.0}
    lit = np.where(grey > LIT, grey, 0)
    sides, middles = [], []
    for axis in (1, 2):
        line = lit.sum(3 - axis)  # over the other axis: [n, place]
        places = np.arange(line.shape[1])
        found = np.where(line > 0, places, -1)
        sides.append((found.max(1) - np.where(line > 0, places, line.shape[1]).min(1) + 1) / line.shape[1])
        middles.append(float(np.median((line * (places + 0.5)).sum(1) / line.sum(1) / line.shape[1])))
    return {"box": float(np.median(np.maximum(*sides))), "middle": middles, "blur": softness(grey)}


def softness(grey: np.ndarray) -> float:
    """`blur` of pictures [n, height, width]: a step blurred with σ pixels climbs at most erf(1 / (σ √8)) a pixel."""
    steepest = np.maximum(np.abs(np.diff(grey, axis=1)).max((1, 2)), np.abs(np.diff(grey, axis=2)).max((1, 2)))
    edge = float(np.median(steepest / grey.max((1, 2))))
    sigma = 0.5 / NormalDist().inv_cdf((1 + min(max(edge, 0.02), 0.999)) / 2)  # pixels
    return float(sigma / grey.shape[1])


def code(layer: str) -> str:
    """The same in PyTorch's own words."""
    return (
        "import torch\n\n"
        "kept = {}\n"
        f'layer = network.get_submodule("{layer}")\n'
        "keep = lambda module, inputs, output: kept.update(maps=output.detach()[0])\n"
        "layer.register_forward_hook(keep)\n"
        "x = x.detach().requires_grad_()\n"
        "logits = network(x)[0]\n"
        "answers = logits.softmax(-1)\n"
        "(slope,) = torch.autograd.grad(logits.max(), x)\n"
        "saliency = slope[0].abs().amax(0)  # the largest over the channels\n"
        'print(answers, saliency.shape, kept["maps"].shape)\n'
    )
