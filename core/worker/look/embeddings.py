"""What one layer finds alike: the test samples as points.

A point is a test sample; where an answer is asked at every step, it is one asked step of a row. At most MOST of them,
evenly spread over the test set, so that they are the same at every moment. n points, k = 2 or 3 axes.

What it gives is declared in core.catalog.views.embeddings.

Sources: PCA by the singular values of the centred rows (Pearson 1901; here through the matrix of their products, which
has the same left singular vectors); t-SNE: van der Maaten & Hinton 2008, scikit-learn's; the turn: orthogonal
Procrustes (Schönemann 1966); the nearest neighbours as a measure of separation: leave-one-out (Cover & Hart 1967).
"""

from __future__ import annotations

import importlib.util
import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import CLASSES, EACH_STEP, NUMBER, TOKENS, VECTOR
from core.catalog.views.embeddings import (
    BOUNDARY,
    BOUNDARY_CONFIDENCE,
    BOUNDARY_POINTS,
    BOUNDARY_X,
    BOUNDARY_Y,
    COMPONENTS,
    CONFIDENCE,
    CORRECT,
    ERROR,
    EXPLAINED,
    POINTS,
    PREDICTED,
    SAMPLES,
    SEPARATION,
    STEPS,
    TARGET,
    TURN,
    Embeddings,
    EmbeddingsFacts,
)
from core.catalog.views.embeddings import layers as offered_layers
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.data.splits import NOT_ASKED
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.model.modules.shapes import ReadOut

MOST = 1000  # points
VALUES = 70_000_000  # of all rows together, 280 MB; above, feature maps are compared by their means
BATCH = 64  # samples between two reports
NEIGHBOURS = 5
REDUCED = 50  # components that t-SNE and UMAP start from
GRID = 121  # places along each side of the plane
KEPT = 12  # pictures that a worker remembers: another sample is marked at once
TICK = 0.1  # seconds between two reports while a library works

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Picks:
    """Which points there are: samples, steps [n] (step 0 where a sample is a point)."""

    samples: np.ndarray
    steps: np.ndarray
    of: int  # how many there are to pick from


@dataclass(frozen=True)
class Rows:
    """What a layer makes of the points [n, feature], and what the network answers [n, class] (a number: [n, 1])."""

    rows: Tensor
    given: Tensor
    words: tuple[str, ...]


@dataclass(frozen=True)
class Cloud:
    """Everything about the points but which of them is the current sample; extra [1, k] is its place, if it has one."""

    arrays: Arrays
    facts: EmbeddingsFacts
    words: tuple[str, ...]
    extra: np.ndarray


@dataclass(frozen=True)
class Products:
    """Scalar products of centred rows: of the n points [n, n], and of the extra row with them [0 or 1, n]; float64."""

    points: np.ndarray
    extra: np.ndarray


_known: OrderedDict[Any, Cloud] = OrderedDict()


def look(subject: Subject, options: Embeddings, report: Report) -> Seen[EmbeddingsFacts]:
    """The points at the subject's layer."""
    picks = pick(subject)
    extra = subject.sample if subject.form.task != EACH_STEP and subject.sample not in picks.samples else -1
    stamp = subject.run.weights_stamp(subject.step)
    key = (str(subject.run.path), subject.step, stamp, subject.layer, options, extra)
    if key not in _known:
        _known[key] = _cloud(subject, options, picks, extra, report)
    _known.move_to_end(key)
    while len(_known) > KEPT:
        _known.popitem(last=False)
    found = _known[key]
    marked = found.extra if extra >= 0 else found.arrays[POINTS][picks.samples == subject.sample]
    words = list(found.words)
    if extra >= 0 and not len(marked):
        words.append(
            Sentence(
                "Sample {extra} is not among the points, and {method} cannot place another one: click a point, "
                "or look with PCA.",
                extra=extra,
                method=options.method,
            )
        )
    return subject.seen({**found.arrays, "marked": marked}, found.facts, words, code(subject, options))


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pick(subject: Subject) -> Picks:
    """The points, evenly spread over what is asked in the test set."""
    x, y = subject.splits.test
    if subject.form.task == EACH_STEP:
        samples, steps = (one.numpy() for one in (y != NOT_ASKED).nonzero(as_tuple=True))
    else:
        samples, steps = np.arange(len(x)), np.zeros(len(x), dtype=np.int64)
    at = np.unique(np.linspace(0, len(samples) - 1, min(MOST, len(samples))).round().astype(np.int64))
    return Picks(samples[at], steps[at], len(samples))


