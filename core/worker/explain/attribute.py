"""One method on one case: is it right for this network, what does it find, and does its own check hold?"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import CONTROL, LAYER, MAP_TOLERANCE, TOKENS, WITHHELD, WORDS, Fit, Method
from core.spec import registry
from core.spec.options import Options, SpecError
from core.spec.questions import Explained
from core.spec.sentences import Sentence, _, join
from core.spec.specs import Choice
from core.worker.explain import rounding
from core.worker.explain.explained_case import GRADIENT, ROUNDING, Case, Result, Withheld, drawn, seeded
from core.worker.look.subject import NO_NUMBER

MOST = 20_000  # units that one method may be predicted to take
MANY = 8  # units from which on it pays to fold the network first
SMALL = 1e-6  # a difference of answers below this is none: a gap has no meaning


def attribute(case: Case, choice: Choice, step: int = 0) -> Explained:
    """The method's answer with its proof; Explained.withheld where it is not right here. SpecError in words.

    The case is used up: a method may change its network.
    """
    method: Method = registry.METHODS.get(choice.name)
    fit = fit_of(method, case)
    if fit.status == WITHHELD:
        return withheld(case, method, fit.reason, step)
    if method.family != CONTROL and not bool(torch.isfinite(case.target.of(case.answers)).all()):
        return withheld(case, method, NO_NUMBER, step)
    asked, case.layer = case.layer, layer_of(method, case)
    case.predicted, case.title = method.cost(choice.options, case.size), method.title
    if case.predicted > MOST:
        raise SpecError(
            method.name,
            Sentence(
                "{method} would take about {predicted:,.0f} passes here; at most {most:,} are allowed. Choose "
                "larger pieces, fewer samples or fewer points.",
                method=method.title,
                predicted=case.predicted,
                most=MOST,
            ),
        )
    found = _explained(method, case, choice, fit, step)
    if method.family != LAYER or case.layer == asked or not _blank(found):
        return found
    for layer in method.layers(case.specs, case.form)[1:]:  # nobody has asked for the first one
        case.layer = layer
        other = _explained(method, case, choice, fit, step)
        if not _blank(other):
            instead = Sentence(
                "At {layer} there is nothing to see with this method, so this map is of {other}.",
                layer=found.layer,
                other=layer,
            )
            return replace(other, words=(*other.words, instead))
    return found


def _blank(found: Explained) -> bool:
    """Is there no map, or next to nothing in it?"""
    return bool(found.withheld or found.rounding or found.facts.get("slight")) or not found.attribution.any()


def _explained(method: Method, case: Case, choice: Choice, fit: Fit, step: int) -> Explained:
    """The map at the case's layer, with its proof."""
    started, before = time.perf_counter(), (case.forward_rows, case.backward_rows)
    try:
        result = _applied(method, case, choice.options)
        cost = (case.forward_rows - before[0] + 2 * (case.backward_rows - before[1])) / 3
    except Withheld as error:
        return replace(withheld(case, method, str(error), step), layer=case.layer)
    seconds = time.perf_counter() - started
    found = result.attribution.detach().float()
    if not bool(torch.isfinite(found).all()):
        return withheld(
            case,
            method,
            Sentence("{method} gave values that are not finite here; no map is shown.", method=method.title),
            step,
        )
    proved = _proved(case, method, fit, result, step)
    return replace(_read(case, choice, method, result, proved), cost=cost, seconds=seconds)


def _applied(method: Method, case: Case, options: Options) -> Result:
    """With the case's own draws; facts say whether there were any."""
    with seeded(case.seed), torch.backends.cudnn.flags(enabled=not case.findings.recurrent), torch.enable_grad():
        case.drew, before = False, drawn()
        result = apply(method, case, options)
        result.facts = {**result.facts, "draws": case.drew or drawn() != before}
    return result


def apply(method: Method, case: Case, options: Options) -> Result:
    """What the method finds, without its proof. One that makes many passes and looks at no layer gets fewer sums."""
    if not case.layer and method.family != CONTROL and method.cost(options, case.size) >= MANY:
        case.fold()
    found: Result = registry.load(method.attribute)(case, options)
    return found


def fit_of(method: Method, case: Case) -> Fit:
    """Ready, ready by another way, or withheld with the reason."""
    if case.form.kind not in method.takes:
        kinds = join((WORDS[kind] for kind in method.takes), _(" and "))
        return Fit(
            WITHHELD,
            Sentence(
                "{method} is for {kinds}; this run reads {reads}.",
                method=method.title,
                kinds=kinds,
                reads=WORDS[case.form.kind],
            ),
        )
    fit = method.fit(case.findings)
    if fit.status != WITHHELD and method.family in ("layer", "neuron") and not method.layers(case.specs, case.form):
        return Fit(
            WITHHELD, Sentence("{method} explains by a layer that this network does not have.", method=method.title)
        )
    return fit


