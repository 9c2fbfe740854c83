"""The smallest change of a picture, a sequence or a vector that turns the answer, by gradients.

Changes are made, measured and bounded as people see the sample: a picture in grey levels, 0 to 255 and whole; anything
else in the data's own units, within the range of the training samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import PICTURE
from core.catalog.views.attack import FGSM, L2, LINF, MARGIN, Attack
from core.worker.data.splits import Splits
from core.worker.explain.explained_case import Case
from core.worker.explain.views.flip import Goal, logits

WHITE = 255
TINY = 1e-12
CLOSE = 0.01  # the search ends when success and failure are this close, as a share of the size
HALVINGS = 14  # at most
RIVALS, NEAREST = 10, 2  # likeliest other classes that are looked at; how many of them are aimed at


@dataclass(frozen=True)
class Space:
    """Where the sample is changed. All tensors broadcast to [1, …]; inputs of the network = values · scale + shift."""

    origin: Tensor
    scale: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor
    span: float  # the range that values can have
    whole: bool  # values are whole numbers

    def inputs(self, values: Tensor) -> Tensor:
        """As the network reads them."""
        return values * self.scale + self.shift

    def within(self, values: Tensor, sizes: Tensor, norm: str) -> Tensor:
        """The nearest values whose change is at most `sizes` [n], brought into the valid range.

        Every value's range holds its origin, so the second step makes no change larger.
        """
        change = values - self.origin
        sizes = along(sizes, change)
        if norm == LINF:
            change = change.clamp(-sizes, sizes)
        else:
            change = change * (sizes / along(size(change, L2), change).clamp(min=TINY)).clamp(max=1.0)
        return torch.minimum(torch.maximum(self.origin + change, self.low), self.high)

    def settled(self, values: Tensor, sizes: Tensor, norm: str) -> Tensor:
        """Values [n, …] as they can be shown: whole numbers where they must be, and still within `sizes` [n]."""
        if not self.whole:
            return values
        change = values - self.origin
        if norm == LINF:
            return self.origin + change.sign() * (change.abs() + 0.5).floor().minimum(along(sizes, change).floor())
        kept = change.trunc()  # those that are cut most are rounded up first, while the sum of squares allows it
        rest = (change - kept).flatten(1)
        order = rest.abs().argsort(dim=1, descending=True, stable=True)
        price = (2 * kept.flatten(1).abs() + 1) * (rest != 0)
        left = sizes.double() ** 2 - kept.flatten(1).double().square().sum(1)
        afforded = price.gather(1, order).double().cumsum(1) <= left[:, None]
        up = torch.zeros_like(afforded).scatter(1, order, afforded) & (rest.abs() >= 0.5)
        return self.origin + kept + (up * rest.sign()).view_as(kept)


@dataclass(frozen=True)
class Try:
    """One attack at one size: what came of it, [1, …] as people see it, and the network's logits [class] for it."""

    size: float
    values: Tensor
    logits: Tensor
    turned: bool
    start: int  # the beginning that went farthest; 0 = the sample itself
    aim: Goal  # what it drove up


@dataclass(frozen=True)
class Search:
    """All sizes that were tried, the smallest first; `best`: the smallest success, or the largest failure."""

    tries: tuple[Try, ...]
    best: Try
    below: float  # the largest size that was tried below a success: the attack fails there


def along(values: Tensor, like: Tensor) -> Tensor:
    """[n] such that it broadcasts to `like` [n, …]."""
    return values.view(-1, *[1] * (like.dim() - 1))


def size(change: Tensor, norm: str) -> Tensor:
    """[n, …] → [n]."""
    flat = change.flatten(1)
    return flat.abs().max(1).values if norm == LINF else flat.norm(dim=1)