def rows_at(subject: Subject, layer: str, picks: Picks, options: Embeddings, report: Callable[[float], None]) -> Rows:
    """What `layer` makes of every point, and what the network answers."""
    kept: list[Tensor] = []
    n, rows, given = len(picks.samples), torch.zeros(0), []
    handle = subject.network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        with torch.no_grad():
            for start in range(0, n, BATCH):
                report(start / n)
                samples, steps = (torch.from_numpy(i[start : start + BATCH]) for i in (picks.samples, picks.steps))
                x = subject.splits.test[0][samples]
                answer, made = subject.network(x), kept.pop()
                large = made.dim() == 4 and made[0].numel() * n > VALUES
                piece = _vectors(made.mean((2, 3)) if large else made, x, steps, subject, options)
                rows = rows if start else piece.new_empty((n, piece.shape[1]))
                rows[start : start + BATCH] = piece
                given.append(answer[torch.arange(len(x)), steps] if subject.form.task == EACH_STEP else answer)
    finally:
        handle.remove()
    words = (
        Sentence(
            "The maps of {layer} are too large to compare every value; the mean of each is compared.", layer=layer
        ),
    ) * large
    return Rows(rows, torch.cat(given), words)


def _vectors(made: Tensor, x: Tensor, steps: Tensor, subject: Subject, options: Embeddings) -> Tensor:
    """[batch, feature] of a layer's output for inputs x; `steps` [batch] are the places that are asked."""
    if subject.form.task == EACH_STEP:
        if made.dim() != 3 or made.shape[1] != x.shape[1]:
            raise CannotShow(_("This layer does not keep a vector for each step; choose a layer that does."))
        return made[torch.arange(len(x)), steps]
    if made.dim() == 4:
        return made.mean((2, 3)) if options.pictures == "mean of each map" else made.flatten(1)
    if made.dim() == 3:
        mask = None if x.is_floating_point() else x != 0
        if mask is not None and made.shape[1] == x.shape[1] + 1:
            mask = torch.nn.functional.pad(mask, (1, 0), value=True)  # a class token stands first
        read: Tensor = ReadOut(options.steps)(made, mask)
        return read
    return made


