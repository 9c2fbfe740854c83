"""What a view looks at: a run's network with its weights of one moment, and one sample."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, DataForm, View
from core.spec import registry
from core.spec.drawings import DrawingError, decode
from core.spec.facts import AboutSample, Facts
from core.spec.questions import NEWEST, NO_WEIGHTS, Explain, Look, Seen
from core.spec.sentences import Sentence, _
from core.spec.specs import DataSpec, Experiment, LayerSpec
from core.store import Run, Store, data_home
from core.worker.data.splits import NOT_ASKED, Splits
from core.worker.model.build import Network, build, data_form, layers_of, load_state

A = TypeVar("A", bound=Facts)
Report = Callable[..., None]  # (fraction, words, part=None)


class CannotShow(Exception):
    """A view that cannot be had; the text says why, and what would do."""


DIVERGED = _("the training has diverged. Choose an earlier moment of it.")
NO_NUMBER = _(
    "What the network answers here is no number: its weights have grown beyond all numbers by this "
    "moment. Choose an earlier one; the view Gradient flow says which layer broke first."
)


def finite(answers: Tensor) -> Tensor:
    """The answers of a network; CannotShow where one of them is no number."""
    if not bool(torch.isfinite(answers).all()):
        raise CannotShow(NO_NUMBER)
    return answers


@dataclass
class Subject:
    """A network in evaluation mode with the weights of `step`, on the CPU, and a batch of one sample.

    `network` and `splits` are shared between questions: look, do not change (`copied()` is yours).
    """

    asked: Look | Explain
    run: Run
    experiment: Experiment
    layers: tuple[LayerSpec, ...]
    form: DataForm
    network: Network
    splits: Splits
    step: int
    sample: int
    layer: str  # one of those that the view offers; "" where it offers none
    x: Tensor  # [1, …] as the model gets it
    y: Tensor | None  # [1, …] the target; None for a drawing
    shown: np.ndarray  # the sample as people see it (see Splits.shown)
    words: list[str] = field(default_factory=list)  # what is not as it was asked for

    def outputs(self, addresses: list[str] | None = None, x: Tensor | None = None) -> dict[str, Tensor]:
        """What these modules (all layers, if none are named) give for `x`: the raw tensors, with the batch first."""
        found: dict[str, Tensor] = {}
        wanted = list(self.network.addresses) if addresses is None else addresses

        def hook(address: str) -> Any:
            return lambda _module, _inputs, output: found.__setitem__(address, output.detach())

        handles = [self.network.get_submodule(a).register_forward_hook(hook(a)) for a in wanted]
        try:
            with torch.no_grad():
                self.network(self.x if x is None else x)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def inputs(self, addresses: list[str]) -> dict[str, tuple[Any, ...]]:
        """What these modules get for the sample: the positional arguments of their forward, tensors with the batch."""
        found: dict[str, tuple[Any, ...]] = {}

        def hook(address: str) -> Any:
            return lambda _module, inputs: found.__setitem__(address, inputs)

        handles = [self.network.get_submodule(a).register_forward_pre_hook(hook(a)) for a in addresses]
        try:
            with torch.no_grad():
                self.network(self.x)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def at(self, step: int) -> Network:
        """The network at another of the run's moments."""
        return _network(str(self.run.path.parent), self.run.id, step, self.run.weights_stamp(step))

    def copied(self) -> Network:
        """A copy of the network that may be changed."""
        return copy.deepcopy(self.network)

    def label(self, answer: int) -> str:
        """The name of a class."""
        return self.splits.classes[answer] if 0 <= answer < len(self.splits.classes) else str(answer)

    def answer(self) -> AboutSample:
        """The sample as people see it, what it is, and what the network says it is: the facts of every such view."""
        with torch.no_grad():
            given = self.network(self.x)

        def about(target: str, predicted: str, confidence: float = 0.0) -> AboutSample:
            return AboutSample(
                shown=self.shown,
                kind=self.form.kind,
                target=target,
                predicted=predicted,
                confidence=confidence,
                vocabulary=tuple(self.splits.vocabulary),
            )

        if self.form.task == NUMBER:
            return about("" if self.y is None else f"{float(self.y):.3g}", f"{float(given):.3g}")
        if self.form.task == EACH_STEP:
            assert self.y is not None
            asked = self.y[0] != NOT_ASKED
            words = ["".join(self.label(int(k)) for k in row[asked]) for row in (self.y[0], given[0].argmax(-1))]
            return about(words[0], words[1])
        confidence, predicted = given[0].softmax(-1).max(-1)
        target = "" if self.y is None else self.label(int(self.y))
        return about(target, self.label(int(predicted)), float(confidence))

    def seen(
        self, arrays: Mapping[str, Any], facts: A, words: Sequence[str] = (), code: str = "", names: str = ""
    ) -> Seen[A]:
        """The answer: tensors become float32 arrays."""
        plain = {name: _array(value) for name, value in arrays.items()}
        said = (*self.words, *words)
        assert isinstance(self.asked, Look)
        return Seen(self.asked.view, self.step, self.sample, self.layer, plain, facts, said, code, names)


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().float() if isinstance(value, Tensor) else value)


