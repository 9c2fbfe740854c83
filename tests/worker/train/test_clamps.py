"""What was asked for is taken, or a sentence says what was taken in its place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

WORKER = Path(__file__).resolve().parents[3] / "core" / "worker"
ASKED = ("options", "spec", "asked", "question")  # the names under which wishes are passed on

SAID = {  # (module, what is cut) → words of the sentence that tells it
    ("train/training.py", "spec.batch_size"): "was asked for, and there are",
    ("look/_recurrent.py", "options.stack"): "the lowest is shown",
    ("look/attention.py", "options.head"): "This layer has the heads",
    ("look/attention.py", "options.query"): "This sample has the tokens",
    ("look/embeddings.py", "options.perplexity"): "the perplexity is at most",
    ("look/feature_maps.py", "options.map"): "_asked_for",
    ("look/feature_maps.py", "options.searched"): "_fewer",
    ("look/landscape.py", "self.options.samples"): "samples in this part",
    ("look/maximise.py", "options.unit"): "has no unit",
    ("explain/methods/layers.py", "options.most"): "points were taken on the way, not",
    ("explain/views/faithfulness.py", "options.samples"): "the means are over them all",
    ("look/subject.py", "asked.sample"): "There is no sample",
}
NOTHING_LOST = {  # a bound on what is looked for or drawn, not on what was asked for
    ("data/planted.py", "options.pattern"),
    ("data/planted.py", "options.length"),  # a row is never shorter
    ("explain/methods/path_integral.py", "options.steps"),  # the first half of them; the rest follows, …
    ("explain/methods/path_integral.py", "options.most"),  # … as far as this
    (
        "explain/methods/path_integral.py",
        "self.options.map_tolerance",
    ),  # how far each piece is from it: the worst is halved
    ("explain/views/attack.py", "options.maps"),
    ("explain/views/attack.py", "options.draws"),  # the pages say both
    ("explain/views/concepts.py", "options.repeats"),  # a smallest probability
    ("explain/views/influence.py", "spec.batch_size"),  # as the run was trained, which has told it
    ("explain/views/sanity.py", "options.steps"),
    ("explain/views/sanity.py", "options.most"),  # a method's default
}


def cut_wishes(tree: ast.AST) -> set[str]:
    """`options.head` for every min(…, options.head) or max(…) in a module, also inside sums and products."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
            for argument in node.args:
                for part in ast.walk(argument):
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value).split(".")[-1] in ASKED:
                        found.add(ast.unparse(part))
    return found


def modules() -> list[Path]:
    """Where wishes are carried out. (The catalog predicts prices from them; the engine and the store have none.)"""
    return [path for room in ("data", "train", "look", "explain") for path in (WORKER / room).rglob("*.py")]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(WORKER)))
def test_every_wish_that_is_cut_is_told(path: Path) -> None:
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(WORKER))
    for wish in cut_wishes(ast.parse(text)):
        if (name, wish) not in NOTHING_LOST:
            assert (name, wish) in SAID, f"{name} cuts {wish}: say it, and name the sentence here"
            assert SAID[name, wish] in text


def test_the_list_names_nothing_that_is_gone() -> None:
    found = {
        (str(path.relative_to(WORKER)), wish)
        for path in modules()
        for wish in cut_wishes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {*SAID, *NOTHING_LOST} - found == set()
