"""A picture stands until its successor is there: nothing is taken away while the next one is computed."""

from __future__ import annotations

from core.engine.protocol import Progress
from core.spec.questions import Look
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.pages.fake_engine import FakeEngine

COMPUTING = Progress(False, 0.4, "Computing the maps", ())


def test_the_old_picture_stands_while_the_next_one_is_computed(
    visit: Visit, fake: FakeEngine, made: Made, drawn: Drawn
) -> None:
    run = made("cnn")
    at = visit("look_gradients", run=run.id)
    first, fake.look, fake.progress = set(drawn), None, COMPUTING
    drawn.clear()
    at.query_params["step"] = "2"
    at.run()
    assert not at.exception and set(drawn) == first and first
    assert [question.step for question in fake.asked if isinstance(question, Look)][-1] == 2
    assert at.get("progress") and at.button(key="waiting.cancel")
    at.button(key="waiting.cancel").click().run()
    assert "given up" in said(at) and fake.cancelled


def test_another_runs_picture_does_not_stand(visit: Visit, fake: FakeEngine, made: Made, drawn: Drawn) -> None:
    at = visit("look_gradients", run=made("cnn").id)
    fake.look, fake.progress = None, COMPUTING
    other = made("mlp")
    fake.look = None
    drawn.clear()
    at.query_params["run"] = other.id
    at.run()
    assert not at.exception and not drawn and at.get("progress")


def test_the_lines_are_offered_as_a_program_of_their_own(visit: Visit, made: Made) -> None:
    at = visit("look_gradients", run=made("mlp").id, fields={"look.beneath": "code"})
    assert [one.proto.label for one in at.get("download_button")] == ["Download the whole program"]
    assert "subject_of" not in at.code[0].value, "the lines themselves stay short"
