"""Faithfulness: does a map say what the answer really depends on? Four numbers, each beside what chance would give.

The input is cut into pieces (core.worker.explain.features); a piece's value is the sum of the map over it.

- deletion and insertion (Petsiuk 2018, RISE, section 4.1): the followed number while pieces are replaced by the
  baseline, or put into it, from the largest value down; the area under it as a mean over the way. A faithful map has a
  small area under deletion and a large one under insertion.
- infidelity (Yeh 2019, On the (In)fidelity and Sensitivity of Explanations, definition 2.1): pieces are removed at
  random, and Σ map over what is removed is to be the change of the logit, so a map is read as contributions. As in
  section 3 the map is first scaled by the factor (not below 0: a map is not read upside down) that suits it best, and
  what remains is divided by the mean square of the changes: 0 says all of every change, 1 says nothing.
- sensitivity (Yeh 2019, definition 3.1): the largest ‖map(x + noise) − map(x)‖ / ‖map(x)‖ over some noises.

What it gives is declared in core.catalog.views.faithfulness.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.attribution._options import Baselined, Pieced
from core.catalog.entries import NUMBER, WITHHELD, Method
from core.catalog.views.faithfulness import (
    ALL,
    DELETION,
    DELETION_AREA,
    INFIDELITY,
    INFIDELITY_PLAIN,
    INSERTION,
    INSERTION_AREA,
    LOGIT,
    NONE,
    RANDOM,
    SENSITIVITY,
    SHARE,
    SHOWN_FIRST,
    Faithfulness,
    FaithfulnessFacts,
    of_method,
)
from core.spec import registry
from core.spec.options import Options, SpecError, declared
from core.spec.questions import Explained, Seen
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Choice
from core.worker.explain import features
from core.worker.explain.attribute import attribute, fit_of
from core.worker.explain.explained_case import Case, Target, case_of
from core.worker.explain.views.sanity import asked_again, quick
from core.worker.look.subject import CannotShow, Report, Subject, finite

REMOVALS = 64  # random sets of removed pieces for each seed
TRIES = 2  # noises for each seed, of which the worst counts
SAME = 1e-6  # areas so close are one
MOST = 60_000  # units that one question may be predicted to take


@dataclass(frozen=True)
class Probability(Target):
    """The class's probability in the place of its logit."""

    def of(self, answers: Tensor) -> Tensor:
        """[n, …] answers of the network → [n]."""
        if self.step is not None:
            answers = answers[:, self.step]
        return answers.flatten(1).softmax(-1)[:, self.index]


@dataclass
class Sample:
    """One input cut into pieces [1, …], with what takes a piece's place, baseline [1, …]."""

    subject: Subject
    case: Case
    pieces: Tensor
    baseline: Tensor
    options: Faithfulness
    target: str
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return features.count(self.pieces)


def look(subject: Subject, options: Faithfulness, report: Report) -> Seen[FaithfulnessFacts]:
    """All chosen methods on one sample or on several."""
    first = case_of(subject)
    finite(first.answers)
    chosen, left_out = choose(first, options)
    numbers = [subject.sample] if options.samples == 1 else range(min(options.samples, len(subject.splits.test[0])))
    _affordable(first, chosen, options, len(numbers))
    found: list[dict[str, Any]] = []
    alike: list[int] = []
    sample, shown = None, None
    for at, number in enumerate(numbers):
        told = _between(
            report, at, len(numbers), Sentence("sample {number}: ", number=number) if len(numbers) > 1 else ""
        )
        sample = cut(_of_number(subject, number) if len(numbers) > 1 else subject, options, told)
        if not bool(features.matters(sample.case, sample.baseline, sample.pieces).any()):
            alike.append(number)  # nothing can be deleted
            continue
        shown = measured(sample, chosen, left_out, told) or shown
        found.append(sample.found)
    if sample is None or not found:
        raise CannotShow(_("The sample and the baseline are alike: nothing can be deleted. Choose another baseline."))
    arrays = _joined(found)
    facts = FaithfulnessFacts(
        **vars(subject.answer()),
        methods={c.name: registry.METHODS.get(c.name).title for c in chosen},
        left_out=left_out,
        explained=first.target.words if len(numbers) == 1 else "",
        samples=len(numbers),
        wanted=options.samples,
        followed=NUMBER if subject.form.task == NUMBER else options.scale,
        seeds=options.seeds,
        pieces=[one["pieces"] for one in found],
        alike=len(alike),
        kept=_kept_by_baseline(sample),
    )
    return subject.seen(arrays, facts, said(facts, arrays), _code(sample, shown))


