"""What was asked for is taken, or a sentence says what was taken in its place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parent.parent / "core"
ASKED = ("options", "spec", "asked", "question")  # the names under which wishes are passed on

SAID = {  # (module, what is cut) → words of the sentence that tells it
    ("training.py", "spec.batch_size"): "was asked for, and there are",
    ("views/_recurrent.py", "options.stack"): "the lowest is shown",
    ("views/attention.py", "options.head"): "This layer has the heads",
    ("views/attention.py", "options.query"): "This sample has the tokens",
    ("views/embeddings.py", "options.perplexity"): "the perplexity is at most",
    ("views/feature_maps.py", "options.map"): "_asked_for",
    ("views/feature_maps.py", "options.searched"): "_fewer",
    ("views/landscape.py", "self.options.samples"): "samples in this part",
    ("views/maximise.py", "options.unit"): "has no unit",
    ("explain/methods/layers.py", "options.most"): "points were taken on the way, not",
    ("explain/views/faithfulness.py", "options.samples"): "the means are over them all",
    ("subject.py", "asked.sample"): "There is no sample",
}
NOTHING_LOST = {  # a bound on what is looked for or drawn, not on what was asked for
    ("data/planted.py", "options.pattern"),
    ("data/planted.py", "options.length"),  # a row is never shorter
    ("explain/methods/ways.py", "options.steps"),  # the first half of them; the rest follows, …
    ("explain/methods/ways.py", "options.most"),  # … as far as this
    ("explain/methods/ways.py", "self.options.map_tolerance"),  # how far each piece is from it: the worst is halved
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
    rooms = ("training.py", "subject.py", "worker.py", "generate.py", "frames.py", "tasks.py", "augment.py")
    return [CORE / one for one in rooms] + [
        path for room in ("views", "explain", "data") for path in (CORE / room).rglob("*.py")
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_every_wish_that_is_cut_is_told(path: Path) -> None:
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(CORE))
    for wish in cut_wishes(ast.parse(text)):
        if (name, wish) not in NOTHING_LOST:
            assert (name, wish) in SAID, f"{name} cuts {wish}: say it, and name the sentence here"
            assert SAID[name, wish] in text


def test_the_list_names_nothing_that_is_gone() -> None:
    found = {
        (str(path.relative_to(CORE)), wish)
        for path in modules()
        for wish in cut_wishes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {*SAID, *NOTHING_LOST} - found == set()
