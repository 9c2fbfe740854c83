"""The states and gates of one recurrent cell over one sequence, computed by hand from the cell's equations.

What it gives is declared in core.catalog.views.states. The two directions are those of a PCA (Pearson 1901) of the
states of up to 256 test samples at all their steps; the separation is η² over up to 2048 samples (Fisher 1925), and
where a number is asked the squared correlation with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.catalog.entries import EACH_STEP, NUMBER
from core.catalog.views.states import (
    ANSWERS,
    CELL,
    ENDS,
    ENDS_TARGET,
    HIDDEN,
    SEPARATION,
    TRAJECTORY,
    States,
    StatesFacts,
    gate,
)
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.data.splits import NOT_ASKED
from core.worker.look import _recurrent
from core.worker.look._recurrent import Chosen, chosen, lengths, received, step_names, step_word
from core.worker.look.subject import DIVERGED, Report, Subject
from core.worker.model.build import Network
from core.worker.model.cells import GATES, Moment, Unrolled, lowest, source
from core.worker.model.modules.recurrent import Recurrent

FITTED, TESTED = 256, 2048  # samples: of the two directions, of the separation
VALUES = 4_000_000  # of states computed at once: so that nobody waits long for a word
CUT = 32  # beginnings of a sequence that are read at once
BEST = 8  # units that are named
MIXING = ("rnn", "lstm", "gru", "transformer_block")  # kinds of layer that carry something from step to step


def look(subject: Subject, options: States, report: Report) -> Seen[StatesFacts]:
    """States, gates, path, answers and units of the chosen cell."""
    at = chosen(subject, options)
    report(0.0, _("Reading the sequence step by step"))
    given, mask = received(subject.network, subject.layer, subject.x)
    count = int(lengths(given, mask)[0])
    moments, difference = by_hand(at, given[:, :count])
    arrays = stacked(moments)
    told = answers(subject, at, given[:, :count], report)
    if told is not None:
        arrays[ANSWERS] = told
    test = of_test_set(subject, at, report)
    path = Path.fitted(test.states)
    arrays[TRAJECTORY] = path(arrays[HIDDEN])
    arrays |= {ENDS: path(test.ends), ENDS_TARGET: test.ends_target, SEPARATION: test.separation}
    best = test.separation.argsort(descending=True, stable=True)
    order = best.tolist() if options.by_separation else list(range(at.core.hidden_size))
    facts = StatesFacts(
        **vars(subject.answer()),
        cell_kind=at.kind,
        stack=at.stack + 1,
        stacks=at.core.num_layers,
        backward=at.backward,
        gates=GATES[at.kind],
        steps=step_names(subject, count),
        step_word=step_word(subject),
        order=order,
        best=best[:BEST].tolist(),
        difference=difference,
        explained=path.explained,
        tested=test.count,
        classes=list(subject.splits.classes),
        task=subject.form.task,
        settled=settled(told),
        target_index=target_index(subject),
    )
    words = [*at.words, *sentences(subject, at, arrays, facts, test.read)]
    return subject.seen(arrays, facts, words, code(subject, at))


def by_hand(at: Chosen, given: Tensor) -> tuple[list[Moment], float]:
    """The chosen cell at every step of one row, and the largest difference of its states from torch's fused layer."""
    unrolled = Unrolled(at.core)
    with torch.no_grad():
        unrolled(given)
        moments = unrolled.moments[at.stack, at.backward]
        fused = lowest(at.core, at.stack + 1)(given)[0][0, :, at.columns()]
    ours = torch.cat([moment.hidden for moment in moments])
    return moments, float((ours - fused).abs().max())


def stacked(moments: list[Moment]) -> dict[str, Tensor]:
    """hidden, cell and gate/NAME, each [step, unit]."""
    arrays = {HIDDEN: torch.cat([moment.hidden for moment in moments])}
    cells = [moment.cell for moment in moments if moment.cell is not None]
    if cells:
        arrays[CELL] = torch.cat(cells)
    for name in moments[0].gates:
        arrays[gate(name)] = torch.cat([moment.gates[name] for moment in moments])
    return arrays


# ── the answer after every step ──────────────────────────────────────────────