# ── what is measured, and on what ────────────────────────────────────────────────────────────────────────────────────


def choose(case: Case, options: Faithfulness) -> tuple[list[Choice], dict[str, str]]:
    """The methods with their options, and those that are left out: title → reason."""
    wanted = [method for method in registry.METHODS if _in_set(method, options.methods)]
    for name in filter(None, (part.strip() for part in options.also.split(","))):
        if name not in registry.METHODS:
            known = ", ".join(registry.METHODS.names())
            raise SpecError(
                "also",
                Sentence(
                    "also: there is no method called “{name}”; there are {known}.", name=quoted(name[:40]), known=known
                ),
            )
        wanted.append(registry.METHODS.get(name))
    chosen, left_out = [], {}
    for method in dict.fromkeys(wanted):
        fit = fit_of(method, case)
        if fit.status == WITHHELD:
            left_out[method.title] = fit.reason
        else:
            chosen.append(Choice(method.name, like(quick(method), options)))
    if not chosen:
        reasons = join(left_out.values()) or _("Choose a set of methods, or name one.")
        raise CannotShow(Sentence("There is no method left to compare. {reasons}", reasons=reasons))
    return chosen, left_out


def _in_set(method: Method, name: str) -> bool:
    if name == SHOWN_FIRST:
        return method.panel
    return name == ALL or (name != NONE and method.family == name)


def like(own: Options, options: Faithfulness) -> Options:
    """A method's options with the baseline, and where it has them the pieces, of the check."""
    bases = [base for base in (Baselined, Pieced) if isinstance(own, base)]
    shared: dict[str, Any] = {name: getattr(options, name) for base in bases for name in declared(base)}
    made: Options = replace(own, **shared)
    return made


def cut(subject: Subject, options: Faithfulness, report: Report) -> Sample:
    """The sample in pieces. What is no piece (padding) stays as it is."""
    case = case_of(subject, report=report)
    pieces = features.groups(case, options)
    baseline = features.kept(case, pieces, case.baseline(options))
    return Sample(subject, case, pieces, baseline, options, asked_again(case))


def _kept_by_baseline(sample: Sample) -> bool:
    """Does the network answer the same class to the baseline alone? Then nothing that is deleted changes the answer."""
    if sample.subject.form.task == NUMBER:
        return False
    with torch.no_grad():
        alone = sample.case.logits(sample.baseline)
    step = sample.case.target.step
    return int((alone if step is None else alone[:, step]).argmax()) == sample.case.target.index


