"""How large the loss's gradient is at every state of a recurrent cell, back from the end of the sequence.

The fused layers hide their inner states, and `retain_grad` on their output sees only what is read of it directly. So
the chosen layer is unrolled by hand (core.worker.model.cells) with the network's own weights, in float64; the rest of
the network and the task's own loss follow as they are. Of a sample whose every step is answered, the loss is that of
the last answer alone. A probe is the first 16 test samples.

What it gives is declared in core.catalog.views.through_time. The product of the gates is of the
forget gates (LSTM, of cell) or update gates (GRU, of hidden) of the steps between, times the gradient at the end.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER
from core.catalog.views.through_time import (
    BOUND,
    CELL,
    GATES,
    HIDDEN,
    LEARNED,
    RADIUS,
    ThroughTime,
    ThroughTimeFacts,
    sample,
    samples,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _, join
from core.worker.data.splits import NOT_ASKED
from core.worker.look import _recurrent
from core.worker.look._recurrent import Chosen, chosen, ends, lengths, said, step_word
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.build import Network, build
from core.worker.model.cells import Moment, Unrolled, source
from core.worker.train.objective import cross_entropy, squared_error

PROBE = 16  # test samples
LIMITS = (1e-4, 1e-2, 1e2, 1e3)  # of the ratio first ÷ last; measured, see `WHY`
VERDICTS = ("vanishing", "fading", "healthy", "growing", "exploding")
WHY = _(
    "The limits are ours, after measurements of untrained networks over 40 steps: torch's own start "
    "leaves 1e-5 or far less in a vanilla network, a GRU and an LSTM alike, and an LSTM with 3 at "
    "its forget gate's bias leaves about 1."
)
TOO_LARGE = _(
    "The states, or their gradient, grow beyond all numbers on the way: this has exploded. Choose a smaller gain."
)


@dataclass
class Backwards:
    """Norms [sample, k] of one state's gradient, NaN where a sample has no such step."""

    hidden: np.ndarray
    cell: np.ndarray | None
    at_end: bool  # does the loss read the last state alone?
    gates: np.ndarray | None = None  # what comes back through the forget or update gates alone
    bare: dict[str, float] = field(default_factory=dict)  # singular, radius of U

    @property
    def state(self) -> np.ndarray:
        """Of the state that carries the memory: the cell state where there is one."""
        return self.hidden if self.cell is None else self.cell


def look(subject: Subject, options: ThroughTime, report: Report) -> Seen[ThroughTimeFacts]:
    """Norms of the gradient back in time, what they may be at most, and what they mean."""
    at = chosen(subject, options)
    what_if, told = asked_for(at, options)
    report(0.0, _("Walking back through the sequence"))
    network = changed(subject, options)
    x, y = probe(subject, network)
    cells = at.core.num_layers * (1 + at.core.bidirectional)
    steps = _recurrent.received(network, subject.layer, x)[0].shape[1]
    ticks = steps * (cells + 1) * (1 + what_if)  # every cell forth, the chosen one back
    tick = _recurrent.Ticker(report, ticks, _("Walking back through the sequence"))
    found = backwards(subject, network, at, x, y, tick)
    arrays = gathered(found, at)
    if what_if:
        plain = backwards(subject, subject.network, at, x, y, tick)
        arrays[LEARNED] = mean(plain.state[1:])
    sequence = found.state[1:]
    shares = [share for row in sequence if (share := first_to_last(row)) is not None]
    facts = ThroughTimeFacts(
        **vars(subject.answer()),
        **judged(mean_ends(sequence)),
        singular=found.bare.get("singular"),
        radius=found.bare.get("radius"),
        cell_kind=at.kind,
        stack=at.stack + 1,
        stacks=at.core.num_layers,
        backward=at.backward,
        steps=_steps(found.state),
        at_end=found.at_end,
        what_if=what_if,
        step_word=step_word(subject),
        probe=len(sequence),
        spread=(min(shares), max(shares)) if shares else (),
        limits=LIMITS,
        asked={"gain": options.gain, "forget_bias": options.forget_bias},
    )
    words = [*at.words, *told, *sentences(subject, at, found, facts, arrays)]
    return subject.seen(arrays, facts, words, code(subject, at, y))


