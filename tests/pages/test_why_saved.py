"""What is taken home: one page that needs nothing else, and a program with its arrays."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import numpy as np
import pytest

from core.engine.protocol import EngineError
from core.spec.questions import Explain, Explained, Reproduce, Reproduction
from pages.explain import why_maps, why_saved
from tests.pages.test_side_by_side import Why

ASKED = Explain(run="0" * 32, methods=())


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why_maps, "dark", lambda: False)


def two(kind: str) -> list[Explained]:
    answers = Why(kind, changes={"integrated_gradients": {"gap": 0.004, "holds": True, "delta": 0.1}})
    return [answers.explained(name, ASKED) for name in ("saliency", "integrated_gradients")]


@pytest.mark.parametrize("kind", ["picture", "tokens", "sequence", "vector"])
def test_the_page_has_every_map_with_its_proof_and_asks_for_nothing_from_elsewhere(kind: str) -> None:
    page = why_saved.sheet("Why <7>?", two(kind), over=False, drawing=False, number=False)
    assert page.count("<figure>") == 2 + (kind == "picture") and "Why &lt;7&gt;?" in page and "<b>film</b>" not in page
    assert "holds · gap 0.4 %" in page.replace("\u202f", " ").replace("\xa0", " ") and "no self-check" in page
    assert not re.search(r"""<(?:script|link|img)\s[^>]*=["']https?:""", page)
    assert page.count("Plotly.newPlot(") >= (0 if kind == "tokens" else 2)


def test_a_constant_map_is_no_obstacle() -> None:
    flat = Why(changes={"saliency": {"attribution": np.zeros((1, 4, 4), np.float32)}}).explained("saliency", ASKED)
    page = why_saved.sheet("Why?", [flat], over=True, drawing=True, number=False)
    assert page.count("<figure>") == 2 and "your drawing" in page


def test_what_was_withheld_stands_there_with_its_reason() -> None:
    gone = {"withheld": "No rule for <attention>.", "attribution": np.zeros(0, np.float32)}
    answers = Why(changes={"saliency": gone})
    maps = [answers.explained(name, ASKED) for name in ("random", "saliency")]
    page = why_saved.sheet("Why?", maps, over=False, drawing=False, number=True)
    assert "No rule for &lt;attention&gt;." in page and "lowers it" in page


def test_a_map_of_rounding_is_words_there_too() -> None:
    page = why_saved.sheet(
        "Why?",
        [Why(changes={"saliency": {"rounding": "This map is rounding."}}).explained("saliency", ASKED)],
        over=False,
        drawing=False,
        number=False,
    )
    assert "This map is rounding." in page and "Plotly.newPlot(" not in page


class Door:
    """An engine that answers Reproduce."""

    def ask(self, question: Reproduce) -> Reproduction:
        if question.asked is not ASKED:
            raise EngineError("The method is withheld.")
        return Reproduction("print(1)\n", {"x": np.arange(3)})


def test_the_program_comes_with_its_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why_saved.doors, "engine", lambda: Door())
    with zipfile.ZipFile(io.BytesIO(why_saved.program(ASKED))) as packed:
        assert packed.read("why.py") == b"print(1)\n"
        found: Any = np.load(io.BytesIO(packed.read("attribution.npz")))
        assert found["x"].tolist() == [0, 1, 2]
    with pytest.raises(EngineError, match="withheld"):
        why_saved.program(Explain(run="1" * 32, methods=()))