def space_of(case: Case, splits: Splits | None) -> Space:
    """Grey levels of a picture; anything else as it is given, within the range of each feature in training."""
    one = torch.ones(())
    if case.form.kind == PICTURE and splits:
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (splits.mean, splits.std))
        std = torch.where(std > 0, std, one)
        scale, shift = 1 / (WHITE * std), -mean / std
        origin = ((case.inputs - shift) / scale).round().clamp(0, WHITE)
        return Space(origin, scale, shift, 0 * one, WHITE * one, WHITE, True)
    x = case.inputs
    if splits is None:
        return Space(x, one, 0 * one, -np.inf * one, np.inf * one, max(1.0, 2 * float(x.abs().max())), False)
    known = torch.cat([splits.train[0].float().flatten(0, -2), x.flatten(0, -2)])  # of each feature, over the steps
    low, high = known.min(0).values, known.max(0).values
    return Space(x, one, 0 * one, low, high, float((high - low).max()) or 1.0, False)


def search(case: Case, goal: Goal, options: Attack, space: Space) -> Search:
    """The smallest size at which the attack turns the answer: doubled until it does, then halved between.

    All doubled sizes are one batch. An attack that succeeds at one size may fail at a larger one (FGSM often does):
    what is found is a size that does, just above one that does not.
    """
    sizes, aims = doubled(options, space), aims_of(case, goal, options, space)
    case.predicted = (len(sizes) + HALVINGS / 2) * (options.restarts + 1) * rounds(options) * len(aims)
    tries = attacks(case, aims, options, space, sizes)
    first = next((i for i, one in enumerate(tries) if one.turned), None)
    if first is None:
        return Search(tuple(tries), tries[-1], tries[-1].size)
    best, below = tries[first], sizes[first - 1] if first else 0.0
    for _halving in range(HALVINGS):
        middle = (below + best.size) / 2
        if space.whole and options.norm == LINF:
            middle = float(round(middle))
        if best.size - below <= CLOSE * best.size or middle in (below, best.size):
            break
        one = attacks(case, aims, options, space, [middle])[0]
        tries.append(one)
        best, below = (one, below) if one.turned else (best, middle)
    return Search(tuple(sorted(tries, key=lambda one: one.size)), best, below)


def rounds(options: Attack) -> int:
    """Gradients that one attack takes."""
    return 1 if options.method == FGSM else options.steps


def doubled(options: Attack, space: Space) -> list[float]:
    """Sizes to begin with: from one grey level (of L2: a quarter of one everywhere) doubled up to the largest."""
    everywhere = float(np.sqrt(space.origin.numel())) if options.norm == L2 else 1.0
    at = space.span / WHITE * everywhere * (0.25 if options.norm == L2 else 1.0)
    most = options.most * space.span * everywhere
    if space.whole and options.norm == LINF:
        most = max(1.0, float(int(most)))
    found = []
    while at < most:
        found.append(at)
        at *= 2
    return [*found, most]


def aims_of(case: Case, goal: Goal, options: Attack, space: Space) -> list[Goal]:
    """The goal itself; and where any class will do, those that seem nearest, one by one (Gowal 2019, MultiTargeted).

    The strongest other logit alone may lead astray. How near a class is, is its margin by the dual norm of the
    margin's gradient, as if the network were linear (Moosavi-Dezfooli 2016, DeepFool, equation 8).
    """
    if goal.wanted >= 0 or goal.loss != MARGIN:
        return [goal]
    case.target = goal
    ranked = logits(case, space.inputs(space.origin))[0].argsort(descending=True).tolist()
    rivals = [replace(goal, aim=k) for k in ranked if k != goal.index][:RIVALS]
    if len(rivals) < 2:
        return [goal]
    distances = []
    for rival in rivals:
        case.target = rival
        margin, gradient = case.gradients(space.inputs(space.origin))
        slope = (gradient * space.scale).flatten().norm(p=1 if options.norm == LINF else 2)
        distances.append(float(-margin / slope.clamp(min=TINY)))
    return [goal, *(rivals[i] for i in np.argsort(distances, kind="stable")[:NEAREST])]