def subject_of(asked: Look | Explain) -> Subject:
    """Everything a view or an attribution method needs. CannotShow and StoreError in words.

    An attribution method has layers of its own to offer: `layer` of its subject is what was asked for.
    """
    run = Store(asked.runs).run(asked.run)
    experiment = run.experiment()
    form = data_form(experiment.data)
    layers = layers_of(experiment.model, form)
    step, words = _moment(run, asked.step)
    layer = asked.layer
    if isinstance(asked, Look):
        view: View = registry.VIEWS.get(asked.view)
        if not view.applies(layers, form):
            raise CannotShow(view.needs)
        layer = _layer(view, layers, form, asked.layer, words)
    network = _network(str(run.path.parent), run.id, step, run.weights_stamp(step))
    folder = run.about().get("data_dir") or asked.data_dir or str(data_home())
    splits = _splits(experiment.data, folder)
    last = len(splits.test[0]) - 1
    sample = min(max(0, asked.sample), last)
    if sample != asked.sample and not asked.drawing:
        words.append(
            Sentence(
                "There is no sample {sample}: the test set has 0 to {last}. Sample {nearest} is shown.",
                sample=asked.sample,
                last=last,
                nearest=sample,
            )
        )
    x, y = splits.test[0][sample : sample + 1], splits.test[1][sample : sample + 1]
    made = Subject(
        asked, run, experiment, layers, form, network, splits, step, sample, layer, x, y, splits.shown[sample], words
    )
    return _with_drawing(made) if asked.drawing else made


def _moment(run: Run, wanted: int) -> tuple[int, list[str]]:
    steps = run.moments()
    if not steps:
        raise CannotShow(NO_WEIGHTS)
    if wanted == NEWEST:
        return run.newest() or steps[-1], []
    nearest = min(steps, key=lambda step: abs(step - wanted))
    if nearest == wanted:
        return nearest, []
    return nearest, [
        Sentence(
            "No weights of step {wanted} are kept; those of step {nearest}, the nearest, are shown.",
            wanted=wanted,
            nearest=nearest,
        )
    ]


def _layer(view: View, layers: tuple[LayerSpec, ...], form: DataForm, wanted: str, words: list[str]) -> str:
    offered = view.layers(layers, form)
    if wanted and offered and wanted not in offered:
        words.append(
            Sentence(
                "This view has no layer {wanted}; {first} is shown. It has {offered}.",
                wanted=wanted[:60],
                first=offered[0],
                offered=offered,
            )
        )
    return wanted if wanted in offered else offered[0] if offered else ""


@lru_cache(maxsize=24)
def _network(root: str, run_id: str, step: int, _stamp: int) -> Network:
    run = Store(root).run(run_id)
    experiment = run.experiment()
    network = build(experiment.model, data_form(experiment.data)).eval()
    load_state(network, run.weights(step))
    return network.requires_grad_(False)


@lru_cache(maxsize=3)
def _splits(data: DataSpec, folder: str) -> Splits:
    load = registry.load(registry.DATASETS.get(data.name).load)
    made: Splits = load(data.options, data.seed, Path(folder), lambda _fraction, _words: None)
    return made


def _with_drawing(subject: Subject) -> Subject:
    """The same with a drawing as its sample, brought to the data's size and scale."""
    if subject.form.kind != PICTURE:
        raise CannotShow(_("Only pictures can be drawn, and this run reads something else. Choose a test sample."))
    try:
        picture = decode(subject.asked.drawing)
    except DrawingError as error:
        raise CannotShow(str(error)) from None
    channels, height, width = subject.form.shape
    grey = torch.from_numpy(picture.astype(np.float32))[None, None] / 255
    if (height, width) != grey.shape[2:]:
        grey = F.interpolate(grey, (height, width), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (subject.splits.mean, subject.splits.std))
    x = (grey.expand(1, channels, height, width) - mean) / torch.where(std > 0, std, torch.ones(()))
    shown = (grey[0, 0] * 255).round().to(torch.uint8).numpy()
    if channels > 1:
        shown = np.repeat(shown[..., None], channels, -1)
    return replace(subject, x=x, y=None, shown=shown)