def asked_for(at: Chosen, options: ThroughTime) -> tuple[bool, list[str]]:
    """(is anything changed?, what to say of it)."""
    gain, bias = options.gain != 1 and at.kind == "rnn", options.forget_bias != 0 and at.kind == "lstm"
    done: list[str] = [
        *([_("with freshly drawn weights")] if options.untrained else []),
        *([Sentence("with the recurrent weight times {gain:g}", gain=options.gain)] if gain else []),
        *(
            [Sentence("with {forget_bias:+g} at the forget gate's bias", forget_bias=options.forget_bias)]
            if bias
            else []
        ),
    ]
    words: list[str] = (
        [Sentence("A what-if on a copy, {done}; the run itself stays as it is.", done=join(done, _(" and ")))]
        if done
        else []
    )
    if options.gain != 1 and at.kind != "rnn":
        words.append(
            Sentence("The gain acts on vanilla recurrent layers only; this one is of kind {kind}.", kind=at.kind)
        )
    if options.forget_bias != 0 and at.kind != "lstm":
        words.append(
            Sentence(
                "The forget bias acts on LSTM layers only; this one, of kind {kind}, has no forget gate.",
                kind=at.kind,
            )
        )
    return bool(done), words


def changed(subject: Subject, options: ThroughTime) -> Network:
    """A copy of the network with the what-if applied to the chosen layer."""
    network = subject.copied()
    if options.untrained:
        with torch.random.fork_rng(devices=[]):
            network = build(subject.experiment.model, subject.form, options.seed).eval().requires_grad_(False)
    core: Any = network.get_submodule(subject.layer).core
    what_if(core, options.gain, options.forget_bias)
    return network


def what_if(core: nn.RNNBase, gain: float = 1.0, forget_bias: float = 0.0) -> None:
    """Change a fused layer: vanilla, U times `gain`; LSTM, `forget_bias` added at the forget gate."""
    gate = slice(core.hidden_size, 2 * core.hidden_size)
    with torch.no_grad():
        for name, weight in core.named_parameters():
            if core.mode.startswith("RNN") and name.startswith("weight_hh"):
                weight.mul_(gain)
            if core.mode == "LSTM" and name.startswith("bias_ih"):
                weight[gate].add_(forget_bias)


def probe(subject: Subject, network: Network) -> tuple[Tensor, Tensor]:
    """The sample, then the first test samples; a drawing is taken for what the network says it is."""
    x, y = (part[:PROBE] for part in subject.splits.test)
    own = subject.y
    if own is None:
        with torch.no_grad():
            own = network(subject.x).argmax(-1)
    return torch.cat([subject.x, x]), torch.cat([own, y])


# ── the gradient ─────────────────────────────────────────────────────────────


def backwards(
    subject: Subject, network: Network, at: Chosen, x: Tensor, y: Tensor, tick: _recurrent.Ticker
) -> Backwards:
    """Norms of ∂L/∂h and ∂L/∂c of the chosen cell for a batch, each sample's own loss."""
    network = copy.deepcopy(network).double()
    x = x.double() if x.is_floating_point() else x
    given, mask = _recurrent.received(network, subject.layer, x)
    counts = lengths(given, mask)
    last = ends(subject, y, counts, at.backward)
    core: Any = network.get_submodule(subject.layer).core
    unrolled = Unrolled(core, tick)
    setattr(network, subject.layer, unrolled)
    loss = last_loss(subject, network(x), y, last)
    if not bool(torch.isfinite(loss)):
        raise CannotShow(TOO_LARGE)
    moments = unrolled.moments[at.stack, at.backward]
    for moment in moments:
        state: Any = moment.hidden
        state.register_hook(lambda _gradient: tick())
    states = [m.hidden for m in moments] + [m.cell for m in moments if m.cell is not None]
    *grads, direct = torch.autograd.grad(loss, [*states, unrolled.output], allow_unused=True, materialize_grads=True)
    if not all(bool(torch.isfinite(grad).all()) for grad in grads):
        raise CannotShow(TOO_LARGE)
    steps = len(moments)
    hidden, cell = torch.stack(grads[:steps], 1), grads[steps:]
    order = _order(last, counts, steps, at.backward)
    at_end = at.top and _only_at(direct[..., at.columns()], last)
    found = Backwards(
        _ordered(hidden.norm(dim=-1), order),
        _ordered(torch.stack(cell, 1).norm(dim=-1), order) if cell else None,
        at_end,
    )
    return _with_limits(found, at, core, moments, torch.stack(cell, 1) if cell else hidden, last, order)


