"""What a unit wants: a picture made, from noise, so that the unit answers as strongly as it can.

Activation maximisation (Erhan 2009, Visualizing higher-layer features of a deep network, section 3.2), held back by an
L2 pull to the mean, total variation and jitter (Olah 2017, Feature visualization, "The enemy of feature
visualization"). Gradient ascent in the space that the network reads, in which the data has mean 0 and standard
deviation 1, on

    a(x) / σ − l2 · mean(x²) − smooth · (sum of |differences| of neighbours, above and beside) / numbers in x

with a(x) the mean of the unit's map (the mean over steps of a sequence, the number itself of a vector) and σ its
standard deviation over real test pictures, so that one weight means the same for every unit. Each step goes `rate`
times the gradient divided by its root mean square, and stays within what a picture can be: no pixel darker than black
or brighter than white.

What it gives is declared in core.catalog.views.maximise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import CLASSES
from core.catalog.views.maximise import (
    ACTIVATIONS,
    FRAMES,
    MADE,
    REAL,
    REAL_PICTURES,
    REAL_TOP,
    STEPS,
    Maximise,
    MaximiseFacts,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.look.subject import Report, Subject
from core.worker.model.build import Network

MOST_FRAMES = 33  # at most, evenly spaced
COMPARED = 512  # test pictures to compare with
BATCH = 32
TOP = 4
STILL = 1e-3  # of the answer: a change below it is none
NOISES = (0.1, 0.5, 1.0, 2.0)  # of the start, in standard deviations: the first that moves the unit is taken


def look(subject: Subject, options: Maximise, report: Report) -> Seen[MaximiseFacts]:
    """The picture on its way from noise, beside the test pictures that the unit answers to most."""
    network, address = subject.network, subject.layer
    units = _units(subject)
    unit = min(options.unit, units - 1)
    real = activations(network, address, unit, subject.splits.test[0][:COMPARED], report)
    low, high = ends(subject)
    x, noise = start(network, address, unit, options.seed, low, high)
    shown = frame_steps(options.steps)
    kept, values = [], []
    scale = float(real.std()) or 1.0
    goal = partial(objective, network, address, unit, options, scale)
    for step, at in enumerate(ascend(goal, options, x, low, high)):
        report(step / options.steps, Sentence("Step {step} of {steps}", step=step, steps=options.steps))
        if step in shown:
            kept.append(at[0])
            values.append(float(activation(network, address, unit, at)[0]))
    top = np.argsort(-real, kind="stable")[:TOP]
    made = np.array(values, np.float32)
    arrays = {
        FRAMES: pixels(torch.stack(kept), subject),
        STEPS: np.array(sorted(shown)),
        ACTIVATIONS: made,
        MADE: kept[-1],
        REAL: real,
        REAL_TOP: top,
        REAL_PICTURES: subject.splits.shown[top],
    }
    label = subject.label(unit) if _answers(subject) else ""
    facts = MaximiseFacts(
        unit=unit,
        units=units,
        mean=float(real.mean()),
        best=float(real.max()),
        noise=noise,
        label=label,
        scale=scale,
    )
    words = _words(subject, options, facts, made, top)
    return subject.seen(arrays, facts, words, _code(address, facts, options, low, high))


# ── the climb ────────────────────────────────────────────────────────────────────────────────────────────────────────


def activation(network: Network, address: str, unit: int, x: Tensor) -> Tensor:
    """[sample]: the mean of the unit over its map or its steps, for pictures x [sample, channel, height, width]."""
    for name, layer in network.named_children():
        x = layer(x)
        if name == address:
            break
    if x.dim() == 3:  # [sample, step, feature]
        return x[:, :, unit].mean(1)
    return x[:, unit].reshape(len(x), -1).mean(1)


def objective(network: Network, address: str, unit: int, options: Maximise, scale: float, x: Tensor) -> Tensor:
    """What is climbed, for one picture x [1, channel, height, width]; `scale` is the σ above."""
    rough = (x.diff(dim=2).abs().sum() + x.diff(dim=3).abs().sum()) / x.numel()
    wanted = activation(network, address, unit, x)[0]
    return wanted / scale - options.l2 * x.square().mean() - options.smooth * rough


def ascend(
    goal: Callable[[Tensor], Tensor], options: Maximise, x: Tensor, low: Tensor, high: Tensor
) -> Iterator[Tensor]:
    """Uphill on `goal` from x. The picture [1, channel, height, width] before the first step and after each."""
    moves = torch.Generator().manual_seed(options.seed + 1)
    yield x
    for _step in range(options.steps):
        by = torch.randint(-options.jitter, options.jitter + 1, (2,), generator=moves).tolist()
        moved = x.roll(by, (2, 3)).requires_grad_()
        (gradient,) = torch.autograd.grad(goal(moved), moved)
        gradient = gradient.roll([-by[0], -by[1]], (2, 3))
        x = x + options.rate * gradient / (gradient.square().mean().sqrt() + 1e-12)
        x = x.clamp(low, high)
        yield x


def start(network: Network, address: str, unit: int, seed: int, low: Tensor, high: Tensor) -> tuple[Tensor, float]:
    """Noise that the unit feels, and how strong it had to be; low and high [1, channel, height, width] bound it.

    Behind a ReLU a unit may be silent for weak noise, and then has no gradient to climb.
    """
    drawn = torch.randn(low.shape, generator=torch.Generator().manual_seed(seed))
    for noise in NOISES:
        x = (noise * drawn).clamp(low, high)
        at = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(activation(network, address, unit, at)[0], at)
        if gradient.abs().max() > 0:
            return x, noise
    return (NOISES[0] * drawn).clamp(low, high), NOISES[0]


def frame_steps(steps: int) -> list[int]:
    """The steps whose pictures are kept: 0, the last, and evenly spaced between them."""
    return sorted({round(step) for step in np.linspace(0, steps, min(MOST_FRAMES, steps + 1))})


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def activations(network: Network, address: str, unit: int, x: Tensor, report: Report) -> np.ndarray:
    """[sample]: the unit's answer to each of many pictures."""
    found = []
    with torch.no_grad():
        for first in range(0, len(x), BATCH):
            report(0.0, _("Asking the unit about test pictures"))
            found.append(activation(network, address, unit, x[first : first + BATCH]))
    return torch.cat(found).numpy()


