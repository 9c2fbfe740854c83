"""Pages in another language than English: of the session, not of the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.engine import wire
from core.spec.pseudo import PSEUDO
from core.spec.sentences import Sentence
from core.worker.model import build
from pages.build import stack
from pages.kit import words
from tests.pages.conftest import said
from tests.pages.fake_engine import FakeEngine
from tests.pages.test_builder import Bench

Visit = Callable[..., AppTest]


def test_a_problem_that_the_worker_has_is_read_in_the_language_of_the_page(
    visit: Visit, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLAB_LANG", "xx")
    bench = Bench(visit)
    fake.describe = lambda question: wire.loads(wire.dumps(build.describe(question)))
    monkeypatch.setattr(stack, "_mount", bench.mount)
    bench.open(layer="conv2")
    bench.set("kernel", 16)
    bench.set("padding", 0)
    fault = words.translated(bench.data["fault"])
    assert fault["fix"] == PSEUDO.text(Sentence("set padding to {padding}", padding=1))
    assert fault["message"].startswith("⟦á 16×16 ķéŕńéĺ") and fault["message"].endswith("ğéťś 14×14⟧")


def test_the_language_belongs_to_the_session_and_stays_in_the_address(
    visit: Visit, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLAB_LANG", "xx")
    assert "⟦" in said(visit("train"))
    english = visit("train", language="en")
    assert "⟦" not in said(english) and "en" in english.query_params["language"]
    monkeypatch.delenv("LAYERLAB_LANG")
    assert "⟦" not in said(visit("train", language="xx"))  # not switched on here
    assert "language" not in visit("train").query_params


def test_what_is_put_into_a_text_is_said_in_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERLAB_LANG", "xx")
    layer = Sentence("{n:,} maps", n=1234)
    assert words._("{a} of {b:.1f}").format(a=layer, b=0.5) == "⟦⟦1,234 ṁáṗś⟧ óḟ 0.5⟧"
    assert words.fill("**{a}**", a=layer) == "**⟦1,234 ṁáṗś⟧**"
    assert words.translated({"a": [layer, 1, "as it is"]}) == {"a": ["⟦1,234 ṁáṗś⟧", 1, "as it is"]}
    assert words.plain("as it is") == "as it is" and words.plain(layer) == "⟦1,234 ṁáṗś⟧"
    assert words.plain(layer) == PSEUDO.text(layer)
