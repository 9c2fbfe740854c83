"""The sets that are made here: what a label depends on is exactly what is marked as evidence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalog.datasets import _review_words as grammar
from core.catalog.datasets.order import SPECIAL, Order
from core.catalog.datasets.planted import Planted, tokens_of
from core.catalog.datasets.points import Points
from core.catalog.datasets.shapes import NAMES
from core.catalog.entries import EACH_STEP
from core.spec import registry
from core.spec.options import SpecError
from core.spec.specs import assign, preset
from core.worker.data import adding, characters, copy, planted, reviews, shapes
from core.worker.data.splits import NOT_ASKED, DataError, made_up, split_rows
from core.worker.train.objective import answered
from core.worker.train.training import load_data

MARKED = ("adding", "copy", "order", "planted", "reviews", "shapes")  # sets with evidence
DRAWN = (*MARKED, "points")


def made(name, **options):
    """(splits, options, the label function) of a generated set."""
    experiment = assign(preset("mlp", "digits"), {})
    entry = registry.DATASETS.get(name)
    values = {k: v for k, v in options.items() if k != "seed"}
    spec = type(experiment.data)(name, entry.options(**values), options.get("seed", 0))
    splits = load_data(type(experiment)(spec, experiment.model, experiment.train))
    return splits, spec.options, registry.load(entry.load.replace(":load", ":label"))


def parts(splits):
    return splits.train, splits.validation, splits.test


def other_rest(name, shown, evidence, options, rng):
    """The samples with everything but the evidence drawn anew, as the set draws it."""
    if name == "shapes":
        again = shapes.background(options, len(shown), rng)
        places = rng.integers(-1, options.classes, len(shown))  # with patches that mean another class
        cover = np.zeros(shown.shape, np.float32)
        rest, _cue = shapes.paint(options, cover, again, places, rng)
        return np.where(evidence, shown, rest)
    if name == "adding":
        rest = shown.copy()
        rest[:, :, 0] = np.where(evidence, shown[:, :, 0], rng.random(evidence.shape))
        return rest
    if name == "copy":
        return np.where(evidence, shown, rng.integers(1, 3 + options.symbols, shown.shape))
    if name == "reviews":
        told = {w for p in (*grammar.GOOD, *grammar.BAD, *grammar.NEGATORS) for w in p.split()}
        neutral = [i for i, word in enumerate(grammar.vocabulary()) if word not in told]
        return np.where(evidence, shown, rng.choice(neutral, shown.shape))
    first = SPECIAL if name == "order" else 1 + tokens_of(options)
    return np.where(evidence, shown, rng.integers(first, first + options.noise, shown.shape))


def other_evidence(name, shown, evidence, options, rng):
    """The samples with the evidence of other samples, or with noise in its place, and the rest as it is."""
    if name == "shapes":
        return np.where(evidence, rng.integers(0, 256, shown.shape), shown).astype(np.uint8)
    if name == "adding":
        rest = shown.copy()
        rest[:, :, 0] = np.where(evidence, rng.random(evidence.shape), shown[:, :, 0])
        return rest
    if name == "reviews":
        said = [i for i, w in enumerate(grammar.vocabulary()) if w in grammar.GOOD + grammar.BAD]
        return np.where(evidence, rng.choice(said, shown.shape), shown)
    span = {"copy": (3, 3 + getattr(options, "symbols", 1)), "order": (1, 3), "planted": (1, 1 + tokens_of(Planted()))}
    return np.where(evidence, rng.integers(*span[name], shown.shape), shown)


@pytest.mark.parametrize("name", DRAWN)
def test_the_label_is_what_the_sample_says(name):
    splits, options, label = made(name, samples=600, **({"noise": 0.0} if name == "points" else {}))
    for x, y in parts(splits):
        shown = splits.shown if x is splits.test[0] else x.numpy()
        if name != "shapes" or x is splits.test[0]:  # the training pictures are standardised
            assert np.array_equal(label(shown, options), y.numpy())


@pytest.mark.parametrize("name", MARKED)
def test_changing_all_but_the_evidence_never_changes_the_label(name):
    splits, options, label = made(name, samples=1000)
    y, rng = splits.test[1].numpy(), np.random.default_rng(1)
    steps = 2 if splits.shown.dtype == np.float32 else splits.shown.ndim
    assert splits.evidence.shape == splits.shown.shape[:steps] and splits.evidence.dtype == bool
    for _again in range(3):
        changed = other_rest(name, splits.shown, splits.evidence, options, rng)
        assert (changed != splits.shown).any()
        assert np.array_equal(label(changed, options), y)


@pytest.mark.parametrize("name", MARKED)
def test_changing_the_evidence_changes_the_label(name):
    splits, options, label = made(name, samples=1000)
    y, rng = splits.test[1].numpy(), np.random.default_rng(1)
    found = label(other_evidence(name, splits.shown, splits.evidence, options, rng), options)
    assert (found != y).reshape(len(y), -1).any(1).mean() > 0.2


@pytest.mark.parametrize("name", MARKED)
def test_every_sample_has_evidence_and_something_else(name):
    splits, _options, _label = made(name, samples=300)
    share = splits.evidence.reshape(len(splits.evidence), -1).mean(1)
    assert (share > 0).all() and (share < 0.6).all()


@pytest.mark.parametrize("name", DRAWN)
def test_no_sample_is_in_two_parts(name):
    for options in registry.DATASETS.get(name).examples:
        values = {k: getattr(options, k) for k in type(options).__dataclass_fields__}
        splits, _options, _label = made(name, **values)
        rows = [{row.numpy().tobytes() for row in x} for x, _y in parts(splits)]
        assert not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])


@pytest.mark.parametrize("name", ["order", "planted", "points", "reviews", "shapes"])
def test_classes_come_equally_often(name):
    splits, _options, _label = made(name, samples=1000)
    count = np.bincount(torch.cat([y for _x, y in parts(splits)]).numpy())
    assert count.max() - count.min() <= 1 and len(count) == len(splits.classes)
    for _x, y in parts(splits):
        share = np.bincount(y.numpy(), minlength=len(count)) / len(y)
        assert np.abs(share - 1 / len(count)).max() < 0.15


def test_rows_that_are_alike_stay_together_and_too_few_are_refused():
    rows = np.random.default_rng(0).integers(0, 4, (500, 3))
    placed = split_rows(rows, np.random.default_rng(1))
    assert sorted(np.concatenate(placed).tolist()) == list(range(500)) and min(map(len, placed)) > 0
    with pytest.raises(DataError, match="only 4 different rows"):
        split_rows(rows[:, :1], np.random.default_rng(1))
    splits = made_up(rows, rows[:, 0], placed, ("a",))
    assert len(splits.shown) == len(placed[2])


# ── shapes ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [20, 28, 48])
def test_every_shape_is_told_by_its_pixels_and_stays_inside_the_border(size):
    splits, options, label = made("shapes", size=size, classes=6, samples=600)
    assert np.mean(label(splits.shown, options) == splits.test[1].numpy()) >= (0.97 if size == 20 else 1.0)
    edge = shapes.margin(size)
    inside = splits.evidence[:, edge:-edge, edge:-edge]
    assert inside.sum() == splits.evidence.sum()
    assert splits.classes == NAMES and splits.shown.dtype == np.uint8


def test_a_patch_says_the_class_in_training_and_what_is_asked_in_the_test():
    def of(**more):
        return made("shapes", patch=0.8, samples=1500, **more)[0]

    def place(splits):
        """The class at whose place a test picture's patch is; −1 for none."""
        found = np.full(len(splits.cue), -1)
        for k in range(4):
            top, left = shapes.patch_corner(28, k)
            found[splits.cue[:, top, left]] = k
        return found

    same, absent, by_chance = (of(patch_test=t) for t in ("same", "absent", "random"))
    y = same.test[1].numpy()
    there = same.cue.any((1, 2))
    assert 0.7 < there.mean() < 0.9 and (place(same) == y)[there].all() and not absent.cue.any()
    there = by_chance.cue.any((1, 2))
    assert 0.7 < there.mean() < 0.9 and 0.1 < (place(by_chance) == y)[there].mean() < 0.4
    assert (same.cue.sum((1, 2))[same.cue.any((1, 2))] == shapes.margin(28) ** 2).all()
    assert same.shown[same.cue].mean() > 200
    assert torch.equal(same.train[0], by_chance.train[0]), "only the test pictures differ"
    assert not (same.cue & same.evidence).any()
    lit = [_corners(splits.train[0], splits.train[1]) for splits in (same, of(patch_train="random"))]
    assert lit[0] > 0.7 and lit[1] < 0.35
    assert not made("shapes", samples=300)[0].cue.any()


