"""The page of the loss landscape, with a worker's real answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.views.landscape import Losses
from core.spec.questions import Look, Seen
from core.store import Run
from core.worker import answers
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.pages.fake_engine import FakeEngine


@pytest.fixture
def run(made: Made) -> Run:
    return made("mlp")


def small(at: AppTest, kind: str) -> AppTest:
    at.number_input(key="look_landscape.resolution").set_value(5)
    at.select_slider(key="look_landscape.samples").set_value(16)
    return at.selectbox(key="look_landscape.kind").set_value(kind).run()


def test_the_page_opens_with_a_line(visit: Visit, run: Run, drawn: Drawn, fake: FakeEngine) -> None:
    at = visit("look_landscape", run=run.id)
    assert list(drawn) == ["landscape.lines"]
    picture, alt = drawn["landscape.lines"]["fig"], drawn["landscape.lines"]["alt"]
    assert len(picture.data) == 4 and len(picture.data[0].x) == 21
    assert alt.startswith("Loss along random directions from the model: ")
    assert "another seed gives others" in said(at)
    asked = next(question for question in fake.asked if isinstance(question, Look))
    assert (asked.view, asked.step) == ("landscape", 12)


def test_the_plane_has_its_points_beside_it(visit: Visit, run: Run, drawn: Drawn) -> None:
    at = small(visit("look_landscape", run=run.id), "plane")
    assert not at.exception
    assert {"landscape.plane", "landscape.rings"} <= set(drawn)
    assert np.array(drawn["landscape.plane"]["fig"].data[0].z).shape == (5, 5)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 25


def test_the_path_has_the_moments_beside_it_and_a_logarithmic_scale(visit: Visit, run: Run, drawn: Drawn) -> None:
    at = small(visit("look_landscape", run=run.id), "path")
    assert not at.exception
    assert at.toggle(key="landscape.log.path").value
    steps = [f"{step:,}" for step in run.moments()]
    assert list(drawn["landscape.moments"]["fig"].data[0].x) == steps
    assert "% of the variance" in said(at)
    assert not any(box.key == "look_landscape.radius" for box in at.number_input)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert at.dataframe[0].value["step"].tolist() == run.moments()


def test_what_is_cut_off_is_said(visit: Visit, run: Run, drawn: Drawn, fake: FakeEngine) -> None:
    def towering(question: Look) -> Seen:
        seen = answers.look(question, lambda *_: None)
        if seen.facts.kind == "plane":
            seen.arrays["loss"][:] = 1.0
            seen.arrays["loss"][0, 0], seen.arrays["loss"][0, 1] = 70.0, np.nan
            return replace(seen, facts=replace(seen.facts, losses=Losses(low=1.0, high=70.0, broken=1)))
        return seen

    fake.look = towering
    at = small(visit("look_landscape", run=run.id), "plane")
    assert "Losses above 1, up to 70, have the colour of 1." in said(at)
    assert "At 1 points the loss is too large to be a number" in said(at)
    at.toggle(key="landscape.log.plane").set_value(True).run()
    assert "Losses above" not in said(at)
    assert max(v for row in drawn["landscape.plane"]["fig"].data[0].z for v in row if v is not None) > 1.8


def test_too_few_moments_are_told_in_words(
    visit: Visit, run: Run, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "moments", lambda _self: [0, 12])
    at = small(visit("look_landscape", run=run.id), "path")
    assert "needs three kept moments" in "".join(str(error.value) for error in at.error)
