"""Every page in the language that nobody speaks: what is still English on it was never translated."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.store import Run
from tests.pages.addresses import PAGES
from tests.pages.conftest import said

ON_TEXT, ON_SEQUENCES = ("look_attention", "look_writing"), ("look_states", "look_through_time")
SLOW = sorted({*PAGES} - {"train", "build", "runs", "look_gradients", "look_landscape", "explain_attack"})
NO_WORDS = re.compile(r":material/\w+:|`[^`]*`|<[^>]*>|%\{[^}]*\}")
TWO_WORDS = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]{3,})+")
NAMES = {
    "horizontal stroke",
    "vertical stroke",
    "rising stroke",
    "falling stroke",
    "ReLU relu",
    "largest value",
}  # and choices


@pytest.mark.slow_for(*SLOW)
@pytest.mark.parametrize("page", sorted({*PAGES} - {"home"}))
def test_a_page_shows_no_raw_english(
    visit: Callable[..., AppTest], made: Callable[..., Run], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLAB_LANG", "xx")
    run = made("gpt", "characters") if page in ON_TEXT else made("gru" if page in ON_SEQUENCES else "cnn")
    text = NO_WORDS.sub("", said(visit(page, run=run.id)))
    assert text.count("⟦") > 1
    raw = set(TWO_WORDS.findall(text)) - NAMES
    assert page in ON_TEXT or raw == set()  # a text is full of words