def _corners(x, y):
    """How often the border's corner of the class's own place is bright, in standardised pictures."""
    corner = [shapes.patch_corner(28, int(k)) for k in y]
    own = [one[0, top : top + 3, left : left + 3].mean() for one, (top, left) in zip(x, corner, strict=True)]
    return float((torch.stack(own) > 1.5).float().mean())


# ── points ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["moons", "circles", "spirals", "blobs"])
def test_points_lie_about_the_middle_and_stray_by_the_noise(kind):
    calm, options, _label = made("points", kind=kind, noise=0.0, samples=600)
    noisy, _options, _label = made("points", kind=kind, noise=0.2, samples=600)
    assert len(calm.classes) == (3 if kind in ("spirals", "blobs") else 2)
    assert float(calm.train[0].abs().max()) < 1.8
    assert float((noisy.train[0] - calm.train[0]).std()) == pytest.approx(0.2, rel=0.1)
    assert options == Points(kind=kind, noise=0.0, samples=600)


# ── sequences ────────────────────────────────────────────────────────────────


def test_the_order_tasks_rows_are_as_described():
    splits, _options, _label = made("order", length=12, noise=3, samples=500)
    for x, y in parts(splits):
        first, second = (x == 1).int().argmax(1), (x == 2).int().argmax(1)
        assert ((x == 1).sum(1) == 1).all() and ((x == 2).sum(1) == 1).all()
        assert torch.equal((second < first).long(), y)
        real = x != 0
        assert (real.int().diff(dim=1) <= 0).all(), "padding stands only at the end"
        assert (real.sum(1) >= 6).all() and int(x.max()) < SPECIAL + 3
    assert Order().samples == sum(len(p[1]) for p in parts(made("order")[0]))


