"""The loss around the weights of the moment, and the path that training took through it (Li et al. 2018).

Random directions are filter-normalised (section 4 there): every filter of a direction has the length of the model's
own filter, a row of a weight matrix being a filter; parameters of one axis (biases, norms) do not move. The loss is
that of the task (without label smoothing, weight decay, augmentation or dropout), the mean over a fixed choice of
samples, spread evenly over the data part. Buffers (the running statistics of batch norms) stay as they are.

What it gives is declared in core.catalog.views.landscape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.catalog.entries import EACH_STEP, NUMBER
from core.catalog.views.landscape import (
    ACCURACY,
    DISTANCE,
    DRAWN_LOSS,
    EXPLAINED,
    LINE,
    LOSS,
    MOMENT_LOSS,
    OFF_PLANE,
    PLACE,
    PLANE,
    STEP,
    Landscape,
    LandscapeFacts,
    Losses,
    X,
    Y,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.store import StoreError
from core.worker.look.loss_surface import (
    LONGEST,
    Direction,
    Ground,
    Progress,
    affordable,
    filter_normalised,
    principal,
    spread,
)
from core.worker.look.subject import DIVERGED, CannotShow, Report, Subject
from core.worker.model.build import load_state

MOMENTS = 64  # of a run, at most, on its path
MARGIN = 0.2  # of the path's extent, left free around it


def look(subject: Subject, options: Landscape, report: Report) -> Seen[LandscapeFacts]:
    """A line, a plane, or the run's path over a plane."""
    return _Drawing(subject, options, report).seen()