def measured(sample: Sample, chosen: Sequence[Choice], left_out: dict[str, str], report: Report) -> Explained | None:
    """Fill `sample.found` with the four numbers of every method and of chance; one of the maps.

    A method that cannot be had here goes into `left_out`, title → reason.
    """
    found, seeds, n = sample.found, range(sample.options.seeds), sample.count
    orders = [np.random.default_rng(seed).permutation(n) for seed in seeds]
    _keep_curves(found, RANDOM, [curves(sample, order) for order in orders])
    removed = [removals(sample, seed) for seed in seeds]
    noise = [torch.randn(sample.case.inputs.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    drawn = [values_of(sample.pieces, one) for one in noise]
    _keep_infidelity(found, RANDOM, [infidelity(v, *one) for v, one in zip(drawn, removed, strict=True)])
    found["pieces"], last = n, None
    for at, choice in enumerate(chosen):
        told = _between(report, at, len(chosen), f"{registry.METHODS.get(choice.name).title}: ")
        try:
            explained = _explained(sample, choice, _between(told, 0, _maps(sample.options), ""))
            reason = explained.withheld or explained.rounding
        except SpecError as error:
            reason = str(error)
        if reason:
            left_out[registry.METHODS.get(choice.name).title] = reason
            continue
        last = explained
        values = values_of(sample.pieces, _like_inputs(sample.case, explained))
        _keep_curves(found, choice.name, [curves(sample, ranked(values))])
        _keep_infidelity(found, choice.name, [infidelity(values, *one) for one in removed])
        changes = [sensitivity(sample, choice, explained, seed, told) for seed in seeds]
        found[of_method(SENSITIVITY, choice.name)] = np.array(changes)
    return last


def _explained(sample: Sample, choice: Choice, report: Report, noise: Tensor | None = None) -> Explained:
    """The method's map of the sample, or of the sample with `noise` [1, …] on it; the target stays the same."""
    case = case_of(sample.subject, target=sample.target, report=report)
    if noise is not None:
        case.inputs = case.inputs + noise
        with torch.no_grad():
            case.answers = case.logits(case.inputs)
    return attribute(case, choice)


def _like_inputs(case: Case, explained: Explained) -> Tensor:
    """[1, …] the map, with one value a token [1, step, 1]."""
    found = torch.from_numpy(explained.attribution)[None]
    return found[..., None] if case.ids is not None else found


def values_of(pieces: Tensor, attribution: Tensor) -> np.ndarray:
    """float64 [piece]: the sum over each piece of a map that `pieces` can be broadcast to; −1 is no piece."""
    numbers = pieces.expand_as(attribution)
    inside = numbers >= 0
    found = torch.zeros(features.count(pieces), dtype=torch.float64)
    summed: np.ndarray = found.index_add_(0, numbers[inside], attribution[inside].double()).numpy()
    return summed


def ranked(values: np.ndarray) -> np.ndarray:
    """The pieces from the largest value down; equal ones in the order in which they lie."""
    return np.argsort(-values, kind="stable")


# ── deletion and insertion ───────────────────────────────────────────────────────────────────────────────────────────


def curves(sample: Sample, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The followed number after 0, 1, …, n pieces in this order are deleted, and inserted: [n + 1] each."""
    case, n = sample.case, len(order)
    place = torch.empty(n, dtype=torch.long)
    place[torch.from_numpy(np.ascontiguousarray(order))] = torch.arange(n)
    inserted = place[None] < torch.arange(n + 1)[:, None]  # [n + 1, piece]: on after so many
    logit = case.target
    if sample.options.scale != LOGIT and case.form.task != NUMBER:
        case.target = Probability(logit.index, logit.other, logit.step, logit.words)
    try:
        both = features.answers(case, sample.baseline, sample.pieces, torch.cat([~inserted, inserted]))
    finally:
        case.target = logit
    deletion, insertion = both.numpy().reshape(2, n + 1)
    return deletion, insertion


def area(curve: np.ndarray) -> float:
    """The area under [n + 1] points over the way from 0 to 1, by trapezoids: the curve's mean."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def _keep_curves(found: dict[str, Any], name: str, both: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    kinds = ((DELETION, DELETION_AREA), (INSERTION, INSERTION_AREA))
    for (curve, mean), made in zip(kinds, zip(*both, strict=True), strict=True):
        many = name == RANDOM
        found[of_method(curve, name)] = np.stack(made) if many else made[0]
        found[of_method(mean, name)] = np.array([area(one) for one in made]) if many else np.array(area(made[0]))


# ── infidelity and sensitivity ───────────────────────────────────────────────────────────────────────────────────────


def removals(sample: Sample, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random sets of pieces bool [set, piece], and by how much the logit falls without them, float64 [set].

    How many are removed is drawn first, so that small and large sets are as frequent.
    """
    drawn = torch.Generator().manual_seed(seed)
    share = torch.rand((REMOVALS, 1), generator=drawn)
    off = torch.rand((REMOVALS, sample.count), generator=drawn) < share
    whole = float(sample.case.target.of(sample.case.answers))
    change = whole - features.answers(sample.case, sample.baseline, sample.pieces, ~off)
    return off.numpy(), change.numpy()


def infidelity(values: np.ndarray, off: np.ndarray, change: np.ndarray) -> tuple[float, float]:
    """(definition 2.1 as it stands, the share of the changes' mean square that the best scaled map does not say)."""
    told = off @ values
    plain = float(np.mean((told - change) ** 2))
    size, all_of_it = float(told @ told), float(change @ change)
    scaled = told * max(0.0, float(told @ change) / size if size > 0 else 0.0)
    return plain, float(np.sum((scaled - change) ** 2)) / all_of_it if all_of_it > 0 else float("nan")


def _keep_infidelity(found: dict[str, Any], name: str, both: Sequence[tuple[float, float]]) -> None:
    plain, share = np.array(both).T
    found[of_method(INFIDELITY_PLAIN, name)], found[of_method(INFIDELITY, name)] = plain, share


def sensitivity(sample: Sample, choice: Choice, original: Explained, seed: int, report: Report) -> float:
    """The worst of TRIES noises, each value drawn evenly from ± radius times the input's largest size."""
    radius = sample.options.radius * float(sample.case.inputs.abs().max())
    drawn = torch.Generator().manual_seed(seed)
    changed = []
    for attempt in range(TRIES):
        noise = (2 * torch.rand(sample.case.inputs.shape, generator=drawn) - 1) * radius
        if sample.case.real is not None:
            noise = noise * sample.case.real[None, :, None]  # padding stays padding
        at = 1 + seed * TRIES + attempt
        found = _explained(sample, choice, _between(report, at, _maps(sample.options), ""), noise)
        if not found.withheld:
            changed.append(found.attribution)
    return worst_change(original.attribution, changed)


def worst_change(original: np.ndarray, changed: Sequence[np.ndarray]) -> float:
    """The largest ‖one − original‖ / ‖original‖ (Euclidean); NaN where there is nothing to divide by."""
    size = float(np.linalg.norm(original))
    return max((float(np.linalg.norm(one - original)) / size for one in changed), default=np.nan) if size else np.nan


# ── several samples ──────────────────────────────────────────────────────────────────────────────────────────────────


def _of_number(subject: Subject, number: int) -> Subject:
    x, y = (part[number : number + 1] for part in subject.splits.test)
    return replace(subject, sample=number, x=x, y=y, shown=subject.splits.shown[number])


def _joined(found: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """One array a name, samples first; curves of fewer pieces are drawn over the same way. NaN where one is missing."""
    points = max(one["pieces"] for one in found) + 1
    way = np.linspace(0, 1, points)
    arrays = {SHARE: way}
    for name in dict.fromkeys(key for one in found for key in one if key != "pieces"):
        rows = [one.get(name) for one in found]
        if name.startswith((of_method(DELETION, ""), of_method(INSERTION, ""))):
            rows = [None if row is None else _stretched(row, way) for row in rows]
        shape = next(row.shape for row in rows if row is not None)
        arrays[name] = np.stack([np.full(shape, np.nan) if row is None else row for row in rows]).astype(np.float32)
    return arrays


def _stretched(curve: np.ndarray, way: np.ndarray) -> np.ndarray:
    """[…, n + 1] → […, points]."""
    return np.apply_along_axis(lambda one: np.interp(way, np.linspace(0, 1, len(one)), one), -1, curve)


def _affordable(case: Case, chosen: Sequence[Choice], options: Faithfulness, samples: int) -> None:
    maps = sum(registry.METHODS.get(choice.name).cost(choice.options, case.size) for choice in chosen)
    units = samples * maps * _maps(options)
    if units > MOST:
        raise SpecError(
            "methods",
            Sentence(
                "This would take about {units:,.0f} passes; at most {most:,} are allowed. Choose fewer methods, "
                "samples or seeds.",
                units=units,
                most=MOST,
            ),
        )


def _maps(options: Faithfulness) -> int:
    """How often each method explains one sample."""
    return 1 + TRIES * options.seeds


def _between(report: Report, at: int, count: int, before: str) -> Report:
    return lambda fraction, words, part=None: report((at + fraction) / count, before + words, part)


# ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────────


def over_seeds(values: np.ndarray) -> tuple[float, float]:
    """(mean, standard deviation over the seeds) of [sample, seed], the samples' mean taken first; NaN left out."""
    there = np.isfinite(values)
    if not there.any():
        return float("nan"), float("nan")
    sums, counts = np.where(there, values, 0.0).sum(0), there.sum(0)
    means = sums[counts > 0] / counts[counts > 0]
    return float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else float("nan")


def said(facts: FaithfulnessFacts, arrays: dict[str, np.ndarray]) -> list[str]:
    """The sentences: what falls fastest, what is no better than chance, and why no number is a judge by itself."""
    titles = {name: title for name, title in facts.methods.items() if of_method(DELETION, name) in arrays}
    words: list[str] = []
    if facts.kept:
        words.append(
            _(
                "The baseline alone has this answer, too: deleting hardly changes it, and the areas tell the "
                "methods apart only a little. Choose another baseline, or follow the logit."
            )
        )
    if facts.samples < facts.wanted:
        words.append(
            Sentence("There are {samples:,} test samples; the means are over them all.", samples=facts.samples)
        )
    if facts.alike:
        words.append(Sentence("{alike} of the samples are their own baseline and are left out.", alike=facts.alike))
    if titles:
        areas = {name: over_seeds(arrays[of_method(DELETION_AREA, name)][:, None])[0] for name in titles}
        least = min(areas.values())
        best = ", ".join(titles[name] for name, value in areas.items() if value <= least + SAME)
        mean, spread = over_seeds(arrays[of_method(DELETION_AREA, RANDOM)])
        chance = Sentence(
            "random orders have {mean:.3g} ± {spread:.2g} ({seeds} seeds)", mean=mean, spread=spread, seeds=facts.seeds
        )
        words.append(
            Sentence(
                "The area under deletion is smallest in the order of {best}: {least:.3g}; {chance}.",
                best=best,
                least=least,
                chance=chance,
            )
        )
        words += _no_better(_("an area under deletion"), titles, areas, mean - spread)
        mean, spread = over_seeds(arrays[of_method(INFIDELITY, RANDOM)])
        if np.isfinite(mean):
            unsaid = {name: over_seeds(arrays[of_method(INFIDELITY, name)])[0] for name in titles}
            words += _no_better(_("an infidelity"), titles, unsaid, mean - spread)
    words.append(
        _(
            "No single number is a judge: inputs with pieces missing are none that the network has learned "
            "from, random maps can have an infidelity as good as a real one, and a map that never changes "
            "has the best sensitivity."
        )
    )
    return words + [
        Sentence("{title} is left out: {reason}", title=title, reason=reason)
        for title, reason in facts.left_out.items()
    ]


def _no_better(what: str, titles: dict[str, str], values: dict[str, float], limit: float) -> list[str]:
    names = [titles[name] for name, value in values.items() if value >= limit]
    return (
        [Sentence("With {what} not clearly better than chance here: {names}.", what=what, names=names)] if names else []
    )


def _code(sample: Sample, shown: Explained | None) -> str:
    lines = shown.code if shown else "attribution = torch.randn(x.shape)"
    return f'''import captum
import numpy as np
import torch

target = int(network(x)[0].argmax())


class Model(torch.nn.Module):
    """Answers with the number that is explained: the logit of the predicted class."""

    def __init__(self):
        super().__init__()
        self.network = network

    def forward(self, rows):
        return self.network(rows)[:, target]


def explained(model, x, baseline, seed=0):
    """Gives the map of one method."""
{textwrap.indent(lines, "    ")}
    return attribution.detach()


def curve(order, pieces, start, end):
    """The answer while the pieces of `start` are replaced by those of `end`, one after the other."""
    at, answers = start.clone(), []
    with torch.no_grad():
        for piece in [None, *order.tolist()]:
            if piece is not None:
                at = torch.where(pieces == piece, end, at)
            answers.append(float(network(at)[0].softmax(-1)[target]))
    return answers


baseline = torch.zeros_like(x)
attribution = explained(Model(), x, baseline)
pieces = torch.arange(x.numel()).view(x.shape)  # every value by itself; the page takes squares, steps or tokens
values = torch.zeros(int(pieces.max()) + 1).index_add_(0, pieces.flatten(), attribution.flatten())
order = values.argsort(descending=True)
deletion, insertion = curve(order, pieces, x, baseline), curve(order, pieces, baseline, x)
areas = np.trapezoid(deletion) / len(order), np.trapezoid(insertion) / len(order)
'''
