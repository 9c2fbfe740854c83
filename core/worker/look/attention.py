"""Attention: what each token reads of each other token, the arithmetic of one row, and what each head is worth.

What it gives is declared in core.catalog.views.attention.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, TOKENS, DataForm
from core.catalog.views.attention import (
    ABLATION,
    ABLATION_LOSS,
    KEYS,
    MASKED,
    QUERY,
    READ,
    REAL,
    REMOVAL,
    RESULT,
    ROLLOUT,
    SCORES,
    SHOWN,
    VALUES,
    WEIGHTS,
    AttentionFacts,
    blocks,
    entropy_of,
    rollout_of,
    uniform_of,
)
from core.catalog.views.attention import Attention as Options
from core.spec import registry
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _, counted
from core.spec.specs import ModelSpec
from core.worker.look.subject import Report, Subject
from core.worker.model.build import Network, check
from core.worker.model.modules.attention import Attention
from core.worker.train.objective import Tally

ABLATION_SAMPLES = 512  # the first of the test set
BATCH_TOKENS = 4096  # of one forward pass while heads are measured: some 50 ms each
REMOVAL_MACS = 2e9  # the most that taking away one token after the other may cost: about 0.2 s
MOST_KEPT = 1 << 26  # numbers of all layers' weights together: 256 MB
SPACES = {" ": _("the space"), "\n": _("the line break"), "\t": _("the tab")}  # tokens that cannot be seen


@dataclass(frozen=True)
class Tokens:
    """What stands at each place of the chosen layer's input."""

    names: list[str]
    real: Tensor  # [T] bool; False at padding
    classes: int  # how many class tokens stand first
    grid: tuple[int, int]  # rows and columns of the patches; (0, 0) where they are none


@dataclass(frozen=True)
class Row:
    """One query of one head, step by step; see the module's docstring."""

    query: Tensor
    keys: Tensor
    values: Tensor
    scores: Tensor
    masked: Tensor
    weights: Tensor
    result: Tensor


@dataclass(frozen=True)
class Heads:
    """What all layers' heads do for the sample."""

    weights: dict[str, Tensor]
    rollout: dict[str, Tensor]  # of the layers up to each
    entropy: dict[str, Tensor]  # [head], nats
    uniform: dict[str, float]  # nats
    words: list[str]


def look(subject: Subject, options: Options, report: Report) -> Seen[AttentionFacts]:
    """The weights of every layer, one row of the chosen head, and on request what every head is worth."""
    names = list(blocks(subject.layers, subject.form))
    with torch.no_grad():
        given = attention_inputs(subject, names)
        x, mask = given[subject.layer]
        tokens = tokens_of(subject, x.shape[1], mask)
        attention = attention_of(subject.network, subject, subject.layer)
        head, query, words = _chosen(options, attention, tokens)
        heads = all_heads(subject, given, report)
        read = may_read(attention, mask, x.shape[1], options.causal)
        shown = shown_weights(attention, x, read, options.temperature)
        row = one_row(attention, x, read, options.temperature, head, query)
        removal = removed(subject, tokens, query)
    arrays: dict[str, Any] = {
        ROLLOUT: heads.rollout[names[-1]],
        REAL: tokens.real,
        READ: read,
        QUERY: row.query,
        KEYS: row.keys,
        VALUES: row.values,
        SCORES: row.scores,
        MASKED: row.masked,
        WEIGHTS: row.weights,
        RESULT: row.result,
    }
    for name in names:
        arrays |= {entropy_of(name): heads.entropy[name], uniform_of(name): np.array([heads.uniform[name]])}
        if name in heads.weights:
            arrays[rollout_of(name)] = heads.rollout[name]
    if removal is not None:
        arrays[REMOVAL] = removal
    what_if = options.temperature != 1 or (options.causal and not attention.causal)
    if what_if:
        arrays[SHOWN] = shown
    facts = AttentionFacts(
        **vars(subject.answer()),
        tokens=tokens.names,
        classes=tokens.classes,
        grid=tokens.grid,
        layers=names,
        head=head,
        query=query,
        heads=attention.heads,
        causal=attention.causal,
        what_if=what_if,
        why_masked=_why_masked(read[query], tokens),
        unit="" if subject.form.task == NUMBER else "nats",
    )
    said = [
        _row_words(subject, options, row, tokens, head, query),
        *_arithmetic_words(options, row, tokens),
        *_removal_words(subject, removal, row, tokens, head, query),
    ]
    if options.ablation:
        measured = ablation(subject, names, report)
        arrays |= {ABLATION: measured.rise, ABLATION_LOSS: np.array([measured.loss])}
        facts = replace(facts, loss=measured.loss, ablation_samples=measured.samples)
        said.append(_worth_words(measured, heads, names, facts.unit))
    said += [_entropy_words(heads, subject.layer), *_what_if_words(options, attention), *_padding_words(tokens)]
    said += [_("Weights are those of this sample alone; another sample has others."), *words, *heads.words]
    code = code_of(subject.layer, names, head, query, options, what_if)
    return subject.seen(heads.weights | arrays, facts, said, code)