def test_a_sum_is_of_one_number_in_each_half_and_guessing_costs_a_sixth():
    splits, _options, _label = made("adding")
    x, y = splits.train
    marks = x[:, :, 1]
    assert (marks[:, :25].sum(1) == 1).all() and (marks[:, 25:].sum(1) == 1).all()
    assert set(marks.unique().tolist()) == {0.0, 1.0} and float(x.min()) >= 0 and float(x.max()) <= 1
    assert float(((y - 1) ** 2).mean()) == pytest.approx(adding.BASELINE, rel=0.05)
    assert y.dtype == torch.float32


def test_the_copy_task_asks_only_at_the_end_and_guessing_costs_ln_of_the_symbols():
    splits, options, _label = made("copy")
    x, y = splits.test
    assert (y[:, : options.items + options.gap] == NOT_ASKED).all()
    assert torch.equal(y[:, -options.items :], x[:, : options.items] - 3)
    assert (x[:, options.items + options.gap - 1] == 2).all() and (x[:, -options.items :] == 1).all()
    even = torch.zeros(len(y), y.shape[1], options.symbols)
    loss = torch.nn.functional.cross_entropy(even.flatten(0, 1), y.flatten())
    assert float(loss) == pytest.approx(math.log(8), rel=1e-5)
    assert copy.label(x.numpy(), options).shape == y.shape


@pytest.mark.parametrize(("classes", "pattern", "reserved"), [(4, 2, 2), (3, 1, 3), (26, 2, 6), (26, 1, 26), (2, 4, 2)])
def test_planted_patterns_differ_and_use_few_tokens(classes, pattern, reserved):
    options = Planted(classes=classes, pattern=pattern, samples=600)
    table = planted.patterns(options)
    assert tokens_of(options) == reserved and len({tuple(row) for row in table}) == classes
    splits, _options, _label = made("planted", classes=classes, pattern=pattern, samples=600)
    assert (splits.evidence.sum(1) == pattern).all()
    runs = np.diff(splits.evidence.astype(int), axis=1, prepend=0, append=0)
    assert ((runs == 1).sum(1) == 1).all(), "the tokens of a pattern stand next to each other"