def last_loss(subject: Subject, given: Tensor, y: Tensor, last: Tensor) -> Tensor:
    """The sum over the samples of the task's loss; where every step is answered, of the answer at `last` alone."""
    if subject.form.task == NUMBER:
        return squared_error(given, y.to(given.dtype), "sum")
    if subject.form.task == EACH_STEP:
        only = torch.arange(y.shape[1]) == last[:, None]
        y = torch.where(only, y, NOT_ASKED)
    return cross_entropy(given, y, "sum")


def _order(last: Tensor, counts: Tensor, steps: int, backward: bool) -> Tensor:
    """[sample, k] → the position k steps back from `last` in reading order; −1 where there is none."""
    back = torch.arange(steps)
    place = last[:, None] + (back if backward else -back)
    return torch.where((place >= 0) & (place < counts[:, None]), place, -1)


def _ordered(norms: Tensor, order: Tensor) -> np.ndarray:
    """[sample, position] → [sample, k]."""
    found = norms.gather(1, order.clamp(min=0))
    return torch.where(order >= 0, found, float("nan")).numpy()


def _only_at(direct: Tensor, last: Tensor) -> bool:
    """Does the gradient of the layer's output [sample, step, unit] sit at `last` alone?"""
    elsewhere = torch.arange(direct.shape[1]) != last[:, None]
    return not bool((direct.abs().sum(-1) * elsewhere).any())


def _with_limits(
    found: Backwards, at: Chosen, core: nn.RNNBase, moments: list[Moment], grads: Tensor, last: Tensor, order: Tensor
) -> Backwards:
    """The singular value and spectral radius of U, or what the gates alone hand on."""
    if at.kind == "rnn":
        weight = getattr(core, f"weight_hh_l{at.stack}{'_reverse' * at.backward}")
        found.bare = {"singular": largest_singular(weight), "radius": spectral_radius(weight)}
        return found
    keeps = torch.stack([m.gates["forget" if at.kind == "lstm" else "update"] for m in moments], 1).detach()
    rows = torch.arange(len(order))
    passed = grads[rows, last]  # what the end gets, [sample, unit]
    norms = [passed.norm(dim=-1)]
    for k in range(1, order.shape[1]):
        passed = passed * keeps[rows, order[:, k - 1].clamp(min=0)]  # of the step that reads this state
        norms.append(passed.norm(dim=-1))
    found.gates = torch.where(order >= 0, torch.stack(norms, 1), float("nan")).numpy()
    return found


def largest_singular(weight: Tensor) -> float:
    """How much a matrix can lengthen a vector at most."""
    return float(torch.linalg.matrix_norm(weight.double(), 2))


def spectral_radius(weight: Tensor) -> float:
    """The largest absolute value of a square matrix's eigenvalues: its pace when it acts again and again."""
    return float(torch.linalg.eigvals(weight.double()).abs().max())


# ── what it comes to ─────────────────────────────────────────────────────────


def mean(rows: np.ndarray) -> np.ndarray:
    """[sample, k] → [k] over the samples that have such a step; the tail that none has is cut off."""
    there = np.isfinite(rows)
    steps = int(there.any(0).sum())
    averaged: np.ndarray = np.where(there, rows, 0.0).sum(0)[:steps] / there.sum(0)[:steps].clip(1)
    return averaged


def _steps(rows: np.ndarray) -> int:
    return int(np.isfinite(rows[1:]).any(0).sum())


def _real(row: np.ndarray) -> np.ndarray:
    kept: np.ndarray = row[np.isfinite(row)]
    return kept