# ── the three pictures ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Drawing:
    """One answer in the making."""

    subject: Subject
    options: Landscape
    report: Report
    words: list[str] = field(default_factory=list)

    def seen(self) -> Seen[LandscapeFacts]:
        size = self.options.resolution | 1
        half = size // 2
        self.steps = np.arange(-half, half + 1) / half * self.options.radius  # exactly zero in the middle
        self.samples = min(self.options.samples, len(self._part()[0]))
        if self.samples < self.options.samples:
            self.words.append(
                Sentence(
                    "There are {samples:,} samples in this part; the loss is the mean over them all.",
                    samples=self.samples,
                )
            )
        self.ground = Ground(self.subject.copied().eval(), *spread(self._part(), self.samples), self.subject.form.task)
        draw = {LINE: self._line, PLANE: self._plane}.get(self.options.kind, self._path)
        arrays, here, words = draw()
        if self.subject.form.task == NUMBER:
            arrays.pop(ACCURACY)
        centre_loss, centre_right = self.ground.at()
        facts = LandscapeFacts(
            kind=self.options.kind,
            task=self.subject.form.task,
            part=self.options.part,
            samples=self.samples,
            parameters=sum(w.numel() for w in self.ground.centre),
            centre_loss=centre_loss,
            centre_accuracy=centre_right,
            losses=_losses(arrays[LOSS]),
            here=here,
        )
        said = [*words, *self.words, *_batch_norm(self.ground.network), *self._about_the_loss()]
        names = f"x, y = spread(subject.splits.{self.options.part}, {self.samples})"
        names = f"from core.worker.look.landscape import spread\n\n{names}"
        return self.subject.seen(arrays, facts, said, self._code(), names)

    def _part(self) -> tuple[Tensor, Tensor]:
        part: tuple[Tensor, Tensor] = getattr(self.subject.splits, self.options.part)
        return part

    def _begin(self, points: int) -> Progress:
        """Measure the model, and use fewer samples where it would take too long."""
        progress = self.ground.progress = Progress(self.report, points)
        fewer = affordable(self.samples, points, self.ground.pace())
        if fewer < self.samples:
            self.words.append(
                Sentence(
                    "The loss is the mean over {fewer} samples, not {samples}: with all of them this model would "
                    "need more than {longest:.0f} seconds for {points:,} points. With fewer it is rougher.",
                    fewer=fewer,
                    samples=self.samples,
                    longest=LONGEST,
                    points=points,
                )
            )
            self.samples = fewer
            self.ground.x, self.ground.y = spread(self._part(), fewer)
        return progress

    def _line(self) -> tuple[dict[str, Any], int, list[str]]:
        count = self.options.directions
        progress = self._begin(count * len(self.steps))
        random = torch.Generator().manual_seed(self.options.seed)
        found = []
        for k in range(count):
            direction = filter_normalised(self.ground.centre, random)
            progress.row(Sentence("Direction {k} of {count}", k=k + 1, count=count))
            found.append([self.ground.at((float(a), direction)) for a in self.steps])
        loss, accuracy = np.moveaxis(np.array(found), -1, 0)
        return {DISTANCE: self.steps, LOSS: loss, ACCURACY: accuracy}, -1, self._line_words(loss, accuracy)

    def _plane(self) -> tuple[dict[str, Any], int, list[str]]:
        random = torch.Generator().manual_seed(self.options.seed)
        axes = [filter_normalised(self.ground.centre, random) for _ in range(2)]
        progress = self._begin(len(self.steps) ** 2)
        loss, accuracy = self._grid(self.steps, self.steps, (axes[0], axes[1]), progress)
        arrays = {X: self.steps, Y: self.steps, LOSS: loss, ACCURACY: accuracy}
        return arrays, -1, self._plane_words(loss)

    def _grid(
        self, xs: np.ndarray, ys: np.ndarray, axes: tuple[Direction, Direction], progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """loss and accuracy, each [y, x]."""
        found = []
        for k, b in enumerate(ys):
            progress.row(Sentence("Row {k} of {ys}", k=k + 1, ys=len(ys)))
            found.append([self.ground.at((float(a), axes[0]), (float(b), axes[1])) for a in xs])
        loss, accuracy = np.moveaxis(np.array(found), -1, 0)
        return loss, accuracy

    def _path(self) -> tuple[dict[str, Any], int, list[str]]:
        kept = thinned(self.subject.run.moments(), self.subject.step)
        progress = self._begin(len(self.steps) ** 2 + 2 * len(kept))
        steps, moments, own = self._moments(kept, progress)
        found = principal(moments, self.ground.centre)
        del moments
        xs, ys = (_around(found.place[:, k], len(self.steps)) for k in range(2))
        loss, accuracy = self._grid(xs, ys, found.axes, progress)
        drawn = [self.ground.at(*zip(place.tolist(), found.axes, strict=True))[0] for place in found.place]
        arrays = {
            X: xs,
            Y: ys,
            LOSS: loss,
            ACCURACY: accuracy,
            STEP: np.array(steps),
            PLACE: found.place,
            MOMENT_LOSS: np.array(own),
            DRAWN_LOSS: np.array(drawn),
            OFF_PLANE: found.off,
            EXPLAINED: found.explained,
        }
        here = steps.index(self.subject.step) if self.subject.step in steps else -1
        return arrays, here, self._path_words(arrays)

    def _moments(self, kept: list[int], progress: Progress) -> tuple[list[int], list[list[Tensor]], list[float]]:
        """(steps, weights of each, loss of each moment's own network, which has its own batch statistics)."""
        network = self.subject.copied().eval()
        names = [name for name, _parameter in network.named_parameters()]
        steps, moments, own = [], [], []
        for done, step in enumerate(kept):
            progress.row(Sentence("Reading moment {done} of {kept}", done=done + 1, kept=len(kept)))
            try:
                arrays = self.subject.run.weights(step)
            except StoreError:  # a run that goes on makes room for newer moments
                continue
            load_state(network, arrays)
            steps.append(step)
            moments.append([torch.from_numpy(arrays[name]) for name in names])
            own.append(self.ground.here(network)[0])
        if len(steps) < 3:
            raise CannotShow(
                Sentence(
                    "A path needs three kept moments, and this run has {steps}. Train it for more steps; of a very "
                    "large model only the first and the newest moment are kept. A line or a plane can be had now.",
                    steps=len(steps),
                )
            )
        return steps, moments, own

    # ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _line_words(self, loss: np.ndarray, accuracy: np.ndarray) -> list[str]:
        middle, radius = len(self.steps) // 2, self.options.radius
        centre, ends = loss[0, middle], loss[:, [0, -1]]
        if not np.isfinite(centre):
            return [NO_MODEL]
        words: list[str] = [
            Sentence(
                "At the model itself the loss is {n}{right}; at the {size} ends, at a distance of {radius}, it is "
                "{spread}.",
                n=_n(centre),
                right=_right(accuracy[0, middle]),
                size=ends.size,
                radius=_n(radius),
                spread=_spread(ends),
            )
        ]
        k, i = divmod(int(np.argmin(np.where(np.isfinite(loss), loss, np.inf))), loss.shape[1])
        if loss[k, i] < centre - 1e-3 * abs(centre):
            words.append(
                Sentence(
                    "The lowest point is not the model: direction {k} has {n} at {steps:+.3g}. The model is not at a "
                    "minimum of these samples along it.",
                    k=k + 1,
                    n=_n(loss[k, i]),
                    steps=self.steps[i],
                )
            )
        else:
            words.append(_("No point of these lines is lower than the model by more than a thousandth of its loss."))
        count, where = len(loss), f"{sum(w.numel() for w in self.ground.centre):,} dimensions"
        lines = _("One random direction") if count == 1 else Sentence("{count} random directions", count=count)
        words.append(
            Sentence(
                "{lines} out of a space of {where}: another seed gives others. Such lines say how steep it is in "
                "a typical direction; along a direction chosen for it the loss can rise much faster.",
                lines=lines,
                where=where,
            )
        )
        return words

    def _plane_words(self, loss: np.ndarray) -> list[str]:
        middle = len(self.steps) // 2
        if not np.isfinite(loss[middle, middle]):
            return [NO_MODEL]
        far = np.hypot(*np.meshgrid(self.steps, self.steps))
        rim = loss[np.abs(far - self.options.radius) < self.options.radius / (2 * middle)]  # a ring one cell wide
        return [
            Sentence(
                "At the model itself the loss is {n}; on the ring at a distance of {radius} it is {spread}.",
                n=_n(loss[middle, middle]),
                radius=_n(self.options.radius),
                spread=_spread(rim),
            ),
            Sentence(
                "Two random directions out of {n:,}: this is one of very many planes through the model, and "
                "another seed gives another one. That a plane looks smooth and round does not show that the "
                "whole landscape is.",
                n=sum(w.numel() for w in self.ground.centre),
            ),
        ]

    def _path_words(self, arrays: dict[str, Any]) -> list[str]:
        steps, own, drawn = arrays[STEP], arrays[MOMENT_LOSS], arrays[DRAWN_LOSS]
        share, count = arrays[EXPLAINED], len(arrays[STEP])
        apart = np.abs(np.where(np.isfinite(own), own, np.nan) - np.where(np.isfinite(drawn), drawn, np.nan))
        worst = int(np.nanargmax(apart)) if np.isfinite(apart).any() else 0
        step = self.subject.step
        stale = (
            Sentence(", and the plane uses the batch statistics of step {step}", step=step)
            if _batch_norm(self.ground.network)
            else ""
        )
        return [
            Sentence(
                "The loss went from {before} at step {first} to {now} at step {last}. The plane passes through the "
                "weights of step {step}.",
                before=_n(own[0]),
                first=steps[0],
                now=_n(own[-1]),
                last=steps[-1],
                step=step,
            ),
            Sentence(
                "The plane holds {both:.0%} of the variance of the {count} moments: {across:.0%} from left to "
                "right, {upwards:.0%} from bottom to top. The rest of the path leaves the plane. Each axis is "
                "stretched to fill the picture.",
                both=share.sum(),
                count=count,
                across=share[0],
                upwards=share[1],
            ),
            Sentence(
                "So a moment is drawn at its shadow, where the loss is another. The largest difference is at "
                "step {step}: {own} in truth, {drawn} where it is drawn. Its weights lie {away} away from the "
                "plane{stale}.",
                step=steps[worst],
                own=_n(own[worst]),
                drawn=_n(drawn[worst]),
                away=_n(arrays[OFF_PLANE][worst]),
                stale=stale,
            ),
            _(
                "A large share is no sign of a simple path: a long random walk in very many dimensions has about "
                "76 % in its two main directions, and they draw it as a smooth arc (Antognini and Sohl-Dickstein "
                "2018)."
            ),
        ]

    def _about_the_loss(self) -> list[str]:
        parts = {"train": _("training"), "validation": _("validation"), "test": _("test")}
        kind = _("mean squared error") if self.subject.form.task == NUMBER else _("cross-entropy")
        plain = [_("weight decay"), _("label smoothing"), _("augmentation"), _("dropout")]
        where = Sentence("spread evenly over the {parts} samples", parts=parts[self.options.part])
        return [
            Sentence(
                "Loss: {kind} over {samples} samples {where}, without {plain} or {last}.",
                kind=kind,
                samples=self.samples,
                where=where,
                plain=plain[:-1],
                last=plain[-1],
            )
        ]

    def _code(self) -> str:
        task = self.subject.form.task
        loss = "F.cross_entropy(network(x), y)"
        if task == EACH_STEP:
            loss = "F.cross_entropy(network(x).flatten(0, 1), y.flatten())"
        elif task == NUMBER:
            loss = "F.mse_loss(network(x).reshape(y.shape), y)"
        o, half = self.options, len(self.steps) // 2
        last = {LINE: _LINE_CODE, PLANE: _PLANE_CODE}.get(o.kind, _PATH_CODE)
        begin = _LOSS_CODE if last is _PATH_CODE else _LOSS_CODE + _RANDOM_CODE
        return (begin + last).format(
            samples=self.samples,
            part=o.part,
            loss=loss,
            seed=o.seed,
            radius=o.radius,
            half=half,
            end=half + 1,
            size=len(self.steps),
            count=o.directions,
            margin=MARGIN,
        )


def thinned(steps: Sequence[int], shown: int) -> list[int]:
    """At most MOMENTS of the steps, at equal distances in their order, with both ends and the one that is shown."""
    places = np.linspace(0, len(steps) - 1, min(MOMENTS, len(steps))).round().astype(int)
    return sorted({steps[i] for i in places} | {shown})


def _around(places: np.ndarray, count: int) -> np.ndarray:
    low, high = float(places.min()), float(places.max())
    return np.linspace(low - MARGIN * (high - low), high + MARGIN * (high - low), count)


def _losses(loss: np.ndarray) -> Losses:
    finite = loss[np.isfinite(loss)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    return Losses(low=low, high=high, broken=int(loss.size - finite.size))


def _batch_norm(network: nn.Module) -> list[str]:
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats for m in network.modules()):
        return []
    return [
        _(
            "Batch norms use the running statistics of the moment shown at every point, as the model does "
            "when it is used; only the weights move. Away from the model these statistics no longer fit the "
            "weights, which makes the loss rise faster than it would if they were measured again at every "
            "point."
        )
    ]


NO_MODEL = Sentence(
    "At the model itself the loss is no finite number, so there is no ground to walk on: {diverged}", diverged=DIVERGED
)


def _n(value: float) -> str:
    return f"{value:.3g}"


def _right(accuracy: float) -> str:
    return Sentence(" ({accuracy:.0%} right)", accuracy=accuracy) if np.isfinite(accuracy) else ""


def _spread(values: np.ndarray) -> str:
    """From where to where these losses reach, and their mean; those that are no number are counted."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return _("too large to be a number")
    lost = (
        Sentence(" ({size} more are too large to be a number)", size=values.size - finite.size)
        if finite.size < values.size
        else ""
    )
    return Sentence(
        "between {least} and {largest}, {mean} on average{lost}",
        least=_n(finite.min()),
        largest=_n(finite.max()),
        mean=_n(finite.mean()),
        lost=lost,
    )


_LOSS_CODE = """\
# network: the model in evaluation mode; x, y: {samples} samples of the {part} part, and their targets
import torch
import torch.nn.functional as F

weights = [p.detach().clone() for p in network.parameters()]


def loss_at(*moves):
    with torch.no_grad():
        for i, p in enumerate(network.parameters()):
            p.copy_(weights[i] + sum(distance * direction[i] for distance, direction in moves))
        return float({loss})


"""

_RANDOM_CODE = """\
def random_direction(random):  # each filter as long as the model's own; biases and norms stay
    direction = []
    for w in weights:
        d = torch.zeros_like(w)
        if w.dim() > 1:
            over = tuple(range(1, w.dim()))
            d = torch.randn(w.shape, generator=random)
            own, length = (torch.linalg.vector_norm(v, dim=over, keepdim=True) for v in (w, d))
            d *= own / length
        direction.append(d)
    return direction


random = torch.Generator().manual_seed({seed})
distances = [{radius} * i / {half} for i in range(-{half}, {end})]
"""

_LINE_CODE = """\
directions = [random_direction(random) for _ in range({count})]
losses = [[loss_at((a, direction)) for a in distances] for direction in directions]
loss_at()  # the weights are back where they were
"""

_PLANE_CODE = """\
first, second = random_direction(random), random_direction(random)
losses = [[loss_at((a, first), (b, second)) for a in distances] for b in distances]
loss_at()  # the weights are back where they were
"""

_PATH_CODE = """\
# moments: the state_dicts of the run's snapshots, in their order
names = [name for name, _ in network.named_parameters()]
moved = [torch.cat([(m[name] - w).flatten() for name, w in zip(names, weights)]) for m in moments]
moved = torch.stack(moved).double()  # [moment, weight]
_, strength, axes = torch.linalg.svd(moved - moved.mean(0), full_matrices=False)
explained = strength[:2] ** 2 / (strength**2).sum()
axes = axes[:2] * torch.where(moved[0] @ axes[:2].T > 0, -1.0, 1.0)[:, None]
places = moved @ axes.T  # [moment, 2]

sizes = [w.numel() for w in weights]
first, second = ([d.float().view_as(w) for d, w in zip(axis.split(sizes), weights)] for axis in axes)
low, high = places.min(0).values, places.max(0).values
low, high = low - {margin} * (high - low), high + {margin} * (high - low)
xs, ys = (torch.linspace(*ends, {size}, dtype=torch.double).tolist() for ends in zip(low.tolist(), high.tolist()))
losses = [[loss_at((a, first), (b, second)) for a in xs] for b in ys]
loss_at()  # the weights are back where they were
"""