# ── reviews ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "likes"),
    [
        ("the film was not good .", 0),
        ("it seemed hardly boring . i had not seen the trailer .", 1),
        ("the plot is really great .", 1),
        ("the cinema was not full . it is dull .", 0),
        ("the story felt anything but clever .", 0),
        ("a friend called the music by no means awful .", 1),
        ("it rains", -1),
    ],
)
def test_a_review_is_judged_by_its_adjective_and_the_negator_before_it(text, likes):
    assert reviews._judge(text.split()) == likes


def test_reviews_are_sentences_of_known_words_with_the_deciding_ones_marked():
    splits, _options, _label = made("reviews", samples=2000, decoys=True)
    words = np.array(splits.vocabulary)
    negated, decoys = 0, 0
    for row, marks in zip(splits.shown, splits.evidence, strict=True):
        said = words[row[row > 0]].tolist()
        assert said[-1] == "." and 2 <= said.count(".") <= 3
        marked = words[row[marks]].tolist()
        assert marked[-1] in grammar.GOOD + grammar.BAD and " ".join(marked[:-1]) in ("", *grammar.NEGATORS)
        negated += len(marked) > 1
        decoys += any(w in grammar.LISTS["denied"] for w in words[row[(row > 0) & ~marks]])
    assert 0.22 < negated / len(splits.shown) < 0.38, "the share of negations that is asked for"
    assert decoys / len(splits.shown) > 0.15, "a negator alone says nothing"
    assert not set(" ".join(grammar.FACTS).split()) & {w for n in grammar.NEGATORS for w in n.split()}
    assert len(set(splits.vocabulary)) == len(splits.vocabulary)
    facts = grammar.FACTS + grammar.DENIALS
    clauses = [*facts, *(o.replace("{opinion}", "by no means good") for o in grammar.OPINIONS)]
    long = [1 + len(reviews._filled(c, np.random.default_rng(s))[0]) for c in clauses for s in range(20)]
    assert max(long) <= grammar.LONGEST
    both = grammar.GOOD + grammar.BAD
    assert len(set(both)) == len(both) and not set(both) & {w for f in facts for w in f.split()}


# ── characters ───────────────────────────────────────────────────────────────


def text_of(rows, words):
    return ["".join(words[i] for i in row) for row in rows.tolist()]


def test_the_next_character_is_asked_at_every_step():
    splits = made_characters()
    whole = characters.SONNETS.read_text(encoding="utf-8")
    strange = {c for c in whole if c not in splits.vocabulary}
    whole = "".join("\ufffd" if c in strange else c for c in whole)
    for x, y in parts(splits):
        assert torch.equal(torch.where(x[:, 1:] == characters.UNKNOWN, NOT_ASKED, x[:, 1:]), y[:, :-1])
        asked = torch.where(y == NOT_ASKED, characters.UNKNOWN, y)
        said = zip(text_of(x, splits.vocabulary), text_of(asked, splits.vocabulary), strict=True)
        assert all(row + after[-1] in whole for row, after in said)
    cut = round(len(whole) * 0.7)
    assert all(row in whole[:cut] for row in text_of(splits.train[0], splits.vocabulary))
    assert len(splits.classes) == len(splits.vocabulary) == 100
    assert len(splits.train[0]) == 200 and int(splits.train[0].min()) >= 2, "each training character has a number"


def made_characters(folder=Path(), **options):
    entry = registry.DATASETS.get("characters")
    return registry.load(entry.load)(entry.options(**{"samples": 200, **options}), 0, folder, lambda *_a: None)