def ends(subject: Subject) -> tuple[Tensor, Tensor]:
    """Black and white as the network reads them, [1, channel, height, width]."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (subject.splits.mean, subject.splits.std))
    shape = (1, *subject.form.shape)
    return ((0 - mean) / std).expand(shape), ((1 - mean) / std).expand(shape)


def pixels(x: Tensor, subject: Subject) -> np.ndarray:
    """[frame, channel, height, width] as the network reads it → [frame, height, width(, 3)] from 0 to 1."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (subject.splits.mean, subject.splits.std))
    shown = (x * std + mean).clamp(0, 1)
    return (shown[:, 0] if shown.shape[1] == 1 else shown.permute(0, 2, 3, 1)).contiguous().numpy()


def _units(subject: Subject) -> int:
    """How many units the layer has."""
    shape = subject.outputs([subject.layer])[subject.layer].shape
    return shape[2] if len(shape) == 3 else shape[1]


def _answers(subject: Subject) -> bool:
    """Is the layer the one whose units are the classes?"""
    return subject.layer == subject.layers[-1].name and subject.form.task == CLASSES


# ── words and lines ──────────────────────────────────────────────────────────────────────────────────────────────────


def _words(subject: Subject, options: Maximise, facts: MaximiseFacts, made: np.ndarray, top: np.ndarray) -> list[str]:
    name = Sentence("unit {unit} of {layer}", unit=facts.unit, layer=subject.layer)
    if facts.label:
        name += Sentence(" (the class “{label}”)", label=facts.label)
    count = min(COMPARED, len(subject.splits.test[0]))
    words: list[str] = [
        Sentence(
            "In {steps} steps {name} went from {made:.3g} for noise to {made2:.3g} for the made picture.",
            steps=options.steps,
            name=name,
            made=made[0],
            made2=made[-1],
        ),
        Sentence(
            "Among {count} real test pictures its largest answer is {best:.3g} (sample {top}), its mean {mean:.3g}.",
            count=count,
            best=facts.best,
            top=top[0],
            mean=facts.mean,
        ),
    ]
    if abs(made[-1] - made[0]) <= STILL * max(abs(made[0]), abs(made[-1])):
        words.append(
            _(
                "Nothing moved: the unit feels no noise, so there is no way up to follow. A ReLU before it is "
                "silent, or the unit is dead. Another seed, or the layer before the ReLU, may do."
            )
        )
    elif made[-1] > facts.best:
        words.append(
            _(
                "The made picture drives the unit harder than every real one. It shows what moves this unit, not "
                "what the data looks like: no real picture need look like it, and another seed gives another "
                "picture."
            )
        )
    else:
        words.append(
            _(
                "A real picture drives the unit harder than the made one: the pull to the mean and the "
                "smoothness hold it back, or the climb ended on a lower hill. More steps, smaller weights or "
                "another seed may find more."
            )
        )
    if options.unit != facts.unit:
        words.append(
            Sentence(
                "{layer} has no unit {unit}; its last one, {unit2}, is shown.",
                layer=subject.layer,
                unit=options.unit,
                unit2=facts.unit,
            )
        )
    if facts.noise > NOISES[0]:
        words.append(
            Sentence(
                "The unit did not feel weak noise; the climb began with noise of strength {noise:g}.", noise=facts.noise
            )
        )
    return words


def _code(address: str, facts: MaximiseFacts, options: Maximise, low: Tensor, high: Tensor) -> str:
    ends = ([float(v) for v in end[0, :, 0, 0]] for end in (low, high))
    black, white = (f"torch.tensor({end}).view(1, -1, 1, 1)" for end in ends)
    numbers = {"noise": facts.noise, "scale": facts.scale, "unit": facts.unit, "moves": options.seed + 1}
    chosen = {name: getattr(options, name) for name in ("seed", "steps", "jitter", "rate", "l2", "smooth")}
    return _CODE.format(layer=address, black=black, white=white, **numbers, **chosen)


_CODE = """\
def activation(picture):
    for name, layer in network.named_children():
        picture = layer(picture)
        if name == "{layer}":
            break
    return picture[:, :, {unit}].mean() if picture.dim() == 3 else picture[:, {unit}].mean()


black, white = {black}, {white}
moves = torch.Generator().manual_seed({moves})
noise = torch.randn(x.shape, generator=torch.Generator().manual_seed({seed}))
picture = ({noise} * noise).clamp(black, white)
for step in range({steps}):
    by = torch.randint(-{jitter}, {jitter} + 1, (2,), generator=moves).tolist()
    moved = picture.roll(by, (2, 3)).requires_grad_()
    rough = (moved.diff(dim=2).abs().sum() + moved.diff(dim=3).abs().sum()) / moved.numel()
    goal = activation(moved) / {scale!r} - {l2} * moved.square().mean() - {smooth} * rough
    (gradient,) = torch.autograd.grad(goal, moved)
    gradient = gradient.roll([-by[0], -by[1]], (2, 3))
    picture = picture + {rate} * gradient / (gradient.square().mean().sqrt() + 1e-12)
    picture = picture.clamp(black, white)
with torch.no_grad():
    print(activation(picture))
"""