# ── what is looked at ────────────────────────────────────────────────────────────────────────────────────────────────


def address(subject: Subject, layer: str) -> str:
    """Of the attention inside a layer."""
    kind = next(spec.kind for spec in subject.layers if spec.name == layer)
    return f"{layer}.{registry.LAYERS.get(kind).attention}"


def attention_of(network: Network, subject: Subject, layer: str) -> Attention:
    """The attention inside a layer."""
    found = network.get_submodule(address(subject, layer))
    assert isinstance(found, Attention)
    return found


def attention_inputs(subject: Subject, layers: list[str]) -> dict[str, tuple[Tensor, Tensor | None]]:
    """layer → what its attention gets for the sample: (x [1, T, width], mask [1, T] or None)."""
    got = subject.inputs([address(subject, layer) for layer in layers])
    return {layer: (got[address(subject, layer)][0], got[address(subject, layer)][1]) for layer in layers}


def tokens_of(subject: Subject, steps: int, mask: Tensor | None) -> Tokens:
    """The names of the places: words, patches or steps; the class token before them."""
    real = torch.ones(steps, dtype=torch.bool) if mask is None else mask[0].cpu()
    if not bool(real.any()):
        real = torch.ones_like(real)  # a row of padding alone is read as it is
    names, grid = _sources(subject)
    before = [spec.kind for spec in subject.layers[: [spec.name for spec in subject.layers].index(subject.layer)]]
    classes = before.count("class_token")
    if classes + len(names) != steps:  # a layer in between has changed what stands where
        return Tokens([Sentence("step {i}", i=i) for i in range(steps)], real, 0, (0, 0))
    return Tokens(["class"] * classes + names, real, classes, grid)


def _sources(subject: Subject) -> tuple[list[str], tuple[int, int]]:
    """(a name for each token, patch or step of the sample, rows and columns of its patches)."""
    form = subject.form
    if form.kind == TOKENS:
        known = subject.splits.vocabulary
        ids = [int(i) for i in subject.x[0]]
        return ["padding" if i == 0 else known[i] if i < len(known) else f"token {i}" for i in ids], (0, 0)
    if form.kind != PICTURE:
        return [f"step {i}" for i in range(form.shape[0])], (0, 0)
    kind, rows, columns = _cut(subject.experiment.model, form)
    if kind == "patches":
        return [f"row {i // columns}, column {i % columns}" for i in range(rows * columns)], (rows, columns)
    return [f"row {i}" for i in range(rows)], (rows, min(rows, 1))


@lru_cache(maxsize=32)
def _cut(model: ModelSpec, form: DataForm) -> tuple[str, int, int]:
    """(the layer that makes steps of a picture: patches or rows, rows, columns); 0 where there is none."""
    for placed in check(model, form):
        if placed.spec.kind == "patches":
            return "patches", *_patches(placed.spec.options, placed.takes.shape)
        if placed.spec.kind == "rows":
            return "rows", placed.takes.shape[1], 1
    return "", 0, 0