def attacks(case: Case, aims: list[Goal], options: Attack, space: Space, sizes: list[float]) -> list[Try]:
    """One attack at each size; of several aims and beginnings what goes farthest towards the first aim."""
    starts = beginnings(options, space)
    allowed = torch.tensor(sizes).repeat_interleave(len(starts))
    first = starts.repeat(len(sizes), *[1] * (starts.dim() - 1))
    attack = fgsm if options.method == FGSM else pgd
    reached = [attack(case, aim, options, space, allowed, first) for aim in aims]
    shown = torch.stack([space.settled(one, allowed, options.norm) for one in reached], 1).flatten(0, 1)
    answers = logits(case, space.inputs(shown))  # rows: size, start, aim
    margins = aims[0].margin(answers).view(len(sizes), -1)
    made = []
    for i, best in enumerate(margins.argmax(1).tolist()):
        row, (start, aim) = i * margins.shape[1] + best, divmod(best, len(aims))
        turned = bool(margins[i, best] > 0)
        made.append(Try(sizes[i], shown[row : row + 1], answers[row], turned, start, aims[aim]))
    return made


def beginnings(options: Attack, space: Space) -> Tensor:
    """[start, …] changes of size at most 1: none at all, then random ones."""
    shape = space.origin.shape[1:]
    found = [torch.zeros(shape)]
    for restart in range(0 if options.method == FGSM else options.restarts):
        draw = torch.Generator().manual_seed(options.seed + restart)
        if options.norm == LINF:
            found.append(2 * torch.rand(shape, generator=draw) - 1)
        else:
            way = torch.randn(shape, generator=draw)
            found.append(way / way.norm())
    return torch.stack(found)


def fgsm(case: Case, goal: Goal, options: Attack, space: Space, sizes: Tensor, _starts: Tensor) -> Tensor:
    """[n, …] one step of the whole size uphill (Goodfellow 2015, section 4; for L2 along the gradient itself)."""
    case.target = goal
    _values, gradient = case.gradients(space.inputs(space.origin))
    way = uphill(gradient * space.scale, options.norm)
    return space.within(space.origin + along(sizes, way) * way, sizes, options.norm)


def pgd(case: Case, goal: Goal, options: Attack, space: Space, sizes: Tensor, starts: Tensor) -> Tensor:
    """[n, …] the farthest that small steps uphill come within `sizes` [n] (Madry 2018, section 2.1)."""
    case.target = goal
    at = space.within(space.origin + along(sizes, starts) * starts, sizes, options.norm)
    best, most = at, torch.full((len(at),), -np.inf)
    for _step in range(options.steps):
        values, gradient = case.gradients(space.inputs(at))
        best, most = torch.where(along(values > most, at), at, best), torch.maximum(values, most)
        way = uphill(gradient * space.scale, options.norm)
        at = space.within(at + options.step * along(sizes, at) * way, sizes, options.norm)
    return torch.where(along(case.values(space.inputs(at)) > most, at), at, best)


def uphill(gradient: Tensor, norm: str) -> Tensor:
    """[n, …] the change of size 1 that raises a linear function most."""
    if norm == LINF:
        return gradient.sign()
    return gradient / along(gradient.flatten(1).norm(dim=1), gradient).clamp(min=TINY)


def at_random(options: Attack, space: Space, sizes: list[float]) -> Iterator[Tensor]:
    """For each size [draw, …]: the sample, changed at random by exactly this size where the valid range allows it.

    L∞: every value by the whole size, up or down. L2: in a random direction.
    """
    draw = torch.Generator().manual_seed(options.seed + 1000)
    ways = torch.randn((options.draws, *space.origin.shape[1:]), generator=draw)
    ways = uphill(ways, options.norm)
    for one in sizes:
        allowed = torch.full((options.draws,), one)
        moved = space.within(space.origin + one * ways, allowed, options.norm)
        yield space.settled(moved, allowed, options.norm)


