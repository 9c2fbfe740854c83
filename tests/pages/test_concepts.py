"""The page of the concepts, with a worker's real answers."""

from __future__ import annotations

import numpy as np

from core.spec.drawings import encode
from pages.explain import concepts
from tests.pages.conftest import Drawn, Made, Visit, said

QUICK = {"look_concepts.examples": 12, "look_concepts.repeats": 3}


def test_every_concept_has_a_row_and_the_last_is_chance(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_concepts", fields=QUICK, run=made("cnn", "digits").id, sample="3")
    assert at.number_input(key="look_concepts.examples").value == 12
    shown = drawn["concepts.scores7"]
    assert "horizontal stroke: " in shown["alt"] and shown["alt"].count(";") == 6
    assert len(shown["fig"].layout.images) == 28
    assert "Which of these matter for" in said(at) and "A score is the share of" in said(at)
    at.segmented_control(key="look.beneath").set_value("table").run()
    table = at.dataframe[0].value
    assert len(table) == 7 and table["verdict"].iloc[-1] == "chance" and not at.exception
    at.selectbox(key="look_concepts.concepts").set_value("classes").run()
    assert "concepts.scores11" in drawn and not at.exception
    assert not any(one.key == "look_concepts.ground" for one in at.selectbox)


def test_a_drawing_has_a_row_of_its_own(visit: Visit, made: Made, drawn: Drawn) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 12:15] = 255
    visit("explain_concepts", fields=QUICK, run=made("cnn", "digits").id, drawn=encode(picture))
    assert "your drawing: " in drawn["concepts.scores8"]["alt"]


def test_a_run_without_pictures_is_told_why(visit: Visit, made: Made) -> None:
    at = visit("explain_concepts", run=made("transformer", "order").id)
    assert "This run reads no pictures" in said(at)


def test_every_name_has_its_words() -> None:
    assert concepts.concept("class 7") == "class 7" and concepts.concept("loop") == "loop"
    assert {concepts.verdict(kind) for kind in ("for", "against")} == {"speaks for it", "speaks against it"}
