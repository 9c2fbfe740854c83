"""The page of the scoreboard: none yet, one under way, one that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.trials import CHEAT, CLEAN
from core.engine.protocol import Progress
from core.spec.questions import Score, Scored
from core.store.scores import keep_scores
from core.worker.explain.scoreboard.score import score
from pages.explain import scoreboard
from tests.pages.addresses import switch
from tests.pages.conftest import SHELL, Drawn, Made, said
from tests.pages.fake_engine import FakeEngine
from tests.trained import scored_once

Open = Callable[[], AppTest]
METHODS = ("occlusion", "saliency", "input_x_gradient", "random", "edge_filter")


@pytest.fixture(scope="module")
def small(trained_trials: None, shared_folder: Path) -> Scored:
    """A quick scoreboard of a few methods."""
    asked = Score(quick=True, data=(CLEAN, CHEAT, "planted"), methods=METHODS, samples=2)
    return scored_once(shared_folder, asked)


@pytest.fixture
def page(fake: FakeEngine) -> Open:
    def page() -> AppTest:
        at = AppTest.from_file(str(SHELL), default_timeout=30)
        at.run()
        switch(at, "explain_scoreboard")
        at.run()
        assert not at.exception
        return at

    return page


def test_where_there_is_none_it_can_be_made_and_given_up(page: Open, fake: FakeEngine) -> None:
    at = page()
    assert "No scoreboard was made here yet" in said(at) and not fake.asked
    fake.progress = Progress(False, 0.4, "planted pattern, LSTM, seed 1 of 2: Occlusion", ())
    at.button(key="scoreboard.quick").click().run()
    assert fake.asked == [Score(quick=True)] and not at.exception
    at.button(key="waiting.cancel").click().run()
    assert fake.cancelled == ["ticket 1"] and "given up" in said(at)
    at.button(key="scoreboard.full").click().run()
    assert fake.asked[-1] == Score(quick=False) and not at.exception


@pytest.mark.slow
def test_a_new_one_is_shown_as_soon_as_it_is_there(
    page: Open, fake: FakeEngine, small: Scored, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(question: Any) -> Scored:
        assert question == Score(quick=True)
        keep_scores(small)
        return small

    at = page()
    monkeypatch.setattr(scoreboard.waiting, "answer", answered)
    at.button(key="scoreboard.quick").click().run()
    assert not at.exception and "A look, not a claim: 2 networks a trial" in said(at)
    assert any(key.startswith("scoreboard.bars") for key in drawn)
    monkeypatch.setattr(scoreboard.waiting, "answer", lambda _question: small)
    at.button(key="scoreboard.quick").click().run()
    assert not at.exception and "nothing has changed" in at.toast[0].value and "A look" in said(at)


def test_one_that_somebody_else_has_had_made_is_shown_to_who_waits(
    page: Open, fake: FakeEngine, small: Scored, drawn: Drawn
) -> None:
    at = page()
    fake.progress = Progress(True, 0.0, "", (), error="Somebody else is having the methods scored just now.")
    at.button(key="scoreboard.full").click().run()
    assert "Somebody else" in said(at) and not drawn
    keep_scores(replace(small, quick=False))
    at.run()
    assert not at.exception and "Somebody else" not in said(at) and "2 networks a trial" in said(at) and drawn


def test_the_pair_its_words_its_example_and_the_table(page: Open, small: Scored, drawn: Drawn) -> None:
    keep_scores(small)
    at = page()
    text = said(at)
    assert "reveal the cheat" in text and "honest network" in text and "when the patch is exchanged" in text
    bars = next(found for key, found in drawn.items() if key.startswith("scoreboard.bars"))
    assert list(bars["fig"].layout.yaxis.ticktext)[-2:] in (["Edge filter", "Random"], ["Random", "Edge filter"])
    assert {f"scoreboard.map.{CLEAN}", f"scoreboard.map.{CHEAT}"} <= set(drawn)
    assert len(drawn[f"scoreboard.map.{CHEAT}"]["fig"].data) == 3, "the map and two outlines"
    at.selectbox(key="scoreboard.method").set_value("edge_filter").run()
    assert "Edge filter on the" in drawn[f"scoreboard.map.{CHEAT}"]["alt"] and not at.exception
    at.segmented_control(key="scoreboard.beneath").set_value("table").run()
    table = at.dataframe[0].value
    assert len(table) == 10 and {"hit", "± hit", "patch mass", "AUROC", "chance"} <= set(table.columns)
    at.segmented_control(key="scoreboard.beneath").set_value("measures").run()
    assert "standard deviation over the networks" in said(at)


@pytest.mark.slow
def test_the_learners_own_run_is_scored_where_its_evidence_is_known(
    page: Open, made: Made, fake: FakeEngine, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched = {"data.samples": 1500, "data.patch": 1.0, "model.channels": (8, 16)}
    run = made("cnn", "shapes", **patched, **{"train.steps": 120})
    digits = made("mlp", "digits")

    def answered(question: Any) -> Scored:
        assert question == Score(run=run.id, step=120)
        less = replace(question, runs=str(run.path.parent), methods=METHODS, samples=2)
        return score(less, lambda _fraction, _words, _part=None: None)

    monkeypatch.setattr(scoreboard.waiting, "answer", answered)
    at = page()
    assert not at.segmented_control and "No scoreboard was made here yet" in said(at)
    at.query_params["run"] = digits.id
    at.run()
    assert not at.segmented_control, "nobody knows which pixels make a digit"
    at.query_params["run"] = run.id
    at.run()
    at.segmented_control(key=scoreboard.SHOWN).set_value("run").run()
    assert not at.exception and "So it uses the planted patch" in said(at) and "This is one network" in said(at)
    bars = next(found for key, found in drawn.items() if key.startswith("scoreboard.bars.run"))
    assert {trace.name for trace in bars["fig"].data} >= {"on the evidence", "on the patch"}


def test_words_that_decide_are_underlined_and_what_is_left_out_is_told(page: Open, small: Scored, drawn: Drawn) -> None:
    keep_scores(small)
    at = page()
    at.segmented_control(key="scoreboard.trial").set_value("planted").run()
    assert not at.exception and "reserved tokens" in said(at) and "reveal" not in said(at)
    block = next(one.value for one in at.get("html") if "ll-why-words" in str(one.value))
    assert block.count("underline 3px") == 2
    at.segmented_control(key="scoreboard.beneath").set_value("left_out").run()
    assert "Edge filter" in said(at)


def test_a_click_on_a_bar_chooses_its_method(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, str] = {}
    monkeypatch.setattr(scoreboard.st, "session_state", state)
    scoreboard._clicked({"customdata": 1}, ["occlusion", "lime"])
    scoreboard._clicked({"customdata": None}, ["occlusion", "lime"])
    scoreboard._clicked({"customdata": 7}, ["occlusion", "lime"])
    assert state == {"scoreboard.method": "lime"}


def test_a_scoreboard_of_networks_that_all_failed_is_told(page: Open) -> None:
    asked = Score(quick=True, seeds=1, data=("planted",), methods=("random",), samples=2, steps=1)
    keep_scores(score(asked, lambda _fraction, _words, _part=None: None))
    assert "left out" in said(page())
