"""What the views of recurrent layers share: which cell, what it gets, where its sequence ends."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.catalog.entries import EACH_STEP, PICTURE, TOKENS
from core.catalog.views._recurrent import Cells
from core.spec.sentences import Sentence, _
from core.worker.data.splits import NOT_ASKED
from core.worker.look.subject import Report, Subject
from core.worker.model.build import Network
from core.worker.model.cells import KINDS, real_steps

EVERY = 0.1  # seconds between two reports


@dataclass(frozen=True)
class Chosen:
    """One cell of the chosen layer: `stack` counts from the input, and is the top one where `top`."""

    core: nn.RNNBase
    kind: str  # rnn, lstm, gru
    stack: int
    backward: bool
    words: tuple[str, ...]  # what is not as it was asked for

    @property
    def top(self) -> bool:
        """Does the rest of the network read this one's states?"""
        return self.stack == self.core.num_layers - 1

    def columns(self) -> slice:
        """Where its states stand among the features that the layer gives, if it is a top one."""
        first = self.core.hidden_size * self.backward
        return slice(first, first + self.core.hidden_size)


def chosen(subject: Subject, options: Cells) -> Chosen:
    """The cell that was asked for, or the nearest there is."""
    core: Any = subject.network.get_submodule(subject.layer).core
    words = []
    if options.stack > core.num_layers:
        held = (
            _("one layer")
            if core.num_layers == 1
            else Sentence("{num_layers} stacked layers", num_layers=core.num_layers)
        )
        words.append(Sentence("{layer} holds {held}; the lowest is shown.", layer=subject.layer, held=held))
    if options.direction == "backward" and not core.bidirectional:
        words.append(Sentence("{layer} reads in one direction only, which is shown.", layer=subject.layer))
    backward = core.bidirectional and options.direction == "backward"
    stack = max(0, core.num_layers - options.stack)
    return Chosen(core, KINDS[core.mode], stack, backward, tuple(words))


def received(network: Network, address: str, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """What the layer gets for a batch: [batch, step, feature] and, for tokens, the mask [batch, step]."""
    found: list[Any] = []
    handle = network.get_submodule(address).register_forward_pre_hook(lambda _module, inputs: found.append(inputs))
    try:
        with torch.no_grad():
            network(x)
    finally:
        handle.remove()
    given, *mask = found[0]
    return given, mask[0] if mask else None


def lengths(given: Tensor, mask: Tensor | None) -> Tensor:
    """[batch]: how many steps of each row are real."""
    if mask is None:
        return torch.full((len(given),), given.shape[1])
    return real_steps(mask).sum(1)


def ends(subject: Subject, y: Tensor, counts: Tensor, backward: bool) -> Tensor:
    """[batch]: the position at which the cell has read all that it reads for its last answer.

    Where every step is answered, that is the last step in reading order at which an answer is asked.
    """
    if subject.form.task != EACH_STEP:
        return torch.zeros_like(counts) if backward else counts - 1
    asked = y != NOT_ASKED
    places = torch.arange(y.shape[1])
    if backward:
        return torch.where(asked, places, y.shape[1]).amin(1).clamp(max=y.shape[1] - 1)
    return (asked * places).amax(1)


def step_names(subject: Subject, count: int) -> list[str]:
    """What is read at every step: the token, or the number of the picture's row or of the step, from 1."""
    if subject.form.kind != TOKENS:
        return [str(t + 1) for t in range(count)]
    words = subject.splits.vocabulary
    tokens = subject.x[0].tolist()[:count]
    return [words[k] if 0 <= k < len(words) else str(k) for k in tokens] + ["?"] * (count - len(tokens))


def step_word(subject: Subject) -> str:
    """What one step is called in a sentence."""
    rows = subject.form.kind == PICTURE and any(a.kind == "rows" for a in subject.layers)
    return _("row") if rows else _("step")


class Ticker:
    """Called often; tells how far it is a few times a second, by the share of `total` calls made."""

    def __init__(self, report: Report, total: int, words: str, first: float = 0.0, last: float = 1.0) -> None:
        self.report, self.total, self.words, self.first, self.last = report, max(1, total), words, first, last
        self.calls, self.due = 0, time.monotonic() + EVERY

    def __call__(self) -> None:
        self.calls += 1
        if time.monotonic() >= self.due:
            share = self.first + (self.last - self.first) * min(1.0, self.calls / self.total)
            self.report(share, self.words)
            self.due = time.monotonic() + EVERY


def said(value: float) -> str:
    """A number as a sentence has it: 0.12, 3.4e-8."""
    if not math.isfinite(value):
        return _("beyond all numbers")
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"