def lines(options: Attack, space: Space, found: Try) -> str:
    """The attack at the found size in plain PyTorch, for a network and a batch x of one sample."""
    scale, shift = (
        f"torch.tensor({v.flatten().tolist()}).view(1, -1, 1, 1)" if v.dim() else str(float(v))
        for v in (space.scale, space.shift)
    )
    start = found.start and options.seed + found.start - 1
    return _CODE.format(
        scale=scale,
        shift=shift,
        size=found.size,
        push=_push(found.aim),
        settle=_settle(space, options),
        origin="((x - shift) / scale).round().clamp(0, 255)" if space.whole else "x",
        low=0.0 if space.whole else _listed(space.low),
        high=255.0 if space.whole else _listed(space.high),
        ball=_BALL[options.norm],
        uphill=_UPHILL[options.norm],
        start=_START[options.norm].format(seed=start) if found.start else "torch.zeros_like(x)",
        steps=rounds(options),
        share=1.0 if options.method == FGSM else options.step,
        last="attacked" if options.method == FGSM else "max(tried, key=lambda one: float(push(one)))",
    )


def _listed(ends: Tensor) -> str:
    known = bool(torch.isfinite(ends).all())
    return f"torch.tensor({ends.tolist()})" if known else f"float('{float(ends.flatten()[0])}')"


def _push(goal: Goal) -> str:
    if goal.aim >= 0:
        return f"    return logits[{goal.aim}] - logits[{goal.index}]"
    named = goal.index if goal.wanted < 0 else goal.wanted
    if goal.loss == MARGIN:
        ahead = f"others.max() - logits[{named}]" if goal.wanted < 0 else f"logits[{named}] - others.max()"
        return f"    others = torch.cat([logits[:{named}], logits[{named + 1}:]])\n    return {ahead}"
    return f"    return {'-' if goal.wanted < 0 else ''}torch.log_softmax(logits, 0)[{named}]"


def _settle(space: Space, options: Attack) -> str:
    if not space.whole:
        return ""
    return _ROUND[options.norm]


_BALL = {
    LINF: "change.clamp(-size, size)",
    L2: "change * min(1.0, size / max(float(change.norm()), 1e-12))",
}
_UPHILL = {LINF: "gradient.sign()", L2: "gradient / gradient.norm().clamp(min=1e-12)"}
_START = {
    LINF: "2 * torch.rand(x.shape[1:], generator=torch.Generator().manual_seed({seed})) - 1",
    L2: "(way := torch.randn(x.shape[1:], generator=torch.Generator().manual_seed({seed}))) / way.norm()",
}
_ROUND = {
    LINF: """\
change = attacked - origin  # pixels are whole numbers
attacked = origin + change.sign() * (change.abs() + 0.5).floor().clamp(max=size)
""",
    L2: """\
change = (attacked - origin).flatten()  # pixels are whole numbers: those that lose most are rounded up while it fits
kept = change.trunc()
rest = change - kept
for i in rest.abs().argsort(dim=0, descending=True, stable=True).tolist():
    more = kept.clone()
    more[i] += rest[i].sign()
    if rest[i].abs() < 0.5 or float(more.norm()) > size:
        break
    kept = more
attacked = origin + kept.view_as(origin)
""",
}
_CODE = """\
scale, shift = {scale}, {shift}  # what the network reads = values * scale + shift
size = {size}
origin = {origin}


def push(values):
    logits = network(values * scale + shift)[0]
{push}


def within(values):
    change = values - origin
    change = {ball}
    return (origin + change).clamp({low}, {high})


attacked = within(origin + size * ({start}))
tried = [attacked]
for _ in range({steps}):
    leaf = attacked.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(push(leaf), leaf)
    gradient = gradient * scale
    attacked = within(attacked + {share} * size * ({uphill}))
    tried.append(attacked)
attacked = {last}
{settle}logits = network(attacked * scale + shift)
"""