def answers(subject: Subject, at: Chosen, given: Tensor, report: Report) -> Tensor | None:
    """[step, class]: what the network says when the layer gets the first 1, 2, … steps alone; None where it cannot.

    The layers after it then read a shorter sequence. A layer in one direction gives the same for the beginning alone.
    """
    later = [layer.kind for layer in subject.layers[names(subject).index(subject.layer) + 1 :]]
    if "read_out" not in later and subject.form.task != EACH_STEP:
        return None
    layer = subject.network.get_submodule(subject.layer)
    tick = _recurrent.Ticker(report, given.shape[1], _("Asking after every step"), 0.05, 0.4)
    rows = []
    with torch.no_grad():
        for t, heard in beginnings(layer, given, at.core.bidirectional):
            tick()
            rows.append(rest(subject.network, subject.layer, heard, given[:, :t]))
    logits = torch.cat([row[:, -1] if row.dim() == 3 else row for row in rows])
    return logits if subject.form.task == NUMBER else logits.softmax(-1)


def beginnings(layer: nn.Module, given: Tensor, both: bool) -> Iterator[tuple[int, Tensor]]:
    """(t, what the layer gives for the first t steps of [1, step, feature]) for every t."""
    steps = given.shape[1]
    if not both:
        whole = layer(given, None)
        yield from ((t, whole[:, :t]) for t in range(1, steps + 1))
        return
    for first in range(1, steps + 1, CUT):
        counts = torch.arange(first, min(first + CUT, steps + 1))
        longest = int(counts[-1])
        heard = layer(given[:, :longest].expand(len(counts), -1, -1), torch.arange(longest) < counts[:, None])
        yield from ((int(t), heard[i : i + 1, :t]) for i, t in enumerate(counts))


def rest(network: Network, address: str, x: Tensor, given: Tensor) -> Tensor:
    """What the layers after `address` make of its output, all of whose steps are real."""
    mask = torch.ones(given.shape[:2], dtype=torch.bool)
    for name in network.addresses[network.addresses.index(address) + 1 :]:
        layer = network.get_submodule(name)
        x = layer(x, mask) if name in network.masked else layer(x)
    return x


def names(subject: Subject) -> list[str]:
    """Of the layers, in their order."""
    return [layer.name for layer in subject.layers]


def settled(told: Tensor | None) -> int:
    """From which step on (counted from 1) the answer stays what it is in the end; 0 where there is none."""
    if told is None or told.shape[1] < 2:
        return 0
    said = told.argmax(-1)
    other = (said != said[-1]).nonzero()
    return int(other.max()) + 2 if len(other) else 1


def target_index(subject: Subject) -> int:
    """The class that is right, −1 where there is none, or one at every step."""
    one = subject.y is not None and subject.form.task not in (EACH_STEP, NUMBER)
    return int(subject.y) if one and subject.y is not None else -1


# ── the test set ─────────────────────────────────────────────────────────────


@dataclass
class TestSet:
    """States of test samples: `states` [n, unit] at all real steps of some of them, `ends` [sample, unit]."""

    states: Tensor
    ends: Tensor
    ends_target: Tensor
    separation: Tensor  # [unit]
    count: int  # samples that the separation is of
    read: str  # which state of a sample it is of, in words