def gathered(found: Backwards, at: Chosen) -> dict[str, np.ndarray]:
    """The arrays; row 0 of every state is the chosen sample, the rest the probe."""
    arrays: dict[str, np.ndarray] = {}
    for name, rows in ((HIDDEN, found.hidden), (CELL, found.cell)):
        if rows is not None:
            arrays |= {name: mean(rows[1:]), samples(name): rows[1:], sample(name): _real(rows[0])}
    if not found.at_end:
        return arrays
    powers = np.arange(found.hidden.shape[1])
    start = np.where(np.isfinite(found.hidden[1:]), found.hidden[1:, :1], np.nan)
    for name, key in ((BOUND, "singular"), (RADIUS, "radius")):
        if key in found.bare:
            arrays[name] = mean(start * found.bare[key] ** powers)
    if found.gates is not None:
        arrays[GATES] = mean(found.gates[1:])
    return arrays


def first_to_last(row: np.ndarray) -> float | None:
    """‖∂L/∂s₁‖ / ‖∂L/∂s_T‖ of one row [k]; None where the end gets nothing."""
    there = _real(row)
    return float(there[-1] / there[0]) if len(there) and there[0] > 0 else None


def mean_ends(rows: np.ndarray) -> tuple[float | None, int]:
    """(mean gradient at the samples' first states ÷ mean at their last, median number of steps between)."""
    kept = [_real(row) for row in rows]
    last, first = (float(np.mean([row[i] for row in kept])) for i in (0, -1))
    return (first / last if last > 0 else None), int(np.median([len(row) for row in kept])) - 1


def judged(found: tuple[float | None, int]) -> dict[str, Any]:
    """ratio, verdict and what one step multiplies the gradient by. None where there is no ratio."""
    ratio, between = found
    if ratio is None or between < 1:
        return {"ratio": ratio, "verdict": "", "per_step": None, "between": between}
    return {"ratio": ratio, "verdict": verdict(ratio), "per_step": ratio ** (1 / between), "between": between}


def verdict(ratio: float) -> str:
    """One of VERDICTS."""
    if math.isnan(ratio):
        return VERDICTS[-1]
    return VERDICTS[sum(ratio >= limit for limit in LIMITS[:3]) + (ratio > LIMITS[3])]


_WORD = {
    "vanishing": _("Vanishing"),
    "fading": _("Fading"),
    "healthy": _("Healthy"),
    "growing": _("Growing"),
    "exploding": _("Exploding"),
}
_MEANING = {
    "vanishing": _("what stood at the start has next to no say in how the weights are changed"),
    "fading": _("the start is heard, but faintly, and is learned from slowly"),
    "healthy": _("the start is heard as well as the end, give or take a factor of a hundred"),
    "growing": _("the start is heard much louder than the end; clipping the gradient keeps a step in bounds"),
    "exploding": _("the start drowns out the end, and a step may throw the weights away; clipping bounds it, no more"),
}


def sentences(
    subject: Subject, at: Chosen, found: Backwards, facts: ThroughTimeFacts, arrays: dict[str, np.ndarray]
) -> list[str]:
    """What the picture shows, the most important first."""
    state, what = (_("cell state") if at.kind == "lstm" else _("hidden state")), facts.step_word
    ratio, word = facts.ratio, facts.verdict
    if ratio is None or not word:
        none = _("There is a single step, so there is nothing to walk back through.")
        zero = _("The loss has no gradient even at the last state (it may be dead, or its answer certain).")
        return [none if ratio is not None else zero]
    words = [
        Sentence(
            "{word}: the gradient at the first {state} is {said} times that at the last, {between} "
            "{what}s later, so {meaning}.",
            word=_WORD[word],
            state=state,
            said=said(ratio),
            between=facts.between,
            what=what,
            meaning=_MEANING[word],
        ),
        Sentence(
            "That is × {per_step:.3g} for every {what} back. Called vanishing below {fading:g}, fading below "
            "{healthy:g}, healthy up to {growing:g}, growing up to {exploding:g}, exploding above. {why}",
            per_step=facts.per_step,
            what=what,
            fading=LIMITS[0],
            healthy=LIMITS[1],
            growing=LIMITS[2],
            exploding=LIMITS[3],
            why=WHY,
        ),
    ]
    if facts.spread:
        low, high = facts.spread
        words.append(
            Sentence(
                "It is the mean over {probe} test samples; single ones have {low} to {high}.",
                probe=facts.probe,
                low=said(low),
                high=said(high),
            )
        )
    if np.isnan(found.state[1:]).any():
        words.append(_("Sequences differ in length: the further back, the fewer of them are in the mean."))
    return [*words, *_of_limits(at, found, facts, arrays), *_of_loss(subject, at, found)]