def products(rows: Tensor, points: int) -> Products:
    """Of rows [points (+ 1), feature]: the centre is that of the points alone."""
    centred = rows.double() if rows.shape[1] <= 4096 else rows  # of longer rows float32 is exact enough
    centred = centred - centred[:points].mean(0)
    found = (centred @ centred[:points].T).double().numpy()
    if not np.isfinite(found).all():
        raise CannotShow(
            _(
                "What this layer gives is not finite at this moment, so there are no places. Choose an earlier "
                "moment, or another layer."
            )
        )
    return Products(found[:points], found[points:])


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def principal(of: Products, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores [n, count] on the largest principal components, those of the extra row, shares of variance [count]."""
    values, vectors = (one.numpy() for one in torch.linalg.eigh(torch.from_numpy(of.points)))
    values, vectors = values[::-1][:count].clip(min=0), vectors[:, ::-1][:, :count]
    total = float(np.trace(of.points))
    there = values > 1e-12 * max(total, 1e-300)
    roots = np.sqrt(np.where(there, values, 0.0))
    extra = of.extra @ vectors / np.where(there, roots, 1.0) * there
    shares = np.where(there, values / (total or 1.0), 0.0)
    return _padded(vectors * roots, count), _padded(extra, count), _padded(shares[None], count)[0]


def _padded(columns: np.ndarray, count: int) -> np.ndarray:
    """[n, count]: fewer points than axes leave axes of zeros."""
    return np.pad(columns, ((0, 0), (0, count - columns.shape[1])))


def neighbour_map(of: Products, options: Embeddings, report: Callable[[float], None], words: list[str]) -> np.ndarray:
    """Places [n, k] by t-SNE or UMAP, from the first REDUCED principal components."""
    n = len(of.points)
    start = principal(of, min(REDUCED, n))[0].astype(np.float32)
    if n < 8:
        raise CannotShow(
            Sentence("{method} needs at least 8 points, and there are {n}. Choose PCA.", method=options.method, n=n)
        )
    perplexity = min(options.perplexity, (n - 1) / 3)
    if perplexity < options.perplexity:
        words.append(
            Sentence(
                "With {n} points the perplexity is at most {perplexity:.3g}; that is used.", n=n, perplexity=perplexity
            )
        )
    make = _umap(options.dimensions) if options.method == "UMAP" else _tsne(options.dimensions, perplexity)
    expected = n * (0.016 if options.dimensions == 3 else 0.004)  # seconds
    return np.asarray(_patiently(lambda: make(start), expected, report), dtype=np.float64)


def _tsne(dimensions: int, perplexity: float) -> Callable[[np.ndarray], Any]:
    from sklearn.manifold import TSNE

    pools: Any = importlib.import_module("threadpoolctl")  # scikit-learn needs it, too

    def make(start: np.ndarray) -> Any:
        with pools.threadpool_limits(1):  # on a busy machine its threads would wait for each other most of the time
            return TSNE(dimensions, perplexity=perplexity, init="pca", random_state=0).fit_transform(start)

    return make


def _umap(dimensions: int) -> Callable[[np.ndarray], Any]:
    umap: Any = importlib.import_module("umap")
    return lambda start: umap.UMAP(n_components=dimensions, random_state=0, n_jobs=1).fit_transform(start)


def _patiently(work: Callable[[], Any], expected: float, report: Callable[[float], None]) -> Any:
    """The result of work that tells nothing meanwhile: time passes, and `report` may give it up by raising."""
    pool = ThreadPoolExecutor(1)
    try:
        future, waited = pool.submit(work), 0.0
        while not future.done():
            report(1 - math.exp(-waited / expected))  # nobody knows: it rises ever more slowly
            wait([future], TICK)
            waited += TICK
        return future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def turn_of(places: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The rotation or reflection [k, k] that brings centred places [n, k] nearest to reference [n, k] (Procrustes)."""
    left, _values, right = np.linalg.svd(places.T @ reference)
    turned: np.ndarray = left @ right
    return turned


def reference_of(target: np.ndarray, classes: int, given: np.ndarray, axes: int) -> np.ndarray:
    """Where points [n, axes] should rather lie, the same at every moment and layer; it decides the turn alone.

    classes: their directions spread around a circle (a sphere); classes = 0, a number: it rises along the first axis.
    What that leaves open (two classes fix one axis) `given` [n, axes], the places of the bare input, decides.
    """
    if classes:
        k = np.arange(classes)
        round_ = 2 * np.pi * k / classes
        height = np.cos(3 * round_ + 0.5) if axes == 3 else np.zeros(classes)
        wanted = np.stack([np.cos(round_), np.sin(round_), height], 1)[target, :axes]
    else:
        wanted = np.zeros((len(target), axes))
        wanted[:, 0] = (target - target.mean()) / (target.std() or 1.0)
    reference: np.ndarray = wanted - wanted.mean(0) + 0.1 * given / (float(given.std()) or 1.0)
    return reference


# ── how well the classes are apart ───────────────────────────────────────────────────────────────────────────────────


def separation(of: Products, target: np.ndarray, samples: np.ndarray, number: bool) -> float:
    """Leave-one-out: how well the NEIGHBOURS nearest points tell a point's target; points of its own row are left out.

    classes: the share of points whose neighbours' most frequent class is theirs (of several the first) · a number: the
    share of its variance that the neighbours' mean explains (R²).
    """
    squares = np.diag(of.points)
    far = squares[:, None] + squares[None] - 2 * of.points
    far[samples[:, None] == samples[None]] = np.inf
    near = np.argsort(far, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(far) - 1)]
    if number:
        missed = float(np.mean((target[near].mean(1) - target) ** 2))
        return 1 - missed / (float(np.var(target)) or 1.0)
    votes = np.zeros((len(target), int(target.max()) + 1))
    np.add.at(votes, (np.arange(len(target))[:, None], target[near]), 1)
    return float(np.mean(votes.argmax(1) == target))