def layer_of(method: Method, case: Case) -> str:
    """The layer that was asked for if the method offers it, else its first."""
    offered = method.layers(case.specs, case.form)
    return case.layer if case.layer in offered else offered[0] if offered else ""


def withheld(case: Case, method: Method, reason: str, step: int) -> Explained:
    """No map, and why."""
    nothing = np.zeros((0,), np.float32)
    return Explained(
        method=method.name,
        step=step,
        sample=case.sample,
        target=case.target.words,
        layer="",
        attribution=nothing,
        seed=case.seed,
        withheld=reason,
    )


def _proved(case: Case, method: Method, fit: Fit, result: Result, step: int) -> Explained:
    """The map with its own check: does it sum to what it should?"""
    found = result.attribution.detach().float()
    words = [*case.words, *([fit.reason] if fit.reason else []), *result.words]
    baseline = result.baseline
    f_x = float(case.target.of(case.answers))
    facts: dict[str, Any] = {"f_x": f_x, **result.facts}
    draws = bool(facts.pop("draws"))
    delta = gap = holds = None
    if result.complete:
        expected = result.expected() if callable(result.expected) else result.expected
        if expected is None:
            with torch.no_grad():  # the check is not part of the price
                assert baseline is not None
                facts["f_baseline"] = float(case.target.of(case.logits(baseline)))
            expected = f_x - facts["f_baseline"]
        delta = float(found.double().sum()) - expected
        facts["expected"] = expected
        if abs(expected) > max(SMALL, ROUNDING * _size(case, facts)):
            gap = abs(delta) / abs(expected)
            holds = bool(gap <= method.tolerance)
        else:
            same = _("The answers to the input and to the baseline are the same, up to rounding")
            words.append(Sentence("{same}: there is nothing to explain.", same=same))
    if result.change is not None:
        holds = _settled(method, result, holds)
    arrays = {name: _plain(value) for name, value in {"x": case.inputs, **result.arrays}.items()}
    if baseline is not None:
        arrays["baseline"] = _plain(baseline)
    return Explained(
        method=method.name,
        step=step,
        sample=case.sample,
        target=case.target.words,
        layer=case.layer,
        attribution=_plain(found),
        arrays=arrays,
        delta=None if delta is None or not math.isfinite(delta) else delta,
        gap=gap,
        change=result.change,
        error=result.error,
        holds=holds,
        seed=case.seed,
        facts=facts,
        draws=draws,
        words=tuple(words),
        code=result.code,
        signed=method.signed and result.signed,
    )


def _read(case: Case, choice: Choice, method: Method, result: Result, proved: Explained) -> Explained:
    """What can be read off the map: one value a token, and whether it is more than rounding."""
    shown, code, signed = _shown(case, result), proved.code, proved.signed
    if shown.shape != result.attribution.shape:
        code += f"\n{rounding.OF_TOKENS[result.of]}"
        signed = signed and result.of != GRADIENT

    def again(other: Case) -> Tensor:
        return _shown(other, _applied(method, other, choice.options))

    size = _size(case, proved.facts)
    lost = said = rounding.rounding(case, result, shown, size, again)
    if not lost and rounding.level(shown):
        said = _("The map is the same everywhere: the method finds no place that matters more than another.")
        lost = said if shown.any() and method.family != CONTROL else ""
    slight = rounding.slight(result, shown, size)
    said, facts = said or slight, {**proved.facts, **({"slight": True} if slight else {})}
    words = (*proved.words, *([said] if said else []))
    return replace(proved, attribution=_plain(shown), words=words, code=code, signed=signed, rounding=lost, facts=facts)


def _shown(case: Case, result: Result) -> Tensor:
    """[1, …] float32: the map as it is shown, of tokens one value each."""
    found = result.attribution.detach().float()
    return rounding.one_a_token(found, result.of) if case.form.kind == TOKENS and found.dim() == 3 else found


def _settled(method: Method, result: Result, holds: bool | None) -> bool | None:
    """Do the map's own check and its sum (`holds`) hold together? Where nothing is found, there is nothing to hold."""
    assert result.change is not None
    if not bool(result.attribution.any()):
        return holds
    summed = result.facts.get("layer_gap", 0.0) <= method.tolerance or result.complete
    if result.change > MAP_TOLERANCE or not summed:
        return False
    return holds if result.complete else True


def _size(case: Case, facts: dict[str, Any]) -> float:
    """Of the numbers that are subtracted: of all answers, as a target may be the difference of two large ones."""
    return abs(facts["f_x"]) if "unit" in facts else float(case.answers.abs().max())


def _plain(value: Tensor) -> np.ndarray:
    """Without the batch of one."""
    kept = value.detach().float()
    return (kept[0] if kept.dim() > 1 and len(kept) == 1 else kept).numpy().copy()