def test_a_text_of_ones_own_is_found_in_the_data_folder_and_nowhere_secret(tmp_path, monkeypatch):
    data, away = tmp_path / "data", tmp_path / "away"
    (data / "books").mkdir(parents=True)
    away.mkdir()
    (data / "books" / "mine").write_text("to be or not to be, " * 200, encoding="utf-8")
    (away / "mine.txt").write_text("all the world's a stage " * 200, encoding="utf-8")
    (away / "key").write_text("secret " * 200, encoding="utf-8")
    assert "b" in made_characters(data, path="books/mine").vocabulary
    assert "w" in made_characters(data, path="../away/mine.txt").vocabulary
    monkeypatch.chdir(away)
    assert "w" in made_characters(data, path="mine.txt").vocabulary
    for path in ("../away/key", str(away / "key"), "key", "nothing.txt", "x" * 5000 + ".txt"):
        with pytest.raises(DataError) as caught:
            made_characters(data, path=path)
        text = str(caught.value)
        assert str(data) in text and "\n" not in text and len(text) < 500
    with pytest.raises(SpecError, match="path must be a word"):  # no file's name: it does not come as far as the data
        made_characters(data, path="a\0b.txt")


def test_a_text_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("sch\u00f6n ".encode("latin-1") * 500)
    with pytest.raises(DataError, match=r"short\.txt has 9 characters.*at least 650"):
        made_characters(tmp_path, path="short.txt")
    with pytest.raises(DataError, match=r"latin\.txt is no UTF-8 text.*0xf6"):
        made_characters(tmp_path, path="latin.txt")


def test_rare_characters_become_unknown_and_the_notes_say_so():
    splits = made_characters(vocabulary=12)
    assert len(splits.vocabulary) == 12 and int(splits.train[0].max()) == 11
    assert 0.1 < float((splits.train[0] == characters.UNKNOWN).float().mean()) < 0.9
    assert "10 are kept" in splits.notes[0]


def test_an_unknown_character_is_not_asked_for_and_its_share_is_said(tmp_path):
    """48 % of this text is unknown with the usual vocabulary: “unknown” must not be an answer that is right."""
    rng = np.random.default_rng(0)
    odds = 1 / np.arange(1, 1501)
    text = "".join(chr(0x4E00 + i) for i in rng.choice(1500, 20_000, p=odds / odds.sum()))
    (tmp_path / "zh.txt").write_text(text, encoding="utf-8")
    splits = made_characters(tmp_path, path="zh.txt", length=16, samples=500)
    for x, y in (splits.train, splits.validation, splits.test):
        assert not bool((y == characters.UNKNOWN).any())
        assert bool((y[:, :-1] == torch.where(x[:, 1:] == characters.UNKNOWN, NOT_ASKED, x[:, 1:])).all())
        assert bool((y != NOT_ASKED).any(1).all())  # or a batch of one row would have no loss
    (note,) = splits.notes
    share = float((splits.test[0] == characters.UNKNOWN).float().mean())
    told = float(note.split("% of the test")[0].split()[-1]) / 100
    assert 0.3 < share < 0.6 and told == pytest.approx(share, abs=0.02)
    wanted = int(note.rsplit(" ", 1)[1].rstrip(".").replace(",", ""))
    assert made_characters(tmp_path, path="zh.txt", length=16, vocabulary=wanted).vocabulary.count("\ufffd") == 1
    logits = torch.zeros(*y.shape, 100)
    logits[..., characters.UNKNOWN] = 9.0
    assert answered(logits, y, EACH_STEP)[0] == 0  # always answering “unknown”


def test_a_text_of_unknown_characters_alone_is_refused(tmp_path):
    (tmp_path / "two.txt").write_text("a" * 700 + "".join(chr(0x4E00 + i % 90) for i in range(300)), encoding="utf-8")
    with pytest.raises(DataError, match="no character is known"):
        made_characters(tmp_path, path="two.txt", length=16)


def test_shakespeare_is_read_from_the_data_folder(data_dir):
    if data_dir is None:
        return  # the tests above read files of their own
    splits = made_characters(data_dir, path="tinyshakespeare/input.txt")
    assert sum(word != "\ufffd" for word in splits.vocabulary) == 1 + 65
    assert not splits.notes and len(splits.test[0]) > 3000
