"""The questions about why: Explain and Fits. Answers are kept by weights, sample and options."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import replace

from core.catalog.attribution._layers import MAPS, places
from core.catalog.entries import LAYER, WITHHELD, Method
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import MOST_SPREAD, Explain, Explained, Fits, MethodFit
from core.spec.sentences import Sentence, _
from core.spec.specs import Choice
from core.worker.explain import seed_spread
from core.worker.explain.attribute import attribute, fit_of, withheld
from core.worker.explain.explained_case import Case, Withheld, case_of
from core.worker.explain.methods.layers import At
from core.worker.explain.methods.reach import unread
from core.worker.look.subject import Report, Subject, subject_of

log = logging.getLogger(__name__)
KEPT = 300  # answers, and …
HEAVIEST = 96 << 20  # … bytes of their arrays

_known: OrderedDict[tuple[object, ...], Explained] = OrderedDict()


def explain(question: Explain, report: Report) -> tuple[Explained, ...]:
    """Every method that is asked for, one after the other; each is also sent as a part when it is ready."""
    subject = subject_of(question)
    found = []
    for i, choice in enumerate(question.methods):
        method: Method = registry.METHODS.get(choice.name)
        options = choice.options if isinstance(choice.options, method.options) else method.options()

        def told(fraction: float, words: str, part: object = None, done: int = i) -> None:
            report((done + fraction) / len(question.methods), words, part)

        one = _explained(subject, question, Choice(method.name, options), told)
        found.append(one)
        report((i + 1) / len(question.methods), method.title, one)
    return tuple(found)


def _explained(subject: Subject, question: Explain, choice: Choice, report: Report) -> Explained:
    """The answer that was given before to the same question about the same weights, or a new one."""
    stamp = subject.run.weights_stamp(subject.step)
    place = (str(subject.run.path), subject.step, stamp, subject.sample, question.drawing)
    seeds = question.seeds if choice.name in question.spread else 1
    key = (*place, choice, question.target, question.layer, question.seed, seeds)
    if key in _known:
        _known.move_to_end(key)
    else:
        made = _asked(subject, question, choice, report) if seeds == 1 else _over(subject, question, choice, report)
        if made.failed:
            return made
        _keep(key, made)
    known = _known[key]
    return replace(known, words=(*subject.words, *known.words))  # those of the subject are about how it was asked


def _over(subject: Subject, question: Explain, choice: Choice, report: Report) -> Explained:
    """The mean over several seeds; the first map alone where it is withheld, rounding, or drawn from no seed."""
    count = question.seeds
    if not 2 <= count <= MOST_SPREAD:
        raise SpecError(
            "seeds",
            Sentence(
                "seeds = {count} is out of range: it must be between 2 and {most_spread}.",
                count=count,
                most_spread=MOST_SPREAD,
            ),
        )
    maps: list[Explained] = []
    for i in range(count):

        def told(fraction: float, words: str, part: object = None, done: int = i) -> None:
            report((done + fraction) / count, words, part)

        maps.append(_asked(subject, replace(question, seed=question.seed + i), choice, told))
        one = maps[-1]
        if one.withheld or one.rounding:
            return one
        if not one.draws:
            return seed_spread.steady(one)
    return seed_spread.spread(maps, registry.METHODS.get(choice.name).tolerance)


def _asked(subject: Subject, question: Explain, choice: Choice, report: Report) -> Explained:
    """A new answer. One method's mistake or failure does not take the others down."""
    method: Method = registry.METHODS.get(choice.name)
    case = case_of(subject, target=question.target, layer=question.layer, seed=question.seed, report=report)
    try:
        made = attribute(case, choice, subject.step)
    except SpecError as error:
        made = withheld(case, method, str(error), subject.step)
    except Exception as error:
        log.exception("%s failed", method.name)
        first = (str(error).splitlines() or [_("no message")])[0]
        reason = Sentence(
            "{method} failed here ({name}: {first}). Please report it.",
            method=method.title,
            name=type(error).__name__,
            first=first,
        )
        made = replace(withheld(case, method, reason, subject.step), failed=True)
    return replace(made, about=subject.answer(), classes=tuple(subject.splits.classes))


def _keep(key: tuple[object, ...], made: Explained) -> None:
    _known[key] = made
    while len(_known) > KEPT or (len(_known) > 1 and sum(map(_bytes, _known.values())) > HEAVIEST):
        _known.popitem(last=False)


def _bytes(made: Explained) -> int:
    return made.attribution.nbytes + sum(array.nbytes for array in made.arrays.values())


def fits(question: Fits) -> tuple[MethodFit, ...]:
    """Every method of the catalog, before anything is run."""
    whole = Explain(run=question.run, methods=(), step=question.step, runs=question.runs, data_dir=question.data_dir)
    subject = subject_of(whole)
    case = case_of(subject)
    nowhere = _nowhere(case)
    return tuple(_fit(method, case, nowhere) for method in registry.METHODS)


def _nowhere(case: Case) -> frozenset[str]:
    """The layers of steps or patches that the answer reads at no place of the input. Maps are not looked at."""
    found = set()
    for name, place in places(case.specs, case.form).items():
        if place.how != MAPS:
            case.layer = name
            try:
                unread(At(case), case.inputs, place, by_itself=False)
            except Withheld:
                found.add(name)
    return frozenset(found)


def _fit(method: Method, case: Case, nowhere: frozenset[str]) -> MethodFit:
    fit = fit_of(method, case)
    if fit.status == WITHHELD:
        return MethodFit(method.name, fit.status, fit.reason)
    layers = method.layers(case.specs, case.form)
    if method.family == LAYER:
        layers = tuple(name for name in layers if name not in nowhere)
    price = method.cost(method.options(), case.size), method.most(method.options(), case.size)
    return MethodFit(method.name, fit.status, fit.reason, layers, *price)