def _of_limits(at: Chosen, found: Backwards, facts: ThroughTimeFacts, arrays: dict[str, np.ndarray]) -> list[str]:
    if at.kind == "rnn":
        sigma, rho = found.bare["singular"], found.bare["radius"]
        text = Sentence(
            "The recurrent weight's largest singular value is {sigma:.3g}, its spectral radius {rho:.3g}. ",
            sigma=sigma,
            rho=rho,
        )
        if not found.at_end:
            return [text + _("As more than the last state is read, no simple bound holds here.")]
        return [
            text
            + Sentence(
                "The gradient can never be above {sigma:.3g}ᵏ of its last value after k steps (a bound, as the "
                "slope of f is at most 1); {rho:.3g}ᵏ is the pace in the long run if f were linear, and no bound.",
                sigma=sigma,
                rho=rho,
            )
        ]
    if GATES not in arrays:
        return []
    gate = "forget" if at.kind == "lstm" else "update"
    alone = first_to_last(arrays[GATES])
    if alone is None:
        return []
    return [
        Sentence(
            "Through the {gate} gates alone {said} would come back: the product of their values. The rest "
            "goes through the recurrent weight. No bound follows from one matrix here.",
            gate=gate,
            said=said(alone),
        )
    ]


def _of_loss(subject: Subject, at: Chosen, found: Backwards) -> list[str]:
    words: list[str] = []
    if subject.form.task == EACH_STEP:
        words.append(_("The network answers at every step; the loss here is that of the last answer alone."))
    if not found.at_end:
        above = _("the layer above it hands") if not at.top else _("what follows it hands")
        words.append(
            Sentence(
                "Not only the last state of this cell counts: {above} some gradient to every step directly.",
                above=above,
            )
        )
    return words


def code(subject: Subject, at: Chosen, y: Tensor) -> str:
    """Lines that compute hidden/sample (and cell/sample) of the network as it is."""
    pair = "(h, c)" if at.kind == "lstm" else "(h,)"
    target = y[0].tolist()
    task = subject.form.task
    loss = {
        CLASSES: f"F.cross_entropy(logits, torch.tensor([{target}]))  # the sample's class",
        NUMBER: f"F.mse_loss(logits[:, 0], torch.tensor([{target!r}], dtype=torch.float64))  # the sample's number",
    }
    of_loss = f"loss = {loss[task]}" if task in loss else _each_step(y[0], at)
    return (
        "import copy\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
        f"{source(at.core, at.stack, at.backward, pair)}\n\n\n"
        f"unrolled = copy.deepcopy(network).double()  # in float32 small numbers would be lost\n"
        f"unrolled.{subject.layer} = Unrolled(unrolled.{subject.layer}.core)\n"
        "logits = unrolled(x.double() if x.is_floating_point() else x)\n"
        f"{of_loss}\n"
        f"places = sorted(kept{', reverse=True' * (not at.backward)})  # from the end of the reading back\n"
        f"names = {['hidden', 'cell'][: 1 + (at.kind == 'lstm')]!r}\n"
        "norms = {\n"
        "    name: [float(torch.autograd.grad(loss, kept[t][i], retain_graph=True)[0].norm()) for t in places]\n"
        "    for i, name in enumerate(names)\n"
        "}\n"
        'print(norms["hidden"])\n'
    )


def _each_step(y: Tensor, at: Chosen) -> str:
    asked = (y != NOT_ASKED).nonzero().flatten()
    place = int(asked[0 if at.backward else -1]) if len(asked) else 0
    answer = int(y[place])
    return (
        f"kept = {{t: states for t, states in kept.items() if t {'>=' if at.backward else '<='} {place}}}\n"
        f"loss = F.cross_entropy(logits[:, {place}], torch.tensor([{answer}]))  # of the last answer"
    )