# ── the plane ────────────────────────────────────────────────────────────────────────────────────────────────────────


def boundary(subject: Subject, points: np.ndarray) -> Arrays:
    """What the network answers over the plane that holds the points [n, 2], and an eighth more on each side."""
    low, high = points.min(0), points.max(0)
    edge = (high - low) / 8
    x, y = (np.linspace(low[i] - edge[i], high[i] + edge[i], GRID, dtype=np.float32) for i in (0, 1))
    grid = np.stack(np.meshgrid(x, y), -1)  # [row, column, 2]; a row has one y
    with torch.no_grad():
        sure, named = subject.network(torch.from_numpy(grid.reshape(-1, 2))).softmax(-1).max(-1)
    return {
        BOUNDARY: named.numpy().reshape(GRID, GRID),
        BOUNDARY_CONFIDENCE: sure.numpy().reshape(GRID, GRID),
        BOUNDARY_X: x,
        BOUNDARY_Y: y,
        BOUNDARY_POINTS: points,
    }


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cloud(subject: Subject, options: Embeddings, picks: Picks, extra: int, report: Report) -> Cloud:
    _possible(options)
    words = [_which(subject, picks)]
    place = options.method == "PCA" and extra >= 0
    asked = Picks(np.append(picks.samples, extra), np.append(picks.steps, 0), picks.of) if place else picks
    n, axes, number = len(picks.samples), options.dimensions, subject.form.task == NUMBER
    found = rows_at(subject, subject.layer, asked, options, lambda done: report(0.3 * done, _("asking the network")))
    report(0.3, _("measuring distances"))
    of = products(found.rows, n)
    arrays = _answers(subject, picks, found.given[:n])
    target = arrays[TARGET]
    given = _input(subject, picks)
    report(0.35, _("placing the points"))
    scores, score, shares = principal(of, axes)
    if options.method != "PCA":
        title = Sentence("{method}: placing {n:,} points", method=options.method, n=n)
        scores = neighbour_map(of, options, lambda done: report(0.35 + 0.6 * done, title), words)
        scores, score = scores - scores.mean(0), np.zeros((0, axes))
    bare = principal(given, axes)[0] if given else np.zeros((n, axes))
    turn = turn_of(scores, reference_of(target, 0 if number else subject.form.classes, bare, axes))
    arrays = {POINTS: scores @ turn, **arrays}
    if options.method == "PCA":
        arrays |= {COMPONENTS: scores, EXPLAINED: shares, TURN: turn}
    near = separation(of, target, picks.samples, number)
    facts = EmbeddingsFacts(
        task=subject.form.task,
        kind=subject.form.kind,
        classes=subject.splits.classes,
        separation=near,
        chance=0.0 if number else float(np.bincount(target).max() / n),
        features=found.rows.shape[1],
        input=separation(given, target, picks.samples, number) if given else None,
        method=options.method,
    )
    words = [_separated(subject, facts), *_placed(subject, options, facts, shares), *words, *found.words]
    if options.every_layer:
        arrays[SEPARATION], layers = _by_layer(subject, options, picks, target, report)
        facts = replace(facts, layers=layers)
    if subject.form.kind == VECTOR and subject.form.shape == (2,) and subject.form.task == CLASSES:
        arrays |= boundary(subject, subject.splits.test[0].numpy()[picks.samples])
    return Cloud(arrays, facts, tuple(words), score @ turn)


def _possible(options: Embeddings) -> None:
    if options.method == "UMAP" and importlib.util.find_spec("umap") is None:
        raise CannotShow(_("UMAP needs the library umap-learn, which is not installed here. Choose PCA or t-SNE."))


