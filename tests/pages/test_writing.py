"""The page on which a language model writes on: a start text of one's own, literal, or in words why not."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from core.spec.questions import Look
from tests.pages.conftest import Made, Visit, said
from tests.pages.fake_engine import FakeEngine


def shown(at: AppTest) -> str:
    return next(str(part.proto.body) for part in at.get("html") if "ll-writing" in str(part.proto.body))


def test_a_start_text_is_written_on(visit: Visit, fake: FakeEngine, made: Made) -> None:
    run = made("gpt", "characters")
    at = visit("look_writing", run=run.id)
    before = shown(at)
    at.text_input(key="look_writing.prompt").set_value("Shall I").run()
    asked = [question for question in fake.asked if isinstance(question, Look)][-1]
    assert asked.view == "writing" and asked.options.prompt == "Shall I"  # type: ignore[attr-defined]
    assert "<b>Shall I</b>" in shown(at) and shown(at) != before
    assert "on average the model gave" in said(at)
    at.text_input(key="look_writing.prompt").set_value("<b>é</b>").run()
    assert "never read" in said(at) and "é" in said(at)


def test_a_run_that_does_not_write_says_what_would(visit: Visit, made: Made) -> None:
    assert "such as gpt on characters" in said(visit("look_writing", run=made("mlp").id))