def of_test_set(subject: Subject, at: Chosen, report: Report) -> TestSet:
    """The chosen cell over the test set, by torch's fused layer."""
    x, y = (part[:TESTED] for part in subject.splits.test)
    layer = Recurrent(lowest(at.core, at.stack + 1))
    steps, units = subject.form.shape[-2 if subject.form.kind == "sequence" else -1], at.core.hidden_size
    cells = (at.stack + 1) * (1 + at.core.bidirectional)
    size = int(min(FITTED, max(1, VALUES // (steps * units * cells))))
    take, read = reading(subject, at)
    tick = _recurrent.Ticker(report, len(x) // size + 1, _("Reading the test samples"), 0.4, 1.0)
    states: list[Tensor] = []
    last: list[Tensor] = []
    rows: list[Tensor] = []
    targets: list[Tensor] = []
    for first in range(0, len(x), size):
        tick()
        part = slice(first, first + size)
        given, mask = received(subject.network, subject.layer, x[part])
        with torch.no_grad():
            hidden = layer(given, mask)[..., at.columns()]
        counts = lengths(given, mask)
        real = torch.arange(hidden.shape[1]) < counts[:, None]
        if first == 0:
            states.append(hidden[real])
            place = _recurrent.ends(subject, y[part], counts, at.backward)
            last.append(hidden[torch.arange(len(hidden)), place])
        found, wanted = read_states(take, hidden, real, y[part])
        rows.append(found)
        targets.append(wanted)
    told = torch.cat(targets)
    share = correlation(torch.cat(rows), told) if subject.form.task == NUMBER else separation(torch.cat(rows), told)
    return TestSet(states[0], last[0], ends_target(y[:size]), share, len(x), read)


def ends_target(y: Tensor) -> Tensor:
    """[sample]: the class or number of a sample; where every step is answered, the last one asked."""
    if y.dim() == 1:
        return y
    places = ((y != NOT_ASKED) * torch.arange(y.shape[1])).amax(1)
    return y[torch.arange(len(y)), places]


def reading(subject: Subject, at: Chosen) -> tuple[str, str]:
    """(which state of a sample counts, in words): what the network's read-out takes of this cell, else its last."""
    if subject.form.task == EACH_STEP:
        return "each", _("the state at every step that is answered")
    later = subject.layers[names(subject).index(subject.layer) + 1 :]
    out = next((layer for layer in later if layer.kind == "read_out"), None)
    between = any(layer.kind in MIXING for layer in later)
    take = str(out.options.take) if out is not None and at.top and not between else "both_ends"  # type: ignore[attr-defined]
    if take == "both_ends":
        take = "first" if at.backward else "last"
        return take, _("the state when all has been read")
    words = {
        "last": _("the state at the last step"),
        "first": _("the state at the first step"),
        "mean": _("the mean of the states of all steps"),
        "max": _("the largest value over all steps"),
    }
    return take, words[take]


def read_states(take: str, hidden: Tensor, real: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """([n, unit], [n]): the states that count, and what is asked of each. hidden [sample, step, unit]."""
    if take == "each":
        asked = (y != NOT_ASKED) & real[:, : y.shape[1]]
        return hidden[:, : y.shape[1]][asked], y[asked]
    if take == "mean":
        return (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True), y
    if take == "max":
        return hidden.masked_fill(~real[..., None], float("-inf")).amax(1), y
    place = torch.zeros(len(hidden), dtype=torch.long) if take == "first" else real.sum(1) - 1
    return hidden[torch.arange(len(hidden)), place], y


def separation(states: Tensor, labels: Tensor) -> Tensor:
    """[unit]: η² = variance between the classes / variance of all, of states [n, unit]; 0 where nothing varies."""
    states = states.double()
    centred = states - states.mean(0)
    between = torch.zeros(states.shape[1], dtype=states.dtype)
    for label in torch.tensor(sorted(set(labels.tolist()))):
        mine = centred[labels == label]
        between += len(mine) * mine.mean(0).square()
    total = centred.square().sum(0)
    return torch.where(total > 0, between / total.clamp(min=1e-300), torch.zeros(())).clamp(0, 1).float()


def correlation(states: Tensor, numbers: Tensor) -> Tensor:
    """[unit]: the squared correlation of states [n, unit] with the numbers [n]. 0 where nothing varies."""
    a, b = states.double(), numbers.double()
    a, b = a - a.mean(0), b - b.mean()
    total = a.square().sum(0) * b.square().sum()
    return torch.where(total > 0, (a * b[:, None]).sum(0).square() / total.clamp(min=1e-300), torch.zeros(())).float()


@dataclass
class Path:
    """The two directions in which states differ most."""

    mean: Tensor  # [unit]
    axes: Tensor  # [unit, 2]
    explained: tuple[float, float]  # shares of the variance

    @staticmethod
    def fitted(states: Tensor) -> Path:
        """By the eigenvectors of the covariance of states [n, unit], each with its largest entry positive."""
        mean = states.double().mean(0)
        centred = states.double() - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        if len(values) == 1:  # one unit: nothing is left for a second direction
            values, vectors = torch.cat([values.new_zeros(1), values]), torch.tensor([[0.0, 1.0]]).double()
        axes = vectors[:, [-1, -2]]
        axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign().where(axes.abs().amax(0) > 0, 1.0)
        total = float(values.sum())
        first, second = (max(0.0, float(values[i])) / total if total > 0 else 0.0 for i in (-1, -2))
        return Path(mean, axes, (first, second))

    def __call__(self, states: Tensor) -> Tensor:
        """[n, unit] → [n, 2]."""
        return (states.double() - self.mean) @ self.axes


# ── words and code ───────────────────────────────────────────────────────────


def sentences(subject: Subject, at: Chosen, arrays: dict[str, Tensor], facts: StatesFacts, read: str) -> list[str]:
    """What the pictures show, the most important first."""
    units, steps = at.core.hidden_size, len(arrays[HIDDEN])
    what, told = step_word(subject), arrays.get(ANSWERS)
    words = [*_of_answer(subject, told, facts, what), *_of_gates(arrays)]
    share, first = arrays[SEPARATION], int(arrays[SEPARATION].argmax())
    kind = _("goes with the number asked for") if subject.form.task == NUMBER else _("lies between the classes")
    best = float(share[first])
    much = (
        Sentence("Unit {first} tells most", first=first)
        if best >= 0.05
        else Sentence("No unit tells much; the best, unit {first}", first=first)
    )
    words.append(
        Sentence(
            "{much}: {best} of its variance over {tested} test samples {kind} (of {units} units the middle one has "
            "{median:.0%}). It is of {read}.",
            much=much,
            best=Sentence("{best:.0%}", best=best) if best >= 0.05 else Sentence("{best:.1%}", best=best),
            tested=facts.tested,
            kind=kind,
            units=units,
            median=float(share.median()),
            read=read,
        )
    )
    one, two = facts.explained
    words.append(
        Sentence(
            "The path is drawn in the two directions in which states differ most; they hold {one:.0%} of the "
            "variance, the rest of the {units} is not seen in it.",
            one=one + two,
            units=units,
        )
    )
    words.append(
        Sentence(
            "All {steps} steps were computed by hand from the cell's equations; the largest difference from "
            "torch's own layer is {difference:.0e}.",
            steps=steps,
            difference=facts.difference,
        )
    )
    return words


def _of_answer(subject: Subject, told: Tensor | None, facts: StatesFacts, what: str) -> list[str]:
    if told is None:
        return [_("This network needs all steps to say anything, so it has no answer before the end.")]
    how = Sentence(
        "The answer after each {what} is what the network says when {layer} gets the sequence up to "
        "there and nothing after it.",
        what=what,
        layer=subject.layer,
    )
    if not bool(torch.isfinite(told).all()):
        return [Sentence("Some of the answers are no finite numbers: {diverged}", diverged=DIVERGED)]
    if subject.form.task == NUMBER:
        return [
            Sentence(
                "After the last {what} the answer is {told:.3g}. {how}", what=what, told=float(told[-1, 0]), how=how
            )
        ]
    if subject.form.task == EACH_STEP:
        return [how]
    answer, steps = subject.label(int(told[-1].argmax())), len(told)
    if facts.settled == steps:
        return [
            Sentence(
                "Only at the last {what}, {steps}, does the answer become {answer}. {how}",
                what=what,
                steps=steps,
                answer=answer,
                how=how,
            )
        ]
    return [
        Sentence(
            "From {what} {settled} of {steps} on the answer stays {answer}. {how}",
            what=what,
            settled=facts.settled,
            steps=steps,
            answer=answer,
            how=how,
        )
    ]


def _of_gates(arrays: dict[str, Tensor]) -> list[str]:
    if gate("forget") in arrays:
        keeps = arrays[gate("forget")]
        return [
            Sentence(
                "The forget gate is {mean:.2f} on average: that share of the cell state is kept from one step to "
                "the next. {keeping:.0%} of the units keep more than 0.9.",
                mean=float(keeps.mean()),
                keeping=float((keeps.mean(0) > 0.9).float().mean()),
            )
        ]
    if gate("update") in arrays:
        keeps = arrays[gate("update")]
        return [
            Sentence(
                "The update gate is {mean:.2f} on average: that share of the hidden state is kept from one step "
                "to the next. {keeping:.0%} of the units keep more than 0.9.",
                mean=float(keeps.mean()),
                keeping=float((keeps.mean(0) > 0.9).float().mean()),
            )
        ]
    full = float((arrays[HIDDEN].abs() > 0.95).float().mean())
    none = float((arrays[HIDDEN] == 0).float().mean())
    return [
        Sentence("{none:.0%} of the states are exactly 0.", none=none)
        if none
        else Sentence("{full:.0%} of the states are beyond ±0.95.", full=full)
    ]


_KEPT = {"lstm": "(h, c, i, f, g, o)", "gru": "(h, r, z, n)", "rnn": "(h,)"}


def code(subject: Subject, at: Chosen) -> str:
    """Lines that compute the states and gates."""
    keys = [HIDDEN, *([CELL] if at.kind == "lstm" else []), *map(gate, GATES[at.kind])]
    return (
        "import copy\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
        f"{source(at.core, at.stack, at.backward, _KEPT[at.kind])}\n\n\n"
        "unrolled = copy.deepcopy(network)\n"
        f"unrolled.{subject.layer} = Unrolled(network.{subject.layer}.core)\n"
        "with torch.no_grad():\n"
        "    answer = unrolled(x)\n"
        f"names = {keys!r}\n"
        "states = {name: torch.cat([kept[t][i] for t in sorted(kept)]) for i, name in enumerate(names)}\n"
        'print(states["hidden"].shape, "same answer:", torch.allclose(answer, network(x), atol=1e-4))\n'
    )