def _answers(subject: Subject, picks: Picks, given: Tensor) -> Arrays:
    """The arrays that say what each point is and what the network says of it."""
    y = subject.splits.test[1].numpy()
    if subject.form.task == NUMBER:
        target, predicted = y[picks.samples], given.reshape(-1).numpy()
        return {SAMPLES: picks.samples, TARGET: target, PREDICTED: predicted, ERROR: np.abs(predicted - target)}
    steps = {STEPS: picks.steps} if subject.form.task == EACH_STEP else {}
    target = y[picks.samples, picks.steps] if steps else y[picks.samples]
    sure, named = given.softmax(-1).max(-1)
    return {
        SAMPLES: picks.samples,
        **steps,
        TARGET: target,
        PREDICTED: named.numpy(),
        CORRECT: named.numpy() == target,
        CONFIDENCE: sure.numpy(),
    }


def _input(subject: Subject, picks: Picks) -> Products | None:
    """The products of the bare inputs; None for tokens, whose numbers are names."""
    if subject.form.kind == TOKENS or subject.form.task == EACH_STEP:
        return None
    return products(subject.splits.test[0][torch.from_numpy(picks.samples)].flatten(1), len(picks.samples))


def _by_layer(
    subject: Subject, options: Embeddings, picks: Picks, target: np.ndarray, report: Report
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(separation [layer], the layers from first to last)."""
    offered = [name for name in subject.network.addresses if name in set(offered_layers(subject.layers, subject.form))]
    values = []
    for i, name in enumerate(offered):

        def tell(done: float, i: int = i, name: str = name) -> None:
            report(0.35 + 0.65 * (i + done) / len(offered), Sentence("neighbours at {name}", name=name))

        try:
            of = products(rows_at(subject, name, picks, options, tell).rows, len(picks.samples))
            values.append(separation(of, target, picks.samples, subject.form.task == NUMBER))
        except CannotShow:  # not at this layer
            values.append(float("nan"))
    return np.array(values), tuple(offered)


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _which(subject: Subject, picks: Picks) -> str:
    n = len(picks.samples)
    if subject.form.task == EACH_STEP:
        return Sentence(
            "Each of the {n:,} points is one asked step of a row (of {of:,}), in the class of its answer.",
            n=n,
            of=picks.of,
        )
    all_of = "all" if n == picks.of else Sentence("evenly chosen from {of:,}", of=picks.of)
    return Sentence("Each of the {n:,} points is a test sample ({all_of}).", n=n, all_of=all_of)


def _separated(subject: Subject, facts: EmbeddingsFacts) -> str:
    where = Sentence("at {layer} ({features:,} values)", layer=subject.layer, features=facts.features)
    if subject.form.task == NUMBER:
        on_input = Sentence("; on the bare input {input:.0%}", input=facts.input) if facts.input is not None else ""
        return Sentence(
            "The mean of a sample's {neighbours} nearest neighbours {where} explains {separation:.0%} of the "
            "variance of the {classes}{on_input}; always answering the overall mean explains 0%.",
            neighbours=NEIGHBOURS,
            where=where,
            separation=facts.separation,
            classes=subject.splits.classes[0],
            on_input=on_input,
        )
    on_input = Sentence("; on the bare input for {input:.1%}", input=facts.input) if facts.input is not None else ""
    left_out = _("all steps of its own row left out") if subject.form.task == EACH_STEP else _("itself left out")
    return Sentence(
        "The {neighbours} nearest neighbours {where} name a point's class for {separation:.1%} of the "
        "points ({left_out}){on_input}. Always naming the most frequent class is right for {chance:.1%}.",
        neighbours=NEIGHBOURS,
        where=where,
        separation=facts.separation,
        left_out=left_out,
        on_input=on_input,
        chance=facts.chance,
    )


def _placed(subject: Subject, options: Embeddings, facts: EmbeddingsFacts, shares: np.ndarray) -> list[str]:
    turned = _("so that each class lies in about the same direction at every moment and layer")
    if subject.form.task == NUMBER:
        turned = _("so that the target rises to the right at every moment and layer")
    if options.method != "PCA":
        return [
            Sentence(
                "{method} keeps neighbours together. How far apart two groups are, how large a group is and how "
                "densely it lies mean little. Another moment is placed anew; the picture is turned {turned}.",
                method=options.method,
                turned=turned,
            ),
        ]
    if not shares.any():
        return [_("This layer gives the same for every sample: all points lie on one place.")]
    each = ", ".join(f"{share:.1%}" for share in shares)
    return [
        Sentence(
            "The picture keeps {sum:.1%} of the variance of the {features:,} values ({each} by its "
            "components). It is turned, which changes no distance, {turned}.",
            sum=shares.sum(),
            features=facts.features,
            each=each,
            turned=turned,
        ),
    ]


# ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def code(subject: Subject, options: Embeddings) -> str:
    """The rows of the layer and their places, for a batch x."""
    dims = subject.outputs([subject.layer])[subject.layer].dim()
    vector = {4: _MAPS[options.pictures], 3: _STEPS[options.steps], 2: "made[0]"}[dims]
    if subject.form.task == EACH_STEP:
        vector = "made[0].flatten(0, 1)  # every step is a point"
    masked = dims == 3 and subject.form.kind == TOKENS and options.steps != "first" and "flatten" not in vector
    real = _REAL.get(masked, "    real = torch.ones(made[0].shape[:2])\n" if "real" in vector else "")
    further = _FURTHER[options.method].format(axes=options.dimensions, perplexity=f"{options.perplexity:g}")
    return _CODE.format(layer=subject.layer, real=real, vector=vector, axes=options.dimensions, further=further)


_MAPS = {"every value": "made[0].flatten(1)", "mean of each map": "made[0].mean((2, 3))"}
_STEPS = {
    "mean": "(made[0] * real[..., None]).sum(1) / real.sum(1, keepdim=True)",
    "last": "made[0][torch.arange(len(x)), (real * torch.arange(real.shape[1])).argmax(1)]",
    "first": "made[0][:, 0]",
}
_REAL = {
    True: "    real = (x != 0).float()  # 0 is padding\n"
    "    real = torch.nn.functional.pad(real, (made[0].shape[1] - x.shape[1], 0), value=1.0)  # a class token\n",
}
_FURTHER = {
    "PCA": "",
    "t-SNE": '''

def tsne(rows):
    """Places [n, {axes}] of at least 8 rows."""
    from sklearn.manifold import TSNE

    start = pca(rows, 50)[0].float().numpy()
    perplexity = min({perplexity}, (len(rows) - 1) / 3)
    return TSNE({axes}, perplexity=perplexity, init="pca", random_state=0).fit_transform(start)
''',
    "UMAP": '''

def umap(rows):
    """Places [n, {axes}] of at least 8 rows."""
    from umap import UMAP

    return UMAP(n_components={axes}, random_state=0, n_jobs=1).fit_transform(pca(rows, 50)[0].float().numpy())
''',
}
_CODE = '''import torch


@torch.no_grad()
def rows_of(x):
    """What {layer} makes of samples x: [n, feature]."""
    made = []
    hook = network.get_submodule("{layer}").register_forward_hook(lambda module, inputs, output: made.append(output))
    network(x)
    hook.remove()
{real}    return {vector}


def pca(rows, axes={axes}):
    """Scores [n, axes] on the largest principal components (signs are free), and their shares of the variance."""
    u, s, v = torch.linalg.svd((rows - rows.mean(0)).double(), full_matrices=False)
    return (u * s)[:, :axes], (s**2 / (s**2).sum())[:axes]


def named_by_neighbours(rows, target, k=5):
    """The most frequent class [n] of each row's k nearest neighbours, itself left out."""
    far = torch.cdist(rows.double(), rows.double()).fill_diagonal_(float("inf"))
    return target[far.topk(k, largest=False).indices].mode(1).values
{further}

print(rows_of(x).shape)  # x: a batch of one sample; give pca(rows_of(x)) the test set
'''
