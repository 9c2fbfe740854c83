"""The heavy half of the reviews: clauses put together from the grammar, with the words that decide marked.

The label depends on one adjective and on whether a negator stands right before it. Those words are the evidence;
everything else may be exchanged for any other word that is neither an adjective of opinion nor a negator.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.datasets import _review_words as grammar
from core.worker.data.splits import Report, Splits, balanced, made_up, split_rows

Clause = tuple[list[str], list[bool]]  # its words, and which of them decide


def load(options: Any, seed: int, _folder: Path, _report: Report) -> Splits:
    """70 % training, 10 % validation, 20 % test; rows of word ids, then padding (0). Class 1 = the writer likes it."""
    rng = np.random.default_rng(seed)
    n, words = options.samples, grammar.vocabulary()
    number = {word: i for i, word in enumerate(words)}
    x = np.zeros((n, grammar.LONGEST * (options.facts + 1)), dtype=np.int64)
    evidence = np.zeros(x.shape, dtype=bool)
    y = balanced(n, 2, rng)
    for i in range(n):
        said, decides = review(bool(y[i]), options, rng)
        x[i, : len(said)], evidence[i, : len(said)] = [number[word] for word in said], decides
    return made_up(x, y, split_rows(x, rng), ("dislikes it", "likes it"), words, evidence)


def review(likes: bool, options: Any, rng: np.random.Generator) -> Clause:
    """One review: the opinion somewhere among one or more facts, each closed by a full stop."""
    facts = grammar.FACTS + (grammar.DENIALS if options.decoys else ())
    clauses = [_filled(_one(facts, rng), rng) for _fact in range(rng.integers(1, options.facts + 1))]
    clauses.insert(int(rng.integers(0, len(clauses) + 1)), _opinion(likes, options.negation, rng))
    said = [word for words, _marks in clauses for word in (*words, ".")]
    return said, [mark for _words, marks in clauses for mark in (*marks, False)]


def _opinion(likes: bool, negation: float, rng: np.random.Generator) -> Clause:
    negated = rng.random() < negation
    adjective = _one(grammar.GOOD if likes != negated else grammar.BAD, rng)
    before = _one(grammar.NEGATORS if negated else grammar.DEGREES, rng).split()
    head, _hole, tail = _one(grammar.OPINIONS, rng).partition("{opinion}")
    first, _no = _filled(head, rng)
    last, _no = _filled(tail, rng)
    words = [*first, *before, adjective, *last]
    marks = [False] * len(first) + [negated] * len(before) + [True] + [False] * len(last)
    return words, marks


def _filled(clause: str, rng: np.random.Generator) -> Clause:
    words = re.sub(r"\{(\w+)\}", lambda found: _one(grammar.LISTS[found[1]], rng), clause).split()
    return words, [False] * len(words)


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def label(x: np.ndarray, _options: Any) -> np.ndarray:
    """The classes [n] of rows of word ids [n, step], read off the words; −1 where no opinion is given."""
    words = grammar.vocabulary()
    return np.array([_judge([words[token] for token in row]) for row in x], dtype=np.int64)


def _judge(said: list[str]) -> int:
    for place, word in enumerate(said):
        if word in grammar.GOOD or word in grammar.BAD:
            before = " ".join(said[:place])
            negated = any(before == negator or before.endswith(f" {negator}") for negator in grammar.NEGATORS)
            return int((word in grammar.GOOD) != negated)
    return -1