def _patches(options: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the patches that are cut from a picture [channel, height, width]."""
    return shape[1] // options.size, shape[2] // options.size


def _chosen(options: Options, attention: Attention, tokens: Tokens) -> tuple[int, int, list[str]]:
    """(head, query, what is not as it was asked for)."""
    words: list[str] = []
    head, last = min(options.head, attention.heads - 1), len(tokens.names) - 1
    if head != options.head:
        words.append(
            Sentence(
                "This layer has the heads 0 to {heads}; head {head} is shown.", heads=attention.heads - 1, head=head
            )
        )
    query = min(options.query, last)
    if query != options.query:
        words.append(
            Sentence("This sample has the tokens 0 to {last}; token {query} is shown.", last=last, query=query)
        )
    if query < 0:
        query = 0 if tokens.classes else int(tokens.real.nonzero().max())
    return head, query, words


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def may_read(attention: Attention, mask: Tensor | None, steps: int, causal: bool) -> Tensor:
    """[query, key] bool: what the module lets a query read, and with `causal` nothing later than itself."""
    if mask is None and attention.causal:
        mask = torch.ones(1, steps, dtype=torch.bool)
    found = attention.read(mask, steps)
    read = torch.ones(steps, steps, dtype=torch.bool) if found is None else found[0, 0].expand(steps, steps)
    if not causal:
        return read
    return (read & torch.ones_like(read).tril()) | torch.eye(steps, dtype=torch.bool)


def shown_weights(attention: Attention, x: Tensor, read: Tensor, temperature: float) -> Tensor:
    """[head, query, key]: softmax(q kᵀ / √d / temperature) over what may be read."""
    q, k, _v = attention.split(x)
    scores = q[0] @ k[0].transpose(-1, -2) / (q.shape[-1] ** 0.5 * temperature)
    weights: Tensor = scores.masked_fill(~read, float("-inf")).softmax(-1)
    return weights


def one_row(attention: Attention, x: Tensor, read: Tensor, temperature: float, head: int, query: int) -> Row:
    """Every number on the way from one query to its head's output (Vaswani 2017, section 3.2.1)."""
    q, k, v = (part[0, head] for part in attention.split(x))
    scores = k @ q[query] / q.shape[-1] ** 0.5
    masked = (scores / temperature).masked_fill(~read[query], float("-inf"))
    weights = masked.softmax(-1)
    return Row(q[query], k, v, scores, masked, weights, weights @ v)


def all_heads(subject: Subject, given: dict[str, tuple[Tensor, Tensor | None]], report: Report) -> Heads:
    """Layer by layer: weights, entropy, and the rollout of all of them."""
    made = Heads({}, {}, {}, {}, [])
    rollout, kept = torch.empty(0, 0), 0
    for done, (layer, (x, mask)) in enumerate(given.items()):
        report(done / len(given), Sentence("Weights of {layer}", layer=layer))
        attention = attention_of(subject.network, subject, layer)
        weights = attention.weights(x, mask)[0]
        read = may_read(attention, mask, x.shape[1], False)
        real = torch.ones(x.shape[1], dtype=torch.bool) if mask is None or not bool(mask.any()) else mask[0]
        made.entropy[layer] = entropy(weights)[:, real].mean(1)
        made.uniform[layer] = float(read[real].sum(1).float().log().mean())
        mixed = with_shortcut(weights)
        if rollout.shape[0] not in (0, len(mixed)):
            made.words.append(Sentence("The rollout begins at {layer}: a class token has joined there.", layer=layer))
        rollout = mixed @ rollout if rollout.shape == mixed.shape else mixed
        made.rollout[layer] = rollout
        if layer == subject.layer or kept + weights.numel() <= MOST_KEPT:
            made.weights[layer] = weights
            kept += weights.numel()
    if len(made.weights) < len(given):
        steps, names = next(iter(given.values()))[0].shape[1], ", ".join(made.weights)
        made.words.append(
            Sentence(
                "With {steps} tokens the weights of all layers are too many to keep: only those of {names}.",
                steps=steps,
                names=names,
            )
        )
    return made


def entropy(weights: Tensor) -> Tensor:
    """[…, key] → […]: −Σ w ln w in nats; 0 ln 0 = 0."""
    return -torch.xlogy(weights, weights).sum(-1)


def with_shortcut(weights: Tensor) -> Tensor:
    """[head, query, key] → [query, key]: the heads' mean, and half of each token's own self by the shortcut."""
    mixed = weights.mean(0) + torch.eye(weights.shape[-1])
    return mixed / mixed.sum(-1, keepdim=True)


def _why_masked(read: Tensor, tokens: Tokens) -> list[str]:
    """Of each key: "", or why this query may not read it."""
    return ["" if may else "later" if real else "padding" for may, real in zip(read, tokens.real, strict=True)]


# ── what the answer depends on ───────────────────────────────────────────────────────────────────────────────────────


def removed(subject: Subject, tokens: Tokens, query: int) -> Tensor | None:
    """[key]: how far the model's answer falls when a token is taken away; None where it would take long."""
    steps, sources = len(tokens.names), len(tokens.names) - tokens.classes
    params = sum(p.numel() for p in subject.network.parameters())
    if subject.form.kind == PICTURE and not tokens.grid[0]:
        return None
    if _longest(subject) != sources or sources * steps * params > REMOVAL_MACS:
        return None
    given = _without_each(subject, sources, tokens.grid)
    if subject.form.task == EACH_STEP:
        given = given[:, query - tokens.classes]
    answers = given[:, 0] if subject.form.task == NUMBER else given[:, int(given[0].argmax())]
    fall = torch.full((steps,), float("nan"))
    fall[tokens.classes :] = answers[0] - answers[1:]
    return torch.where(tokens.real, fall, torch.full_like(fall, float("nan")))


_answered: OrderedDict[Any, Tensor] = OrderedDict()  # the same for every layer, head and query of a sample


def _without_each(subject: Subject, sources: int, grid: tuple[int, int]) -> Tensor:
    """[1 + source, …]: what the network gives for the sample, then without each of its tokens, patches or steps."""
    at = str(subject.run.path), subject.step, subject.run.weights_stamp(subject.step)
    key = (*at, subject.x.numpy().tobytes(), grid)
    if key not in _answered:
        without = subject.x.repeat(sources, *[1] * (subject.x.dim() - 1))
        for i in range(sources):
            _take_away(without[i], i, grid)
        given: Tensor = subject.network(torch.cat([subject.x, without]))
        if given.numel() > 1 << 20:  # 4 MB
            return given
        _answered[key] = given
        while len(_answered) > 8:
            _answered.popitem(last=False)
    return _answered[key]


def _take_away(x: Tensor, place: int, grid: tuple[int, int]) -> None:
    """Token id 0 is padding; 0 in standardised pictures is the training mean."""
    if not grid[0]:
        x[place] = 0
        return
    rows, columns = grid
    high, wide = x.shape[1] // rows, x.shape[2] // columns
    top, left = place // columns * high, place % columns * wide
    x[:, top : top + high, left : left + wide] = 0


@dataclass(frozen=True)
class Measured:
    """What every head is worth: `rise` [layer, head] of the loss, over the first `samples` of the test set."""

    rise: Tensor
    loss: float
    samples: int


_measured: OrderedDict[Any, Measured] = (
    OrderedDict()
)  # the same for every sample, head and query: kept for the latest few moments


def ablation(subject: Subject, layers: list[str], report: Report) -> Measured:
    """The rise of the test loss with one head silenced, for every head (Michel 2019, section 3.1)."""
    stamp = subject.run.weights_stamp(subject.step)
    key = (str(subject.run.path), subject.step, stamp)
    if key not in _measured:
        _measured[key] = measure(subject, layers, report)
        while len(_measured) > 8:
            _measured.popitem(last=False)
    return _measured[key]


def measure(subject: Subject, layers: list[str], report: Report) -> Measured:
    """The loss with all heads, then without each."""
    network = subject.copied()
    counts = [attention_of(network, subject, layer).heads for layer in layers]
    passes, done = 1 + sum(counts), 0

    def share(part: float) -> None:
        report(
            (done + part) / passes,
            Sentence(
                "Silencing one head after the other: {value} of {passes}", value=max(0, done - 1), passes=passes - 1
            ),
        )

    whole, samples = loss_on_test(network, subject, share)
    rise = torch.full((len(layers), max(counts)), float("nan"))
    for row, layer in enumerate(layers):
        attention = attention_of(network, subject, layer)
        for head in range(attention.heads):
            done += 1
            handle = attention.out.register_forward_pre_hook(silence(head, attention.heads))
            try:
                rise[row, head] = loss_on_test(network, subject, share)[0] - whole
            finally:
                handle.remove()
    return Measured(rise, whole, samples)


def silence(head: int, heads: int) -> Callable[[Any, tuple[Tensor, ...]], tuple[Tensor]]:
    """A hook before the `out` projection that sets this head's part of its input [batch, step, width] to zero."""

    def hook(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        x = inputs[0].reshape(*inputs[0].shape[:2], heads, -1).clone()
        x[:, :, head] = 0
        return (x.flatten(-2),)

    return hook


def loss_on_test(network: Network, subject: Subject, share: Callable[[float], None]) -> tuple[float, int]:
    """(mean loss, samples) over the first samples of the test set."""
    x, y = subject.splits.test
    n, tally = min(ABLATION_SAMPLES, len(x)), Tally(subject.form.task)
    each = max(1, BATCH_TOKENS // _longest(subject))
    with torch.no_grad():
        for start in range(0, n, each):
            share(start / n)
            stop = min(n, start + each)
            tally.add(network(x[start:stop]), y[start:stop])
    return tally.loss / max(1, tally.answers), n


def _longest(subject: Subject) -> int:
    """Tokens of a sample, about."""
    return max(1, len(_sources(subject)[0]))


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _named(tokens: Tokens, place: int) -> str:
    """A token as a sentence says it: “word” (token 3); patch row 1, column 2; the class token."""
    name = tokens.names[place]
    if name in SPACES:
        return Sentence("{spaces} (token {place})", spaces=SPACES[name], place=place)
    if place < tokens.classes:
        return _("the class token")
    return (
        name
        if tokens.grid[0] or name.startswith("step ")
        else Sentence("“{name}” (token {place})", name=name, place=place)
    )


def _change(value: float) -> str:
    """A signed number, also where it is tiny."""
    return f"{value:+.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:+.6f}"


def _row_words(subject: Subject, options: Options, row: Row, tokens: Tokens, head: int, query: int) -> str:
    most, readable = int(row.weights.argmax()), int(torch.isfinite(row.masked).sum())
    who = Sentence("Head {head} of {layer}: {named} reads", head=head, layer=subject.layer, named=_named(tokens, query))
    if readable == 1:
        return Sentence(
            "{who} only {named}: there is nothing else it may read.",
            who=who,
            named=_("itself") if most == query else _named(tokens, most),
        )
    what = "itself" if most == query else _named(tokens, most)
    even = Sentence(
        "spread evenly over the {readable} tokens it may read, each would have {each:.3f}",
        readable=readable,
        each=1 / readable,
    )
    shown = (
        "" if options.temperature == 1 else Sentence(" at temperature {temperature:g}", temperature=options.temperature)
    )
    return Sentence(
        "{who} most of {what}, with a weight of {weights:.3f}{shown}; {even}.",
        who=who,
        what=what,
        weights=float(row.weights[most]),
        shown=shown,
        even=even,
    )


def _arithmetic_words(options: Options, row: Row, tokens: Tokens) -> list[str]:
    """The largest weight, worked out."""
    most = int(row.weights.argmax())
    features, score, enters = len(row.query), float(row.scores[most]), float(row.masked[most])
    if abs(enters) > 20 or int(torch.isfinite(row.masked).sum()) < 2:
        return []
    divided = (
        ""
        if options.temperature == 1
        else Sentence(", / temperature {temperature:g} = {enters:.3f}", temperature=options.temperature, enters=enters)
    )
    return [
        Sentence(
            "That weight in numbers: query · key = {score:.3f}, / √{features} = {divided_score:.3f}{divided}; "
            "e^{enters:.3f} = {exp:.3f}; divided by the sum of this over all keys it may read, {sum:.3f}, it "
            "is {weights:.3f}.",
            score=score * features**0.5,
            features=features,
            divided_score=score,
            divided=divided,
            enters=enters,
            exp=math.exp(enters),
            sum=float(row.masked.exp().sum()),
            weights=float(row.weights[most]),
        )
    ]


def _removal_words(
    subject: Subject, removal: Tensor | None, row: Row, tokens: Tokens, head: int, query: int
) -> list[str]:
    """Does what this head reads most matter most? Compared among tokens that are read, can be taken away, and are
    not the query itself."""
    if removal is None:
        return []
    able = torch.isfinite(removal) & torch.isfinite(row.masked)
    able[query] = False
    if int(able.sum()) < 2:
        return []
    most = int(row.weights.masked_fill(~able, -1).argmax())
    worth = int(removal.abs().masked_fill(~able, -1).argmax())
    answer = _("the answer") if subject.form.task == NUMBER else _("the logit of the answer")
    if subject.form.task == EACH_STEP:
        answer += _(" given at this token")
    moves = Sentence("changes it by {change}", change=_change(-float(removal[worth])))
    if most == worth:
        return [
            Sentence(
                "What head {head} reads most here also matters most: taking away {named} changes {answer} by "
                "{change}, more than taking away any other token.",
                head=head,
                named=_named(tokens, most),
                answer=answer,
                change=_change(-float(removal[most])),
            )
        ]
    return [
        Sentence(
            "Weights and effect disagree: of the other tokens head {head} reads {named} most (weight "
            "{weights:.3f}), but taking it away changes {answer} by {change}; taking away {other} (weight "
            "{other_weight:.3f}) {moves}. Where a head looks is not what the answer depends on.",
            head=head,
            named=_named(tokens, most),
            weights=float(row.weights[most]),
            answer=answer,
            change=_change(-float(removal[most])),
            other=_named(tokens, worth),
            other_weight=float(row.weights[worth]),
            moves=moves,
        )
    ]


def _entropy_words(heads: Heads, layer: str) -> str:
    of, even = heads.entropy[layer], heads.uniform[layer]
    low, high = int(of.argmin()), int(of.argmax())
    if len(of) == 1:
        return Sentence(
            "The weights of {layer}'s one head have an entropy of {of:.2f} nats; even ones {even:.2f}.",
            layer=layer,
            of=float(of[0]),
            even=even,
        )
    return Sentence(
        "In {layer}, head {low} is the most concentrated (entropy {of:.2f} nats) and head {high} the "
        "most spread out ({widest:.2f}); reading evenly would be {even:.2f} nats.",
        layer=layer,
        low=low,
        of=float(of[low]),
        high=high,
        widest=float(of[high]),
        even=even,
    )


def _worth_words(measured: Measured, heads: Heads, layers: list[str], unit: str) -> str:
    """Is the most concentrated head also the one that the model needs most?"""
    rise = measured.rise
    width = rise.shape[1]
    worth = divmod(int(rise.nan_to_num(-math.inf).argmax()), width)
    low = min(
        ((row, head) for row, name in enumerate(layers) for head in range(len(heads.entropy[name]))),
        key=lambda at: float(heads.entropy[layers[at[0]]][at[1]]),
    )
    unit = f" {unit}" if unit else ""
    most = Sentence(
        "from {loss:.3g} by {change}{unit} ({samples} test samples)",
        loss=measured.loss,
        change=_change(float(rise[worth])),
        unit=unit,
        samples=measured.samples,
    )
    sharpest = Sentence("head {low} of {layers}, the most concentrated one", low=low[1], layers=layers[low[0]])
    if float(rise[worth]) <= 0:
        return Sentence(
            "No head is needed by itself: silencing any one of them does not raise the test loss ({most}).", most=most
        )
    if low == worth:
        return Sentence(
            "The model needs {sharpest}, most: without it the loss goes {most}.", sharpest=sharpest, most=most
        )
    return Sentence(
        "Weights and worth disagree: silencing {sharpest} (entropy {entropy:.2f} nats), changes the test "
        "loss by {change}{unit}. The model needs head {worth} of {layers} most: without it the loss goes "
        "{most}.",
        sharpest=sharpest,
        entropy=float(heads.entropy[layers[low[0]]][low[1]]),
        change=_change(float(rise[low])),
        unit=unit,
        worth=worth[1],
        layers=layers[worth[0]],
        most=most,
    )


def _what_if_words(options: Options, attention: Attention) -> list[str]:
    words: list[str] = []
    if options.temperature != 1:
        words.append(
            Sentence(
                "Temperature {temperature:g} changes only what is shown of this layer: the model itself uses 1, "
                "and its answer stays as it is.",
                temperature=options.temperature,
            )
        )
    if options.causal and attention.causal:
        words.append(_("This model is causal by itself: no token reads a later one, with the switch or without."))
    elif options.causal:
        words.append(
            _(
                "As if causal: the weights as they would be if no token could read later ones. The model reads "
                "both ways; its answer stays as it is."
            )
        )
    return words


def _padding_words(tokens: Tokens) -> list[str]:
    count = int((~tokens.real).sum())
    if not count:
        return []
    return [
        counted(
            "{n} padding token fills the row up to its length; it is masked: no token reads it.",
            "{n} padding tokens fill the row up to its length; they are masked: no token reads them.",
            n=count,
        )
    ]


# ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def code_of(layer: str, layers: list[str], head: int, query: int, options: Options, what_if: bool) -> str:
    """Lines that compute weights, rollout and the one row for `network` and `x`."""
    divided = f" / {options.temperature:g}" if options.temperature != 1 else ""
    causal = "read = (read & torch.ones(steps, steps).tril().bool()) | torch.eye(steps).bool()  # as if causal\n"
    given = ", ".join(f'"{name}"' for name in layers)
    return (
        "import torch\n\n"
        f"layers = [{given}]\n"
        "given = {}\n"
        "for name in layers:\n"
        "    network.get_submodule(name).attention.register_forward_pre_hook(\n"
        "        lambda module, inputs, name=name: given.update({name: inputs}))\n"
        "with torch.no_grad():\n"
        "    network(x)\n\n"
        "    # every layer: [head, query, key], each row sums to 1; all layers together (attention rollout)\n"
        "    weights, rollout = {}, None\n"
        "    for name in layers:\n"
        "        weights[name] = network.get_submodule(name).attention.weights(*given[name])[0]\n"
        "        mixed = weights[name].mean(0) + torch.eye(weights[name].shape[-1])\n"
        "        mixed = mixed / mixed.sum(-1, keepdim=True)\n"
        "        rollout = mixed if rollout is None or len(rollout) != len(mixed) else mixed @ rollout\n\n"
        f"    # one head, one query of {layer}, step by step\n"
        f'    attention, (tokens, mask) = network.get_submodule("{layer}").attention, given["{layer}"]\n'
        "    steps = tokens.shape[1]\n"
        f"    q, k, v = (part[0, {head}] for part in attention.split(tokens))  # [step, feature]\n"
        f"    scores = k @ q[{query}] / q.shape[-1] ** 0.5\n"
        "    if mask is None:\n"
        "        mask = torch.ones(1, steps).bool()\n"
        "    read = attention.read(mask, steps)[0, 0].expand(steps, steps)  # may the query read the key?\n"
        f"{'    ' + causal if options.causal and what_if else ''}"
        f'    masked = (scores{divided}).masked_fill(~read[{query}], float("-inf"))\n'
        "    row = masked.softmax(-1)\n"
        "    result = row @ v\n"
    )
